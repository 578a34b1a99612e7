"""How every figure looks, on light and on dark paper."""

import re
from collections.abc import Iterator
from contextlib import contextmanager
from io import BytesIO, StringIO
from typing import Any

import matplotlib as mpl
from matplotlib.axes import Axes
from matplotlib.figure import Figure

WIDTH_IN = 10.0  # of the page's text: 960 pixels
SCAN_DPI = 150  # of a picture of scans: more than a screen shows, small enough for dozens
LEGEND_LETTERS = 130  # in a line of that width, with 6 for each sample
INK, MUTED, RULE = "#1b2430", "#5b6672", "#d9dee4"
ON_DARK = {INK: "#e8ebef", MUTED: "#9aa5b1", RULE: "#39424d"}

# Okabe and Ito's colours, told apart with any colour vision, without those that vanish on white.
COLOURS = ("#2b7bba", "#e08e00", "#009e73", "#cc79a7", "#56b4e9", "#d55e00")
DASHES = ("-", "--", ":", "-.")

RC: dict[Any, Any] = {
    "axes.edgecolor": MUTED,
    "axes.grid": True,
    "axes.labelcolor": INK,
    "axes.labelsize": 9,
    "axes.linewidth": 0.8,
    "axes.spines.right": False,
    "axes.spines.top": False,
    "axes.titlelocation": "left",
    "axes.titlesize": 9.5,
    "axes.titleweight": "bold",
    "axes.axisbelow": True,
    "figure.constrained_layout.use": True,
    "figure.constrained_layout.w_pad": 0.08,
    "font.family": ["DejaVu Sans"],
    "font.size": 9,
    "grid.color": RULE,
    "grid.linewidth": 0.6,
    "legend.frameon": False,
    "legend.fontsize": 8.5,
    "lines.linewidth": 1.6,
    "savefig.transparent": True,
    "svg.fonttype": "none",  # text stays text
    "svg.hashsalt": "wsseg",  # the same figure, the same bytes
    "text.color": INK,
    "text.parse_math": False,  # a name may hold dollar signs
    "xtick.color": MUTED,
    "xtick.labelsize": 8.5,
    "ytick.color": MUTED,
    "ytick.labelsize": 8.5,
}


@contextmanager
def drawing() -> Iterator[None]:
    """Draw in this style inside the block; no state is left behind."""
    with mpl.rc_context(RC):
        yield


def colour(index: int) -> str:
    """Return the colour of the `index`-th method."""
    return COLOURS[index % len(COLOURS)]


def dash(index: int) -> str:
    """Return the line style of the `index`-th method: another one where colours start again."""
    return DASHES[index // len(COLOURS) % len(DASHES)]


def quiet(axes: Axes, *, grid: str) -> None:
    """Keep only the grid lines that help to read values: those of axis "x", "y" or "both"."""
    axes.grid(visible=False)
    axes.grid(visible=True, axis=grid)  # type: ignore[arg-type]
    axes.tick_params(length=0)


def row_of_legends(figure: Figure, axes: Axes) -> None:
    """Name the lines of `axes` above the figure, as many side by side as there is room for."""
    lines, names = axes.get_legend_handles_labels()
    if names:
        letters = figure.get_figwidth() / WIDTH_IN * LEGEND_LETTERS
        columns = max(1, int(letters / (max(map(len, names)) + 6)))
        figure.legend(lines, names, loc="outside upper left", ncols=columns)
        rows = -(-len(names) // columns)
        figure.set_figheight(figure.get_figheight() + 0.2 * (rows - 1))


def svg(figure: Figure) -> str:
    """Return a figure as SVG whose ink follows the reader's light or dark theme."""
    buffer = StringIO()
    with drawing():
        figure.savefig(buffer, format="svg", metadata={"Date": None, "Creator": None})
    text = buffer.getvalue()
    text = text[text.index("<svg") :].replace("'DejaVu Sans'", "system-ui, sans-serif")
    for name in ON_DARK:
        text = text.replace(name, f"var(--c{name[1:]})")
    light = ";".join(f"--c{name[1:]}:{name}" for name in ON_DARK)
    dark = ";".join(f"--c{name[1:]}:{other}" for name, other in ON_DARK.items())
    style = f":root{{{light}}}@media(prefers-color-scheme:dark){{:root{{{dark}}}}}"
    return re.sub(r"(<svg[^>]*>)", rf"\1<style>{style}</style>", text, count=1)


def webp(figure: Figure) -> bytes:
    """Return a figure as a picture, for what is no line drawing."""
    buffer = BytesIO()
    with drawing():
        figure.savefig(
            buffer, format="webp", dpi=SCAN_DPI, transparent=False, pil_kwargs={"quality": 88}
        )
    return buffer.getvalue()
