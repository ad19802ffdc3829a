"""Records of the topic of anomalies: an Alert in the encoding chosen, with CloudEvents' attributes as headers."""

from collections.abc import Callable, Mapping
from typing import Final, NamedTuple

from scorer.alerts import Alert
from stream.encodings.cef import encode_cef
from stream.encodings.ecs import ECS_VERSION, encode_ecs
from stream.encodings.ocsf import OCSF_VERSION, encode_ocsf
from stream.encodings.parts import time_of
from stream.sections.detection import AlertEncoding
from stream.wire import Headers, Outgoing, client_key


class Form(NamedTuple):
    """How an encoding writes an alert.

    Attributes:
        encode: returns the record's value, of the alert and of when it is made (epoch milliseconds).
        content_type: media type of the value.
        data_schema: where the value's schema is published; None where there is none to point to.
    """

    encode: Callable[[Alert, int], bytes]
    content_type: str
    data_schema: str | None


FORMS: Final[Mapping[AlertEncoding, Form]] = {
    "ocsf": Form(encode_ocsf, "application/json", f"https://schema.ocsf.io/{OCSF_VERSION}/classes/detection_finding"),
    "ecs": Form(
        encode_ecs,
        "application/json",
        f"https://github.com/elastic/ecs/blob/v{ECS_VERSION}/generated/ecs/ecs_flat.yml",
    ),
    "cef": Form(encode_cef, "text/plain; charset=utf-8", None),
}


def alert_record(topic: str, alert: Alert, created: int, encoding: AlertEncoding = "ocsf") -> Outgoing:
    """Return an alert for the topic of anomalies, keyed by client.

    Args:
        topic: the topic.
        alert: the alert.
        created: wall clock, epoch milliseconds.
        encoding: of the value.
    """
    form = FORMS[encoding]
    return Outgoing(
        topic, client_key(alert.client), form.encode(alert, created), headers=_cloud_event(alert, created, form)
    )


def _cloud_event(alert: Alert, created: int, form: Form) -> Headers:
    """Return the attributes of a CloudEvent in binary mode of its Kafka binding.

    Source and id together are unique, as they have to be, and the same whenever the alert is published again.
    """
    headers = [
        ("content-type", form.content_type),
        ("ce_specversion", "1.0"),
        ("ce_id", alert.uid),
        ("ce_source", f"/gatewatch/{alert.position.topic}"),
        ("ce_type", f"gatewatch.finding.{'updated' if alert.follows else 'created'}"),
        ("ce_subject", alert.session_id),
        ("ce_time", time_of(created)),
    ]
    if form.data_schema is not None:
        headers.append(("ce_dataschema", form.data_schema))
    return headers
