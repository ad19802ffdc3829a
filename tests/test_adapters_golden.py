"""Every trap of the input formats, as records with what must become of them."""

import json
from typing import Any

import msgspec
import pytest

from featurizer.routes import RouteTemplates
from stream.adapters import FORMATS, decoder
from tests import golden_records
from tests.golden_records import as_bytes


def cases() -> list[Any]:
    return [
        pytest.param(file.parent.name, case, id=f"{file.parent.name}/{file.stem}:{number}")
        for file in golden_records.files()
        for number, case in enumerate(golden_records.cases(file), start=1)
    ]


@pytest.mark.parametrize(("format_name", "case"), cases())
def test_golden_record(format_name: str, case: dict[str, Any]) -> None:
    record = None if case["record"] is None else as_bytes(case["record"])

    decoded = decoder(format_name, RouteTemplates())(record)

    assert [list(msgspec.structs.astuple(call)) for call in decoded.calls] == case["calls"], case["case"]
    expected = [
        (r["reason"], r["detail"], r.get("index"), as_bytes(r["original"]) if "original" in r else record or b"")
        for r in case["rejects"]
    ]
    assert [(str(r.reason), r.detail, r.index, r.original) for r in decoded.rejects] == expected, case["case"]
    assert decoded.format == case.get("format", format_name)
    assert decoded.ignored == case.get("ignored", 0), case["case"]


def test_every_format_has_golden_records() -> None:
    assert {file.parent.name for file in golden_records.files()} == set(FORMATS)


def test_no_secret_of_the_golden_records_reaches_a_call_or_a_detail() -> None:
    """Query strings, headers and bodies in the cases all say ``secret``."""
    for parameters in cases():
        case = parameters.values[1]
        assert "secret" not in json.dumps(case["calls"]), case["case"]
        assert not any("secret" in reject["detail"] for reject in case["rejects"]), case["case"]
