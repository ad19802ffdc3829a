"""Markup: the pieces of an HTML page that needs nothing else, no script and no network. All text is escaped."""

import base64
from collections.abc import Collection, Sequence
from html import escape

_STYLE = """
body{font:16px/1.5 system-ui,sans-serif;color:#1a1a1a;background:#fff;max-width:72rem;margin:2rem auto;padding:0 1rem}
h1{font-size:1.6rem;margin:0}h2{font-size:1.2rem;margin:2.2rem 0 .4rem;border-top:1px solid #ddd;padding-top:1.2rem}
p,li{max-width:50rem}p{margin:.4rem 0}.quiet{color:#555;font-size:.88rem}
.cards{display:grid;grid-template-columns:repeat(auto-fit,minmax(11rem,1fr));gap:.8rem;margin:1.2rem 0}
.card{border:1px solid #ccc;border-radius:.5rem;padding:.7rem .9rem;font-size:.92rem}
.card b{display:block;font-size:1.7rem;line-height:1.2}
.scroll{overflow-x:auto}table{border-collapse:collapse;font-size:.88rem;margin:.6rem 0}
th,td{text-align:right;padding:.25rem .6rem;border-bottom:1px solid #e4e4e4;font-variant-numeric:tabular-nums}
td{white-space:nowrap}th:first-child,td:first-child{text-align:left}th{border-color:#888;vertical-align:bottom}
tr.own{font-weight:600;background:#eef5fb}img{max-width:100%;height:auto}
.figures{display:flex;flex-wrap:wrap;gap:1rem;align-items:flex-start}.figures img{max-width:min(100%,32rem)}
.figures img.wide{max-width:100%}
""".strip()


def document(title: str, body: Sequence[str]) -> str:
    """Return a page of pieces."""
    head = (
        '<meta charset="utf-8"><meta name="viewport" content="width=device-width">'
        f"<title>{escape(title)}</title><style>{_STYLE}</style>"
    )
    content = "\n".join([f"<h1>{escape(title)}</h1>", *body])
    return f'<!doctype html>\n<html lang="en"><head>{head}</head>\n<body>\n{content}\n</body></html>\n'


def section(heading: str, *pieces: str) -> str:
    """Return a heading with its pieces; nothing when all of them are empty."""
    return f"<h2>{escape(heading)}</h2>\n" + "\n".join(pieces) if any(pieces) else ""


def cards(figures: Sequence[tuple[str, str]]) -> str:
    """Return large figures, each with what it means below."""
    made = (f'<div class="card"><b>{escape(large)}</b>{escape(small)}</div>' for large, small in figures)
    return f'<div class="cards">{"".join(made)}</div>'


def table(header: Sequence[str], rows: Sequence[Sequence[str]], marked: Collection[int] = ()) -> str:
    """Return a table; marked rows stand out."""
    lines = [_row("th", header, "")]
    lines += [_row("td", row, ' class="own"' if number in marked else "") for number, row in enumerate(rows)]
    return f'<div class="scroll"><table>{"".join(lines)}</table></div>'


def note(text: str) -> str:
    """Return a paragraph in small print."""
    return f'<p class="quiet">{escape(text)}</p>'


def items(texts: Sequence[str]) -> str:
    """Return a list in small print."""
    made = "".join(f"<li>{escape(text)}</li>" for text in texts)
    return f'<ul class="quiet">{made}</ul>' if texts else ""


def folded(summary: str, piece: str) -> str:
    """Return a piece that is shown when it is asked for."""
    return f"<details><summary>{escape(summary)}</summary>{piece}</details>"


def images(pictures: Sequence[tuple[str, bytes]], *, wide: bool = False) -> str:
    """Return PNG pictures side by side, each with what it shows in words for readers who cannot see it."""
    kind = ' class="wide"' if wide else ""
    made = (
        f'<img{kind} alt="{escape(shows)}" src="data:image/png;base64,{base64.b64encode(data).decode()}">'
        for shows, data in pictures
    )
    return f'<div class="figures">{"".join(made)}</div>' if pictures else ""


def _row(cell: str, texts: Sequence[str], kind: str) -> str:
    return f"<tr{kind}>" + "".join(f"<{cell}>{escape(text)}</{cell}>" for text in texts) + "</tr>"
