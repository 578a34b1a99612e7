"""Style of all figures, on a light and on a dark background."""

import re
import warnings
from collections.abc import Iterable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from io import StringIO
from textwrap import fill
from typing import Any, Literal

import matplotlib as mpl
from matplotlib.artist import Artist
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.ticker import FuncFormatter, LogFormatter

WIDTH_IN, NARROW_IN = 10.0, 4.0  # of a figure: 960 pixels, or 384 for a phone
ROW_NAME_PT = 11  # from the middle of a row to the name above it
ROW_IN = 0.34  # height of a row with a name, such as a bar
LEGEND_LETTERS = 130  # in a line of `WIDTH_IN`; the sample of a line takes 6
LINE_LETTERS = 6
WORD_LETTERS = 32  # longer words, such as the name of a run, are shortened in figures
ROW_LETTERS = 60  # in a line of the name of a row
TITLE_LETTERS_PER_IN, LABEL_LETTERS_PER_IN = 10, 15  # of text next to axes
INK, MUTED, RULE = "#1b2430", "#5b6672", "#d9dee4"
ON_DARK = {INK: "#e8ebef", MUTED: "#9aa5b1", RULE: "#39424d"}

# Okabe and Ito's colours for all kinds of colour vision, without those that are too pale on white.
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
    "svg.fonttype": "none",  # text instead of outlines
    "svg.hashsalt": "wsseg",  # makes files reproducible
    "text.color": INK,
    "text.parse_math": False,  # names may contain dollar signs
    "xtick.color": MUTED,
    "xtick.labelsize": 8.5,
    "ytick.color": MUTED,
    "ytick.labelsize": 8.5,
}


@contextmanager
def drawing() -> Iterator[None]:
    """Use this style inside the block, and restore matplotlib's settings after it."""
    with mpl.rc_context(RC):
        yield


def colour(index: int) -> str:
    """Return the colour of the `index`-th method."""
    return COLOURS[index % len(COLOURS)]


def dash(index: int) -> str:
    """Return the line style of the `index`-th method; it changes when the colours repeat."""
    return DASHES[index // len(COLOURS) % len(DASHES)]


def colour_indices(order: Iterable[str], drawn: Iterable[str]) -> dict[str, int]:
    """Return the number of each method's colour: its place in `order`; the others follow."""
    return {name: index for index, name in enumerate(dict.fromkeys([*order, *drawn]))}


def quiet(axes: Axes, *, grid: str) -> None:
    """Draw grid lines of axis "x", "y" or "both" only, and no ticks."""
    axes.grid(visible=False)
    axes.grid(visible=True, axis=grid)  # type: ignore[arg-type]
    axes.tick_params(length=0)


def name_rows(axes: Axes, names: Sequence[str], width_in: float) -> None:
    """Write the names of horizontal rows: at their left, or above them if the figure is narrow."""
    if width_in > NARROW_IN:
        lines = ["\n".join(_wrapped(line, ROW_LETTERS) for line in n.split("\n")) for n in names]
        axes.set_yticks(range(len(names)), lines, color=INK)
        return
    axes.set_yticks([])
    for row, name in enumerate(names):
        axes.annotate(_wrapped(name.replace("\n", ", "), ROW_LETTERS), (0, row), (2, ROW_NAME_PT),
                      ("axes fraction", "data"), "offset points", va="bottom", color=INK,
                      fontsize=8)  # fmt: skip


def row_in(width_in: float) -> float:
    """Return the height of a horizontal row, with its name above it in a narrow figure."""
    return ROW_IN if width_in > NARROW_IN else 1.6 * ROW_IN


def panel_grid(count: int, width_in: float, least_in: float) -> tuple[int, int]:
    """Return the rows and columns of some panels that are at least so wide, in even rows."""
    most = max(1, int(width_in / least_in))
    rows = -(-count // most)
    return rows, -(-count // rows)


def use_percent(axes: Axes) -> None:
    """Label the ticks of the y-axis, which are shares, as percentages."""
    axes.yaxis.set_major_formatter(FuncFormatter(lambda share, _: f"{100 * share:g} %"))


class _PlainLogFormatter(LogFormatter):
    """Labels the ticks that matplotlib would, with numbers such as 0.02 instead of powers of 10."""

    def __call__(self, x: float, pos: int | None = None) -> str:
        """Return the label of a tick, or ''."""
        return f"{x:g}" if super().__call__(x, pos) else ""


def use_log_scale(axes: Axes, axis: Literal["x", "y"]) -> None:
    """Make an axis logarithmic.

    matplotlib's own labels are in mathematical markup, which is not parsed because names may
    contain dollar signs.
    """
    axes.set(**{f"{axis}scale": "log"})
    ticks = axes.xaxis if axis == "x" else axes.yaxis
    ticks.set_major_formatter(_PlainLogFormatter())
    ticks.set_minor_formatter(_PlainLogFormatter(labelOnlyBase=False))


def legend_above(figure: Figure, axes: Axes) -> None:
    """Draw the legend of `axes` above the figure, and make the figure higher for its lines."""
    handles, names = axes.get_legend_handles_labels()
    if names:
        lines = draw_legend(figure, dict(zip(names, handles, strict=True)))
        figure.set_figheight(figure.get_figheight() + 0.2 * (lines - 1))


def draw_legend(figure: Figure, handles: Mapping[str, Artist]) -> int:
    """Draw a legend above the figure in as many columns as fit; return its number of lines."""
    letters = int(figure.get_figwidth() / WIDTH_IN * LEGEND_LETTERS)
    names = [_wrapped(name, letters - LINE_LETTERS) for name in handles]
    longest = max((len(line) for name in names for line in name.split("\n")), default=0)
    columns = max(1, letters // (longest + LINE_LETTERS))
    figure.legend(handles.values(), names, loc="outside upper left", ncols=columns)
    most_lines = max((name.count("\n") + 1 for name in names), default=1)
    return -(-len(names) // columns) * most_lines


def shortened(text: str) -> str:
    """Return a text in which each word of more than `WORD_LETTERS` letters has only its ends."""
    end = WORD_LETTERS // 2
    return re.sub(
        rf"\S{{{WORD_LETTERS + 1},}}", lambda word: f"{word[0][:end]}…{word[0][1 - end :]}", text
    )


def full_names(names: Iterable[str]) -> str:
    """Return a sentence for a caption with the names that figures shorten, or ""."""
    long = [name for name in dict.fromkeys(names) if shortened(name) != name]
    return f" Names in full: {', '.join(long)}." if long else ""


def title_in(text: str, width_in: float) -> str:
    """Return the title of a panel of some width: long words are shortened, long lines wrapped."""
    return _wrapped(text, int(TITLE_LETTERS_PER_IN * width_in))


def _wrapped(text: str, letters: int) -> str:
    """Return a text with long words shortened, in lines of up to `letters` letters."""
    return fill(shortened(text), letters)


def _fit_labels(figure: Figure) -> None:
    """Wrap the labels of axes into their share of the figure."""
    for axes in figure.axes:
        grid = axes.get_gridspec()
        if grid is None:  # not one of several panels
            continue
        width, height = figure.get_figwidth() / grid.ncols, figure.get_figheight() / grid.nrows
        for label, length in ((axes.xaxis.label, width), (axes.yaxis.label, height)):
            label.set_text(_wrapped(label.get_text(), int(LABEL_LETTERS_PER_IN * length)))


def svg(figure: Figure) -> str:
    """Return a figure as SVG whose colours follow the reader's light or dark theme."""
    buffer = StringIO()
    _fit_labels(figure)
    with drawing(), warnings.catch_warnings():
        # The reader's browser chooses the font, so matplotlib's need not have every letter.
        warnings.filterwarnings("ignore", message="Glyph .* missing from font")
        figure.savefig(buffer, format="svg", metadata={"Date": None, "Creator": None})
    text = buffer.getvalue()
    text = text[text.index("<svg") :].replace("'DejaVu Sans'", "system-ui, sans-serif")
    for name in ON_DARK:
        text = text.replace(name, f"var(--c{name[1:]})")
    light = ";".join(f"--c{name[1:]}:{name}" for name in ON_DARK)
    dark = ";".join(f"--c{name[1:]}:{other}" for name, other in ON_DARK.items())
    style = f":root{{{light}}}@media(prefers-color-scheme:dark){{:root{{{dark}}}}}"
    return re.sub(r"(<svg[^>]*>)", rf"\1<style>{style}</style>", text, count=1)
