-- Alerts of gatewatch in ksqlDB, encoded as OCSF (the default). Change the name of the topic if yours differs.

-- Without it ksqlDB reads alerts of aborted transactions too.
SET 'processing.guarantee' = 'exactly_once_v2';
SET 'auto.offset.reset' = 'earliest';

CREATE STREAM anomalies (
  client VARCHAR KEY,
  activity_name VARCHAR,
  `time` BIGINT,
  severity_id INTEGER,
  severity VARCHAR,
  confidence_score INTEGER,
  `count` INTEGER,
  message VARCHAR,
  metadata STRUCT<uid VARCHAR, correlation_uid VARCHAR>,
  finding_info STRUCT<
    uid VARCHAR,
    analytic STRUCT<uid VARCHAR>,
    attacks ARRAY<STRUCT<technique STRUCT<uid VARCHAR, name VARCHAR>>>,
    tags ARRAY<STRUCT<name VARCHAR, `value` VARCHAR>>>,
  resources ARRAY<STRUCT<uid VARCHAR>>,
  unmapped STRUCT<kind VARCHAR, occasion VARCHAR, score DOUBLE, threshold DOUBLE>
) WITH (
  KAFKA_TOPIC = 'anomalies',
  KEY_FORMAT = 'KAFKA',
  VALUE_FORMAT = 'JSON',
  TIMESTAMP = '`time`'
);

-- One row for each finding, whatever comes twice: its latest alert.
CREATE TABLE findings AS
  SELECT
    finding_info->uid AS finding,
    LATEST_BY_OFFSET(client) AS client,
    LATEST_BY_OFFSET(activity_name) AS activity,
    LATEST_BY_OFFSET(severity) AS severity,
    LATEST_BY_OFFSET(unmapped->score) AS score,
    LATEST_BY_OFFSET(message) AS message
  FROM anomalies
  GROUP BY finding_info->uid
  EMIT CHANGES;
