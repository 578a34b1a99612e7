"""Training curves, with what tells whether EM goes well."""

from collections.abc import Iterator, Mapping, Sequence
from typing import Any

from matplotlib.artist import Artist
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.ticker import MaxNLocator

from wsseg.report.figures.methods import PANELS
from wsseg.report.figures.style import INK, LEGEND_LETTERS, WIDTH_IN, colour, dash, drawing, quiet
from wsseg.training.log import Records
from wsseg.training.monitoring import COLLAPSE, EXPLOSION, trouble

X_MARGIN = 0.04  # of the epochs, to each side
ALARMS = {EXPLOSION: "^", COLLAPSE: "v"}
QUANTITIES = {
    "loss": "loss",
    "target_share": "targets / region",
    "flip_rate": "flipped targets / region",
    "found_share": "found / region",
}
WATCHED = {"em": ("target_share", "flip_rate"), "tags": ("found_share",)}


def by_stage(curves: Mapping[str, Records]) -> dict[str, dict[str, Records]]:
    """Return stage → method → records; a warning goes with the epochs of its stage."""
    stages: dict[str, dict[str, list[Mapping[str, Any]]]] = {}
    for name, records in curves.items():
        for record in records:
            stages.setdefault(str(record.get("stage", "")), {}).setdefault(name, []).append(record)
    return {stage: dict(found) for stage, found in stages.items()}


def training(curves: Mapping[str, Records], order: Sequence[str]) -> Figure:
    """Draw each stage's loss, and what its kind of learning is watched by: `WATCHED`.

    `order` gives the methods' colours. A triangle marks the first epoch of trouble with the
    targets: upright where they fill the region, upside down where they have collapsed.
    """
    stages = by_stage(curves)
    places = {name: place for place, name in enumerate(dict.fromkeys([*order, *curves]))}
    wanted = [(stage, q) for stage, found in stages.items() for q in _quantities(found)]
    lines = -(-len(wanted) // PANELS)
    with drawing():
        figure = Figure(figsize=(WIDTH_IN, 2.35 * lines))
        panels = figure.subplots(lines, PANELS, squeeze=False).ravel()
        for axes, (stage, quantity) in zip(panels, wanted, strict=False):
            _panel(axes, stages[stage], quantity, places)
            axes.set(title=stage, xlabel="epoch", ylabel=QUANTITIES[quantity])
        for axes in panels[len(wanted) :]:
            axes.set_visible(False)
        key = {label: line for axes in figure.axes for line, label in _legend(axes)}
        columns = max(1, LEGEND_LETTERS // (max(map(len, key), default=0) + 6))
        figure.legend(key.values(), key.keys(), loc="outside upper left", ncols=columns)
        figure.set_figheight(2.35 * lines + 0.2 * -(-len(key) // columns) + 0.15)
    return figure


def first_alarms(records: Records) -> dict[str, float]:
    """Return the first epoch of each kind of trouble with the targets."""
    found: dict[str, float] = {}
    for record in records:
        kind = trouble(record)
        if kind is not None:
            found.setdefault(kind, record["epoch"])
    return found


def _quantities(found: Mapping[str, Records]) -> list[str]:
    kinds = {str(record.get("learn")) for records in found.values() for record in records}
    watched = {quantity for kind in kinds for quantity in WATCHED.get(kind, ())}
    return [quantity for quantity in QUANTITIES if quantity in {"loss", *watched}]


def _panel(
    axes: Axes, found: Mapping[str, Records], quantity: str, places: Mapping[str, int]
) -> None:
    drawn = {name: _points(records, quantity) for name, records in found.items()}
    drawn = {name: points for name, points in drawn.items() if points}
    last = max((points[-1][0] for points in drawn.values()), default=1)
    if len(drawn) == len(places) > 1 and len({str(points) for points in drawn.values()}) == 1:
        _line(axes, next(iter(drawn.values())), color=INK, label="all methods")
        drawn = {}
    for name, points in drawn.items():
        shade, line = colour(places[name]), dash(places[name])
        _line(axes, points, color=shade, ls=line, label=name)
        for kind, epoch in first_alarms(found[name]).items():
            for alarm in (point for point in points if point[0] == epoch):
                axes.plot(*alarm, ALARMS[kind], color=shade, markersize=7, mec=INK, clip_on=False,
                          zorder=3)  # fmt: skip
    axes.set_xlim(1 - X_MARGIN * last, last + X_MARGIN * last)
    axes.xaxis.set_major_locator(MaxNLocator(integer=True, min_n_ticks=1))
    axes.set_ylim(bottom=0)
    quiet(axes, grid="y")


def _line(axes: Axes, points: Sequence[tuple[float, float]], **look: Any) -> None:
    """Draw a line; one of a single point has no length, and is a dot."""
    axes.plot(*zip(*points, strict=True), marker="o" if len(points) == 1 else "None", **look)


def _legend(axes: Axes) -> Iterator[tuple[Artist, str]]:
    return zip(*axes.get_legend_handles_labels(), strict=True)


def _points(records: Records, quantity: str) -> list[tuple[float, float]]:
    return [
        (float(record["epoch"]), float(record[quantity]))
        for record in records
        if record.get("event") == "epoch"
        and isinstance(record.get("epoch"), int | float)
        and isinstance(record.get(quantity), int | float)
    ]
