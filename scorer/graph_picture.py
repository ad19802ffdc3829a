"""Picture of a session's call graph; the same graph gives the same bytes."""

import io
from collections import Counter
from collections.abc import Collection, Mapping
from typing import Final

import matplotlib as mpl
import networkx as nx
from matplotlib.figure import Figure

from scorer.plots import ANOMALOUS, BENIGN, DPI, NEUTRAL

MOST_ENDPOINTS: Final = 40
"""More would be a picture of lines."""

_SIZE = (11.0, 8.0)  # inches

Edge = tuple[str, str]


def graph_picture(transitions: Mapping[Edge, int], rare: Collection[Edge], title: str, form: str) -> bytes:
    """Return a call graph: the more often a transition was made the wider its arrow, rare ones in another colour.

    Of a graph with more than MOST_ENDPOINTS endpoints the most walked ones are shown, those of rare transitions first.

    Args:
        transitions: how often each was made.
        rare: transitions that hardly anybody makes.
        title: above the picture.
        form: ``svg`` or ``png``.
    """
    shown = _most_telling(transitions, rare)
    graph: nx.DiGraph[str] = nx.DiGraph()
    graph.add_nodes_from(sorted(shown))
    graph.add_edges_from(sorted(edge for edge in transitions if shown.issuperset(edge)))
    places = nx.spring_layout(graph, k=2.2 / max(1, len(shown)) ** 0.5, iterations=200, seed=0)
    figure = Figure(figsize=_SIZE, dpi=DPI, layout="constrained")
    axes = figure.add_subplot()
    axes.axis("off")
    axes.margins(0.12)
    endpoints = {end for edge in transitions for end in edge}
    more = f" (the {len(shown)} most telling of {len(endpoints)} endpoints)" if len(shown) < len(endpoints) else ""
    axes.set_title(title + more, fontsize=11, loc="left")
    rare = set(rare)
    most = max(transitions.values(), default=1)
    edges = list(graph.edges)
    nx.draw_networkx_nodes(graph, places, ax=axes, node_size=120, node_color=BENIGN)
    nx.draw_networkx_edges(
        graph,
        places,
        edgelist=edges,
        ax=axes,
        node_size=120,
        width=[0.8 + 3.2 * transitions[edge] / most for edge in edges],
        edge_color=[ANOMALOUS if edge in rare else NEUTRAL for edge in edges],
        connectionstyle="arc3,rad=0.12",
        arrowsize=12,
    )
    above = {node: (x, y + 0.05) for node, (x, y) in places.items()}
    nx.draw_networkx_labels(graph, above, ax=axes, font_size=8)
    return _written(figure, form)


def _most_telling(transitions: Mapping[Edge, int], rare: Collection[Edge]) -> set[str]:
    walked = Counter[str]()
    for (source, destination), count in transitions.items():
        walked[source] += count
        walked[destination] += count
    first = [end for edge in rare if edge in transitions for end in edge]
    ordered = dict.fromkeys([*first, *sorted(walked, key=lambda name: (-walked[name], name))])
    return set(list(ordered)[:MOST_ENDPOINTS])


def _written(figure: Figure, form: str) -> bytes:
    made = io.BytesIO()
    # Names in an SVG are drawn from this, and would differ each time; a date would too.
    with mpl.rc_context({"svg.hashsalt": "gatewatch", "svg.fonttype": "none"}):
        figure.savefig(made, format=form, metadata={"Date": None} if form == "svg" else None)
    return made.getvalue()
