"""The page of a report needs nothing else, and says what was measured."""

import io
import re
from html.parser import HTMLParser

import msgspec
import pytest
from PIL import Image

from scorer.detector_page import CAPTIONS, page
from scorer.detector_pictures import pictures
from scorer.detector_report import DetectorReport, drifted, measure
from scorer.markup import cards, images, section, table
from tests.pictures import MOST_BYTES
from tests.recordings import MADE_SCORER, Made, make_day, make_recording
from tests.test_detection import MANIFEST


@pytest.fixture(scope="module")
def report() -> DetectorReport:
    recording = make_day()
    nobody = recording.vectors.attacked & False
    drift = [drifted(recording, recording, name="none", what="the log as it is", added=nobody, since=0)]
    thresholds = MANIFEST.thresholds
    return measure(
        recording, MANIFEST, thresholds, files="a<b>.log", budget=50.0, seed=0, drift=drift, scorer=MADE_SCORER
    )


@pytest.fixture(scope="module")
def plots(report: DetectorReport) -> dict[str, bytes]:
    return pictures(report, make_day())


class Tags(HTMLParser):
    """Tags that are open, and everything that a browser might fetch."""

    def __init__(self, text: str) -> None:
        super().__init__()
        self.open: list[str] = []
        self.used: set[str] = set()
        self.sources: list[str] = []
        self.feed(text)

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.used.add(tag)
        self.sources += [value or "" for name, value in attrs if name in {"src", "href", "srcset", "data"}]
        if tag not in {"meta", "img"}:
            self.open.append(tag)

    def handle_endtag(self, tag: str) -> None:
        assert self.open.pop() == tag


def test_the_page_is_whole_and_fetches_nothing(report: DetectorReport, plots: dict[str, bytes]) -> None:
    text = page(report, plots)
    tags = Tags(text)

    assert not tags.open
    assert not tags.used & {"script", "link", "iframe", "object"}
    assert len(tags.sources) == len(CAPTIONS)
    assert all(source.startswith("data:image/png;base64,") for source in tags.sources)
    assert "url(" not in text
    assert "http" not in re.sub(r"base64,[^\"]*", "", text)


def test_every_plot_is_a_picture_with_a_caption(plots: dict[str, bytes]) -> None:
    assert set(plots) == set(CAPTIONS)
    for data in plots.values():
        picture = Image.open(io.BytesIO(data))
        assert min(picture.size) >= 120
        assert len(picture.convert("RGB").getcolors(1 << 20) or []) > 10
        assert len(data) <= MOST_BYTES


def test_the_page_says_what_the_report_says(report: DetectorReport, plots: dict[str, bytes]) -> None:
    text = page(report, plots)

    assert report.comparison is not None
    for name in (*(kind.attack for kind in report.detected.kinds), *(own.name for own in report.comparison.detectors)):
        assert f"<td>{name}</td>" in text
    assert report.ablation is not None
    for loss in report.ablation.losses:
        assert f"<td>{loss.group}</td>" in text
    assert f"<b>{100 * report.detected.found_by_client.value:.0f} %</b>" in text
    assert f"<b>{1000 * report.detected.false_alerts.value:.1f}</b>" in text
    assert "a&lt;b&gt;.log: " in text


def test_a_report_without_comparison_drift_or_an_attack_found_is_a_page_too() -> None:
    recording = make_recording(Made("aaaa", attack="scan"), *(Made("ab", start=n) for n in range(1, 6)))
    report = measure(recording, MANIFEST, MANIFEST.thresholds, files="x", budget=None, seed=0, drift=[])

    text = page(report, pictures(report, recording))

    assert "Not compared: " in text
    assert "no attack</h2>" not in text
    assert "groups of features" not in text
    assert "<b>0 %</b>" in text


def test_the_document_is_json_that_holds_every_measure(report: DetectorReport) -> None:
    document = report.document()

    assert set(document) == set(DetectorReport.__struct_fields__)
    assert document["detected"]["overall"]["found"]["of"] == report.traffic.attacked
    assert msgspec.convert(document, DetectorReport) == report


def test_text_is_escaped_everywhere() -> None:
    pieces = [
        section("<i>", "x"),
        cards([("<i>", "<i>")]),
        table(["<i>"], [["<i>"]]),
        images([('"><i>', b"")]),
    ]

    assert not any("<i>" in piece for piece in pieces)


def test_a_section_without_content_has_no_heading() -> None:
    assert section("Title", "", "") == ""
