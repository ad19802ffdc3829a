"""How fast records become calls, beside msgspec's bare decoding of the same bytes in the same run.

    python -m tests.benchmarks.decoding [--records 200000] [--repeat 5]

One process, one core, CPU time (what other programs take does not count), the best of the repeats. ``ratio`` is the
time of the whole way (decode, check, time, client, endpoint, ApiCall) over that of ``msgspec.json.decode`` into a
Struct of the same fields (for text lines: over ``bytes.decode`` and one ``str.split``, the least that any reader of
such lines does). Records of gateways are whole log entries: much of the time goes into passing over what is not used.
"""

import argparse
import gc
import itertools
import json
import sys
import time
from collections.abc import Callable, Iterable
from pathlib import Path
from typing import Any

import msgspec
from rich.console import Console
from rich.table import Table

from featurizer.calls import ApiCall, encode_call
from featurizer.routes import RouteTemplates
from stream.adapters import apisix, aws_apigateway, decoder, envoy, kong, ocsf, otlp, traefik
from tests import golden_records

LOG = Path(__file__).parents[1] / "data/elastic_apache_access.log"
START = 1_700_000_000_000
GATEWAYS: dict[str, type[msgspec.Struct]] = {
    "kong": kong._Entry,
    "apisix": apisix._Entry,
    "traefik": traefik._Line,
    "envoy": envoy._Line,
}
"""Formats of gateways, with the fields that are read of them."""


class Fields(msgspec.Struct, gc=False):
    """The same fields as format gatewatch, without any check."""

    time: int
    client: str
    method: str
    path: str
    status: int
    duration_ms: float
    request_id: str


class NginxFields(msgspec.Struct, gc=False):
    """The same fields as format nginx-json, without any check."""

    msec: str
    remote_addr: str
    remote_user: str
    request_method: str
    path: str
    status: str
    request_time: str
    request_id: str


class DockerFields(msgspec.Struct, gc=False):
    """Docker's envelope."""

    log: str


def paths(count: int) -> Iterable[str]:
    """Yield paths of 3,000 users, as an API's traffic has them: most were seen before."""
    return (f"/api/v1/users/{number * 7919 % 3000}/orders" for number in range(count))


def gatewatch_records(count: int) -> list[bytes]:
    return [
        msgspec.json.encode(
            Fields(START + n, f"client-{n % 5000}", "GET", path, 200, 12.5, f"cdae69cd4c98a0416e65{n:012x}")
        )
        for n, path in enumerate(paths(count))
    ]


def nginx_records(count: int) -> list[bytes]:
    return [
        msgspec.json.encode(
            NginxFields(
                f"{(START + n) / 1000:.3f}",
                f"10.0.{n % 20}.{n % 250}",
                "",
                "GET",
                path,
                "200",
                "0.012",
                f"cdae69cd4c98a0416e65{n:012x}",
            )
        )
        for n, path in enumerate(paths(count))
    ]


def call_records(count: int) -> list[bytes]:
    return [
        encode_call(ApiCall(START + n, f"client-{n % 5000}", "GET /api/v1/users/{id}/orders", 200, 12.5))
        for n in range(count)
    ]


def gateway_records(name: str, count: int) -> list[bytes]:
    """Return the first golden record of a format as so many calls, of their own time, path, client and id."""
    first = golden_records.cases(golden_records.FOLDER / name / "fields.jsonl")[0]
    entry: dict[str, Any] = json.loads(first["record"])
    records = []
    for number, path in enumerate(paths(count)):
        target, address = f"{path}?page=2", f"10.0.{number % 20}.{number % 250}"
        text = f"2023-11-14T22:{number // 60_000 % 60:02}:{number // 1000 % 60:02}.{number % 1000:03}"
        if name in {"kong", "apisix"}:
            entry |= {"kong": {"started_at": START + number}, "apisix": {"start_time": START + number}}[name]
            entry |= {"client_ip": address, "request": entry["request"] | {"uri": target, "id": f"{number:032x}"}}
        elif name == "traefik":
            entry |= {"StartUTC": f"{text}456789Z", "RequestPath": target, "ClientHost": address}
            entry["ClientAddr"] = f"{address}:{number % 50_000}"
        else:
            entry |= {"start_time": f"{text}Z", "path": target, "request_id": f"{number:032x}"}
            entry["downstream_remote_address"] = f"{address}:{number % 50_000}"
        records.append(msgspec.json.encode(entry))
    return records


def aws_records(count: int) -> list[bytes]:
    """Return records as the format of docs/gateways-cloud.md writes them; most endpoints are templates."""
    return [
        msgspec.json.encode(
            {
                "requestId": f"cdae69cd-4c98-a041-6e65-{n:012x}",
                "requestTimeEpoch": str(START + n),
                "ip": f"10.0.{n % 20}.{n % 250}",
                "user": "-",
                "caller": "-",
                "principalId": "-",
                "sub": f"client-{n % 5000}",
                "apiKeyId": "-",
                "httpMethod": "GET",
                "resourcePath": "/api/v1/users/{id}/orders",
                "path": f"/prod{path}",
                "stage": "prod",
                "status": "200",
                "responseLatency": str(n % 100),
            }
        )
        for n, path in enumerate(paths(count))
    ]


def spans(count: int) -> list[dict[str, object]]:
    """Return server spans with the attributes that the conventions require and recommend."""
    texts = {"http.request.method": "GET", "url.scheme": "https", "http.route": "/api/v1/users/{id}/orders"}
    return [
        {
            "traceId": f"cdae69cd4c98a0416e65{n:012x}",
            "spanId": f"{n:016x}",
            "parentSpanId": "",
            "name": "GET /api/v1/users/{id}/orders",
            "kind": 2,
            "startTimeUnixNano": str((START + n) * 1_000_000 + 123_456),
            "endTimeUnixNano": str((START + n) * 1_000_000 + 12_623_456),
            "attributes": [
                *({"key": name, "value": {"stringValue": text}} for name, text in texts.items()),
                {"key": "url.path", "value": {"stringValue": path}},
                {"key": "http.response.status_code", "value": {"intValue": "200"}},
                {"key": "client.address", "value": {"stringValue": f"10.0.{n % 20}.{n % 250}"}},
                {"key": "server.address", "value": {"stringValue": "api.example.com"}},
                {"key": "user_agent.original", "value": {"stringValue": "Mozilla/5.0 (compatible)"}},
            ],
            "status": {},
        }
        for n, path in enumerate(paths(count))
    ]


def otlp_records(count: int, batch: int) -> list[bytes]:
    """Return exports of so many spans each."""
    every = spans(count)
    batches = (every[first : first + batch] for first in range(0, count, batch))
    return [
        msgspec.json.encode({"resourceSpans": [{"resource": {}, "scopeSpans": [{"spans": batch}]}]})
        for batch in batches
    ]


def ocsf_records(count: int) -> list[bytes]:
    return [
        msgspec.json.encode(
            {
                "class_uid": 4002,
                "activity_id": 3,
                "time": START + n,
                "metadata": {"version": "1.8.0", "uid": f"cdae69cd4c98a0416e65{n:012x}"},
                "http_request": {"http_method": "GET", "url": {"path": path}},
                "http_response": {"code": 200, "latency": 12},
                "src_endpoint": {"ip": f"10.0.{n % 20}.{n % 250}"},
            }
        )
        for n, path in enumerate(paths(count))
    ]


def in_docker(records: list[bytes]) -> list[bytes]:
    return [msgspec.json.encode({"log": record.decode() + "\n", "stream": "stdout"}) for record in records]


def log_lines(count: int, end: bytes = b"") -> list[bytes]:
    lines = LOG.read_bytes().splitlines()
    return [line + end for line in itertools.islice(itertools.cycle(lines), count)]


def best(function: Callable[[bytes], object], records: list[bytes], repeat: int) -> float:
    """Return the seconds of the fastest run over all records."""
    fastest = float("inf")
    for _ in range(repeat):
        gc.collect()
        begin = time.process_time()
        for record in records:
            function(record)
        fastest = min(fastest, time.process_time() - begin)
    return fastest


def bare_line(record: bytes) -> object:
    return record.decode().split('"')


def route_rows(count: int, repeat: int) -> Iterable[tuple[str, float]]:
    """Yield µs a call of ``RouteTemplates.endpoint``, by what its caches can do."""
    kinds: dict[str, list[str]] = {
        "path seen before": list(paths(count)),
        "path never seen, numbers": [f"/api/v1/users/{n}/orders/{n * 7919}" for n in range(count)],
        "path never seen, hex": [f"/api/v1/files/{n * 2654435761 % 2**96:024x}/meta" for n in range(count)],
        "path never seen, file of a slug": [f"/blog/posts/how-to-do-{n}-things.html" for n in range(count)],
    }
    for name, targets in kinds.items():
        fastest = float("inf")
        for _ in range(repeat):
            endpoint = RouteTemplates().endpoint
            begin = time.process_time()
            for target in targets:
                endpoint("GET", target, 200)
            fastest = min(fastest, time.process_time() - begin)
        yield name, fastest / count * 1e6


def main() -> int:
    """Measure and print."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--records", type=int, default=200_000, help="records of each format (default %(default)s)")
    parser.add_argument("--repeat", type=int, default=5, help="runs, of which the fastest counts (default %(default)s)")
    arguments = parser.parse_args()
    count, repeat = arguments.records, arguments.repeat
    own, nginx, calls = gatewatch_records(count), nginx_records(count), call_records(count)
    lines, timed = log_lines(count), log_lines(count, b" 0.012")
    bare_own = msgspec.json.Decoder(Fields).decode
    bare_nginx = msgspec.json.Decoder(NginxFields).decode
    bare_call = msgspec.json.Decoder(ApiCall).decode
    aws, bare_aws = aws_records(count), msgspec.json.Decoder(aws_apigateway._Line).decode
    events, bare_event = ocsf_records(count), msgspec.json.Decoder(ocsf._Event).decode
    bare_docker = msgspec.json.Decoder(DockerFields).decode

    def bare_nginx_in_docker(record: bytes) -> object:
        return bare_nginx(bare_docker(record).log)

    rows: list[tuple[str, str, list[bytes], Callable[[bytes], object]]] = [
        ("gatewatch", "gatewatch", own, bare_own),
        ("nginx-json", "nginx-json", nginx, bare_nginx),
        ("combined", "combined", lines, bare_line),
        ("combined, with time", "combined", timed, bare_line),
        ("api-call", "api-call", calls, bare_call),
        ("aws-apigateway", "aws-apigateway", aws, bare_aws),
        ("otlp-json, a span a record", "otlp-json", otlp_records(count, 1), otlp._decode_export),
        ("otlp-json, 100 spans a record", "otlp-json", otlp_records(count, 100), otlp._decode_export),
        ("ocsf", "ocsf", events, bare_event),
        ("nginx-json in Docker's envelope", "nginx-json", in_docker(nginx), bare_nginx_in_docker),
        (
            "combined in CRI's envelope",
            "combined",
            [b"2016-10-06T00:17:09.669794202Z stdout F " + own for own in lines],
            bare_line,
        ),
        ("auto: gatewatch", "auto", own, bare_own),
        ("auto: nginx-json", "auto", nginx, bare_nginx),
        ("auto: combined", "auto", lines, bare_line),
        ("auto: aws-apigateway", "auto", aws, bare_aws),
        ("auto: ocsf", "auto", events, bare_event),
    ]
    for name, fields in GATEWAYS.items():
        entries, bare_gateway = gateway_records(name, count), msgspec.json.Decoder(fields).decode
        rows += [(name, name, entries, bare_gateway), (f"auto: {name}", "auto", entries, bare_gateway)]
    table = Table("records", "bytes each", "per second", "µs each", "bare µs", "ratio", title="decoding, one core")
    for title, name, records, bare in rows:
        decode = decoder(name, RouteTemplates())
        if any(decode(record).rejects for record in records):
            raise SystemExit(f"{title}: a record was rejected")
        seconds, reference = best(decode, records, repeat), best(bare, records, repeat)
        size = sum(map(len, records)) / count
        cells = [size, count / seconds, seconds / count * 1e6, reference / count * 1e6, seconds / reference]
        table.add_row(title, *(f"{cell:,.{digits}f}" for cell, digits in zip(cells, (0, 0, 2, 2, 1), strict=True)))
    routes = Table("RouteTemplates.endpoint", "µs each")
    for title, micros in route_rows(count, repeat):
        routes.add_row(title, f"{micros:.2f}")
    console = Console()
    console.print(table)
    console.print(routes)
    return 0


if __name__ == "__main__":
    sys.exit(main())
