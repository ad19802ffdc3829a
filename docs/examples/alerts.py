"""Follow the alerts of gatewatch: one line for each, new findings and what becomes of them.

    python alerts.py 127.0.0.1:9092 anomalies

A record can come twice, after a restart of this program or from a worker that gives at_least_once: `seen` holds the
latest alert of each finding. Put the primary key of your ticket table in its place, and the line printed becomes an
insert or an update of a ticket.
"""

import json
import sys
from collections import OrderedDict
from typing import Any

from confluent_kafka import Consumer, KafkaException

REMEMBERED = 100_000


def main(servers: str, topic: str) -> None:
    """Print alerts until interrupted."""
    consumer = Consumer(
        {
            "bootstrap.servers": servers,
            "group.id": "alerts-example",
            "isolation.level": "read_committed",  # not the default of every client: aborted alerts would be read
            "auto.offset.reset": "earliest",
            "enable.auto.commit": False,
        }
    )
    consumer.subscribe([topic])
    seen: OrderedDict[str, str] = OrderedDict()
    try:
        while True:
            message = consumer.poll(1.0)
            if message is None:
                continue
            if message.error():
                raise KafkaException(message.error())
            finding = json.loads(message.value())
            if is_news(finding, seen):
                handle(finding)
            consumer.commit(message, asynchronous=False)  # only now: a crash before it repeats, and loses nothing
    finally:
        consumer.close()


def is_news(finding: dict[str, Any], seen: OrderedDict[str, str]) -> bool:
    """Return whether this alert of a finding has not been handled; remember it."""
    uid, alert = finding["finding_info"]["uid"], finding["metadata"]["uid"]
    # An update comes after the alert it follows, for all alerts of a client are in one partition.
    if seen.get(uid) == alert or (uid in seen and finding["activity_name"] == "Create"):
        return False
    seen[uid] = alert
    if len(seen) > REMEMBERED:
        seen.popitem(last=False)
    return True


def handle(finding: dict[str, Any]) -> None:
    """Print an alert."""
    print(finding["activity_name"], finding["severity"], finding["finding_info"]["uid"], finding["message"], flush=True)


if __name__ == "__main__":
    main(*sys.argv[1:])
