-- Alerts of gatewatch in Flink SQL, encoded as OCSF (the default). Change topic and servers to yours.

CREATE TABLE anomalies (
  client STRING,
  activity_name STRING,
  `time` BIGINT,
  severity_id INT,
  severity STRING,
  confidence_score INT,
  `count` INT,
  message STRING,
  metadata ROW<uid STRING, correlation_uid STRING>,
  finding_info ROW<
    uid STRING,
    analytic ROW<uid STRING>,
    attacks ARRAY<ROW<technique ROW<uid STRING, name STRING>>>,
    tags ARRAY<ROW<name STRING, `value` STRING>>>,
  resources ARRAY<ROW<uid STRING>>,
  unmapped ROW<kind STRING, occasion STRING, score DOUBLE, threshold DOUBLE>,
  made_at AS TO_TIMESTAMP_LTZ(`time`, 3),
  WATERMARK FOR made_at AS made_at - INTERVAL '10' SECOND
) WITH (
  'connector' = 'kafka',
  'topic' = 'anomalies',
  'properties.bootstrap.servers' = '127.0.0.1:9092',
  'properties.group.id' = 'flink-alerts',
  'properties.isolation.level' = 'read_committed',
  'scan.startup.mode' = 'earliest-offset',
  'key.format' = 'raw',
  'key.fields' = 'client',
  'value.format' = 'json',
  'value.fields-include' = 'EXCEPT_KEY'
);

-- One row for each finding, whatever comes twice: its latest alert.
CREATE VIEW findings AS
  SELECT finding, client, activity_name, severity, score, message
  FROM (
    SELECT
      finding_info.uid AS finding,
      client,
      activity_name,
      severity,
      unmapped.score AS score,
      message,
      ROW_NUMBER() OVER (PARTITION BY finding_info.uid ORDER BY made_at DESC) AS row_num
    FROM anomalies
  )
  WHERE row_num = 1;
