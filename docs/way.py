"""Draws docs/way.svg: the data's way in a stage that learns from tags.

Run: .venv/bin/python docs/way.py
"""

from pathlib import Path
from typing import NamedTuple

from wsseg.runtime.files import write_text

WIDTH, HEIGHT = 900, 330
YOURS, OURS, INK, SOFT = "#d8f0e3", "#f1f3f5", "#1f2933", "#52606d"
MIDDLE, TOP, BOTTOM = 175, 85, 265  # rows


class Box(NamedTuple):
    """A box with a heading and lines of small text below it."""

    x: int  # of its left side
    y: int  # of its middle
    width: int
    heading: str
    lines: tuple[str, ...]
    yours: bool = False


BOXES = (
    Box(20, MIDDLE, 150, "Batch", ("image, region, tags", "no pixel labels in it")),
    Box(245, TOP, 150, "Backbone", ("the network it builds", "looks at the slices"), yours=True),
    Box(245, BOTTOM, 150, "Prior", ("a pixel's own value,", "no network asked"), yours=True),
    Box(485, MIDDLE, 160, "Evidence", ("logit f + logit φ", "−∞ outside region ∧ tag")),
    Box(735, MIDDLE, 145, "EStep", ("what to believe,", "hard or soft"), yours=True),
    Box(735, TOP, 145, "Loss", ("how far f is from y",)),
)
ARROWS = (
    "M170 160 H205 V85 H241",  # Batch to Backbone
    "M170 190 H205 V265 H241",  # Batch to Prior
    "M395 85 H731",  # Backbone to Loss
    "M565 85 V141",  # Backbone to Evidence
    "M395 265 H565 V211",  # Prior to Evidence
    "M645 175 H731",  # Evidence to EStep
    "M807 143 V113",  # EStep to Loss
    "M807 61 V24 H320 V51",  # Loss to Backbone
)
LABELS = (
    (480, 77, "logits of f", "middle"),
    (480, 257, "φ, ½ is “no opinion”", "middle"),
    (817, 133, "y", "start"),
    (563, 16, "one optimiser step changes the network’s weights", "middle"),
    (735, 262, "green: what this page adds", "start"),
    (735, 282, "grey: what wsseg does", "start"),
)


def picture() -> str:
    """Return the picture as SVG."""
    return "\n".join(
        [
            (
                f'<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 {WIDTH} {HEIGHT}" '
                f'width="{WIDTH}" height="{HEIGHT}" role="img" font-family="sans-serif">'
            ),
            "<title>The data's way: batch, backbone and prior, evidence, E-step, loss</title>",
            (
                '<defs><marker id="tip" viewBox="0 0 8 8" refX="7" refY="4" markerWidth="8" '
                f'markerHeight="8" orient="auto"><path d="M0 0 L8 4 L0 8 z" fill="{SOFT}"/>'
                "</marker></defs>"
            ),
            f'<rect width="{WIDTH}" height="{HEIGHT}" rx="8" fill="white"/>',
            *(
                f'<path d="{way}" fill="none" stroke="{SOFT}" stroke-width="1.6" '
                'stroke-linejoin="round" marker-end="url(#tip)"/>'
                for way in ARROWS
            ),
            *(part for box in BOXES for part in _drawn(box)),
            *(_text(x, y, words, anchor=anchor) for x, y, words, anchor in LABELS),
            "</svg>",
            "",
        ]
    )


def _drawn(box: Box) -> list[str]:
    height = 32 + 16 * len(box.lines)
    middle, top = box.x + box.width // 2, box.y - height // 2
    fill, edge = (YOURS, "#2f9e6b") if box.yours else (OURS, "#adb5bd")
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
    write_text(Path(__file__).with_name("way.svg"), picture())
