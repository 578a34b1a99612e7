"""Figure of the training curves, with alarms where the targets of EM fail."""

from collections.abc import Collection, Iterator, Mapping, Sequence
from typing import Any

from matplotlib.artist import Artist
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.ticker import MaxNLocator

from wsseg.report.figures.style import (
    INK,
    WIDTH_IN,
    colour,
    colour_indices,
    dash,
    draw_legend,
    drawing,
    panel_grid,
    quiet,
    title_in,
    use_percent,
)
from wsseg.training.log import Records
from wsseg.training.target_health import COLLAPSE, EXPLOSION, target_problem

PANEL_IN, MAX_PANEL_IN = 1.9, 2.5  # least and largest width of a panel
X_MARGIN = 0.04  # at each side, as a share of the epochs
Y_MARGIN = 0.06  # above the highest value, as a share of it
ALARM_MARKERS = {EXPLOSION: "^", COLLAPSE: "v"}
QUANTITIES = {  # key of the records → axis label
    "loss": "loss",
    "target_share": "targets, % of the region",
    "flip_rate": "flipped, % of the region",
    "found_share": "found, % of the region",
}
QUANTITIES_BY_LEARNING = {
    "em": ("target_share", "flip_rate"),
    "tags": ("found_share",),
    "method": ("found_share",),
}


def by_stage(curves: Mapping[str, Records]) -> dict[str, dict[str, Records]]:
    """Sort the records of each method by stage: stage → method → records."""
    stages: dict[str, dict[str, list[Mapping[str, Any]]]] = {}
    for method, records in curves.items():
        for record in records:
            stage = stages.setdefault(str(record.get("stage", "")), {})
            stage.setdefault(method, []).append(record)
    return {stage: dict(methods) for stage, methods in stages.items()}


def draw_training(
    curves: Mapping[str, Records],
    order: Sequence[str],
    collapsed: Collection[str] = (),
    width_in: float = WIDTH_IN,
) -> Figure:
    """Draw the loss of each stage, and the quantities that its kind of learning is monitored by.

    `order` gives the methods' colours. A triangle marks the first epoch in which the targets fill
    the region (pointing up) or have collapsed (pointing down). The scales are those of the methods
    that are not `collapsed`, if there are any.
    """
    stages = by_stage(curves)
    indices = colour_indices(order, curves)
    panels = [(stage, key) for stage, methods in stages.items() for key in quantities(methods)]
    rows, columns = panel_grid(len(panels), width_in, PANEL_IN)
    with drawing():
        figure = Figure(figsize=(min(width_in, MAX_PANEL_IN * columns), 2.35 * rows))
        grid = figure.subplots(rows, columns, squeeze=False).ravel()
        for axes, (stage, quantity) in zip(grid, panels, strict=False):
            _draw_panel(axes, stages[stage], quantity, indices, collapsed)
            axes.set(
                title=title_in(stage, figure.get_figwidth() / columns),
                xlabel="epoch",
                ylabel=QUANTITIES[quantity],
            )
        for axes in grid[len(panels) :]:
            axes.set_visible(False)
        legend = {label: line for axes in figure.axes for line, label in _legend(axes)}
        lines = draw_legend(figure, legend)
        figure.set_figheight(2.35 * rows + 0.2 * lines + 0.15)
    return figure


def first_alarms(records: Records) -> dict[str, float]:
    """Return the first epoch of each problem with the targets."""
    alarms: dict[str, float] = {}
    for record in records:
        problem = target_problem(record)
        if problem is not None:
            alarms.setdefault(problem, record["epoch"])
    return alarms


def quantities(methods: Mapping[str, Records]) -> list[str]:
    """Return the quantities that are drawn for the methods' kinds of learning."""
    kinds = {str(record.get("learn")) for records in methods.values() for record in records}
    shown = {"loss", *(key for kind in kinds for key in QUANTITIES_BY_LEARNING.get(kind, ()))}
    return [quantity for quantity in QUANTITIES if quantity in shown]


def _draw_panel(
    axes: Axes,
    methods: Mapping[str, Records],
    quantity: str,
    indices: Mapping[str, int],
    collapsed: Collection[str],
) -> None:
    curves = {name: _points(records, quantity) for name, records in methods.items()}
    curves = {name: points for name, points in curves.items() if points}
    top = _top({name: points for name, points in curves.items() if name not in collapsed} or curves)
    last = max((points[-1][0] for points in curves.values()), default=1)
    if len(curves) == len(indices) > 1 and len({str(points) for points in curves.values()}) == 1:
        _draw_line(axes, next(iter(curves.values())), color=INK, label="all methods")
        curves = {}
    for name, points in curves.items():
        shade, line = colour(indices[name]), dash(indices[name])
        _draw_line(axes, points, color=shade, ls=line, label=name)
        for problem, epoch in first_alarms(methods[name]).items():
            for value in (value for at, value in points if at == epoch):
                axes.plot(epoch, min(value, top), ALARM_MARKERS[problem], color=shade, markersize=7,
                          mec=INK, clip_on=False, zorder=3)  # fmt: skip
    axes.set(xlim=(1 - X_MARGIN * last, last + X_MARGIN * last), ylim=(0, top))
    axes.xaxis.set_major_locator(MaxNLocator(integer=True, min_n_ticks=1))
    if quantity != "loss":
        use_percent(axes)
    quiet(axes, grid="y")


def _top(curves: Mapping[str, Sequence[tuple[float, float]]]) -> float:
    """Return the upper end of a scale, above the highest value of all curves."""
    highest = max((value for points in curves.values() for _, value in points), default=0.0)
    return (1 + Y_MARGIN) * highest or 1.0


def _draw_line(axes: Axes, points: Sequence[tuple[float, float]], **style: Any) -> None:
    """Draw a line, or a dot for a single point."""
    axes.plot(*zip(*points, strict=True), marker="o" if len(points) == 1 else "None", **style)


def _legend(axes: Axes) -> Iterator[tuple[Artist, str]]:
    return zip(*axes.get_legend_handles_labels(), strict=True)


def _points(records: Records, quantity: str) -> list[tuple[float, float]]:
    """Return (epoch, value) of each epoch; records without numbers are left out."""
    return [
        (float(record["epoch"]), float(record[quantity]))
        for record in records
        if isinstance(record.get("epoch"), int | float)
        and isinstance(record.get(quantity), int | float)
    ]
