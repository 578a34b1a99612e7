"""Draw docs/data_flow.svg: one training step of a stage that learns from tags by EM.

Run: .venv/bin/python docs/data_flow.py
"""

from pathlib import Path
from typing import NamedTuple

from wsseg.tools import write_text

WIDTH, HEIGHT = 900, 330
PLUGIN, CORE, INK, ARROW = "#d8f0e3", "#f1f3f5", "#1f2933", "#52606d"
MIDDLE, TOP, BOTTOM = 175, 85, 265  # rows


class Box(NamedTuple):
    """A box with a heading and lines of small text below it."""

    x: int  # of its left side
    y: int  # of its middle
    width: int
    heading: str
    lines: tuple[str, ...]
    plugin: bool = False


BOXES = (
    Box(20, MIDDLE, 150, "Batch", ("image, region, tags", "(no pixel labels)")),
    Box(
        245,
        TOP,
        150,
        "Backbone",
        ("builds the network that", "predicts f from slices"),
        plugin=True,
    ),
    Box(245, BOTTOM, 150, "Prior", ("predicts φ from the", "image alone"), plugin=True),
    Box(
        475,
        MIDDLE,
        180,
        "Evidence",
        ("logit f + logit φ; −∞ where", "region or tag excludes a class"),
    ),
    Box(735, MIDDLE, 145, "EStep", ("chooses the targets y,", "hard or soft"), plugin=True),
    Box(735, TOP, 145, "Loss", ("compares f with y",), plugin=True),
)
ARROWS = (
    "M170 160 H205 V85 H241",  # Batch to Backbone
    "M170 190 H205 V265 H241",  # Batch to Prior
    "M395 85 H731",  # Backbone to Loss
    "M565 85 V139",  # Backbone to Evidence
    "M395 265 H565 V211",  # Prior to Evidence
    "M655 175 H731",  # Evidence to EStep
    "M807 143 V113",  # EStep to Loss
    "M807 61 V24 H320 V51",  # Loss to Backbone
)
LABELS = (
    (480, 77, "logit f", "middle"),
    (480, 257, "φ (½: no opinion)", "middle"),
    (817, 133, "y", "start"),
    (563, 16, "an optimiser step updates the weights of the network", "middle"),
    (715, 262, "green: a part you can write", "start"),
    (715, 282, "grey: provided by wsseg", "start"),
)


def svg() -> str:
    """Return the picture as SVG."""
    return "\n".join(
        [
            (
                f'<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 {WIDTH} {HEIGHT}" '
                f'width="{WIDTH}" height="{HEIGHT}" role="img" font-family="sans-serif">'
            ),
            "<title>One training step: batch, backbone and prior, evidence, E-step, loss</title>",
            (
                '<defs><marker id="tip" viewBox="0 0 8 8" refX="7" refY="4" markerWidth="8" '
                f'markerHeight="8" orient="auto"><path d="M0 0 L8 4 L0 8 z" fill="{ARROW}"/>'
                "</marker></defs>"
            ),
            f'<rect width="{WIDTH}" height="{HEIGHT}" rx="8" fill="white"/>',
            *(
                f'<path d="{path}" fill="none" stroke="{ARROW}" stroke-width="1.6" '
                'stroke-linejoin="round" marker-end="url(#tip)"/>'
                for path in ARROWS
            ),
            *(element for box in BOXES for element in _box(box)),
            *(_text(x, y, words, anchor=anchor) for x, y, words, anchor in LABELS),
            "</svg>",
            "",
        ]
    )


def _box(box: Box) -> list[str]:
    height = 32 + 16 * len(box.lines)
    middle, top = box.x + box.width // 2, box.y - height // 2
    fill, edge = (PLUGIN, "#2f9e6b") if box.plugin else (CORE, "#adb5bd")
    return [
        (
            f'<rect x="{box.x}" y="{top}" width="{box.width}" height="{height}" rx="7" '
            f'fill="{fill}" stroke="{edge}" stroke-width="1.6"/>'
        ),
        _text(middle, top + 21, box.heading, size=16, weight="bold"),
        *(_text(middle, top + 39 + 16 * i, line) for i, line in enumerate(box.lines)),
    ]


def _text(
    x: int, y: int, words: str, *, size: int = 13, weight: str = "normal", anchor: str = "middle"
) -> str:
    return (
        f'<text x="{x}" y="{y}" font-size="{size}" font-weight="{weight}" '
        f'text-anchor="{anchor}" fill="{INK}">{words}</text>'
    )


if __name__ == "__main__":
    write_text(Path(__file__).with_suffix(".svg"), svg())
