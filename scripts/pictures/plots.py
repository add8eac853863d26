"""A figure as SVG, with what was done to the platform shaded."""

import io
import math
from collections.abc import Sequence
from typing import Any

import matplotlib as mpl
from matplotlib.axes import Axes
from matplotlib.figure import Figure as Canvas
from scripts.pictures.course import Moment
from scripts.pictures.figures import Figure, Panel
from scripts.pictures.ranges import Line, Ranges

# Colours that stay apart for those who see fewer of them (Okabe and Ito).
_COLOURS = ("#0072b2", "#d55e00", "#009e73", "#cc79a7", "#e69f00", "#56b4e9", "#7f7f7f", "#332288")
# A service has the same one in every panel.
_SERVICES = dict(zip(("gateway", "embedder", "retriever", "generator"), _COLOURS, strict=False))
_SHADES = ("#f3e3c8", "#dfe4ee", "#e4eedf")
_INCHES_WIDE, _INCHES_HEAD, _INCHES_PANEL = 9.0, 0.75, 2.1
_STYLE: Any = {
    # As text: small, and it can be searched; without the font another sans serif does.
    "svg.fonttype": "none",
    # Ids that are the same in every run.
    "svg.hashsalt": "rag",
    "font.family": "DejaVu Sans",
    "font.size": 9,
    "axes.titlesize": 10,
    "axes.titleweight": "bold",
    "axes.titlelocation": "left",
    "axes.spines.top": False,
    "axes.spines.right": False,
    "axes.grid": True,
    "axes.grid.axis": "y",
    "axes.axisbelow": True,
    "grid.color": "#dddddd",
    "grid.linewidth": 0.6,
    "legend.frameon": False,
    "path.simplify_threshold": 0.5,
}


def drawn(figure: Figure, ranges: Ranges, moments: Sequence[Moment]) -> str:
    """The picture. Raises StartFailed where Prometheus has nothing to draw."""
    with mpl.rc_context(_STYLE):
        height = _INCHES_HEAD + _INCHES_PANEL * len(figure.panels)
        canvas = Canvas(figsize=(_INCHES_WIDE, height), layout="constrained")
        every = canvas.subplots(len(figure.panels), 1, sharex=True, squeeze=False)[:, 0]
        for axes, panel in zip(every, figure.panels, strict=True):
            _panel(axes, panel, ranges)
            _shade(axes, moments, ranges.began)
        _name(every[0], moments, ranges.began)
        every[-1].set_xlim(0, ranges.ended - ranges.began)
        every[-1].set_xlabel("seconds")
        return _svg(canvas)


def _panel(axes: Axes, panel: Panel, ranges: Ranges) -> None:
    lines = [line for query in panel.queries for line in ranges.lines(*query)]
    lines = [line for line in lines if any(value > 0 for value in line.values)] or lines
    if panel.stacked:
        _stack(axes, panel, lines)
    else:
        _curves(axes, panel, lines)
    axes.set_title(panel.title)
    axes.set_ylabel(panel.unit)
    if panel.logarithmic:
        axes.set_yscale("log")
        axes.yaxis.set_major_formatter("{x:g}")
    else:
        axes.set_ylim(bottom=0)
    axes.margins(y=0.12)
    axes.legend(loc="upper left", bbox_to_anchor=(1.0, 1.0), reverse=panel.stacked)


def _curves(axes: Axes, panel: Panel, lines: Sequence[Line]) -> None:
    for colour, line in zip(_colours(lines), lines, strict=True):
        values = [value * panel.scale for value in line.values]
        style = "--" if line.label in panel.dashed else "-"
        axes.plot(line.seconds, values, style, color=colour, label=line.label, linewidth=1.5)


def _stack(axes: Axes, panel: Panel, lines: Sequence[Line]) -> None:
    heights = [
        [0.0 if math.isnan(value) else value * panel.scale for value in line.values]
        for line in lines
    ]
    labels = [line.label for line in lines]
    axes.stackplot(
        lines[0].seconds, heights, labels=labels, colors=_colours(lines), linewidth=0, alpha=0.9
    )


def _colours(lines: Sequence[Line]) -> list[str]:
    return [
        _SERVICES.get(line.label, _COLOURS[at % len(_COLOURS)]) for at, line in enumerate(lines)
    ]


def _shade(axes: Axes, moments: Sequence[Moment], began: float) -> None:
    for shade, moment in zip(_SHADES, moments, strict=False):
        axes.axvspan(moment.began - began, moment.ended - began, color=shade, zorder=0, lw=0)


def _name(axes: Axes, moments: Sequence[Moment], began: float) -> None:
    """Each moment above the uppermost panel, where it is shaded, and that panel's title above these."""
    axes.set_title(axes.get_title("left"), pad=16)
    for moment in moments:
        axes.annotate(
            moment.label,
            ((moment.began + moment.ended) / 2 - began, 1.0),
            (0, 3),
            xycoords=("data", "axes fraction"),
            textcoords="offset points",
            ha="center",
            fontsize=8,
            color="#555555",
        )


def _svg(canvas: Canvas) -> str:
    """Without what names the day, the program and a document type elsewhere."""
    written = io.StringIO()
    nothing = dict.fromkeys(("Date", "Creator", "Format", "Type"))
    canvas.savefig(written, format="svg", facecolor="white", metadata=nothing)
    found = written.getvalue()
    return found[found.index("<svg") :]
