"""Pages with empty pictures, because to draw figures takes most of the time of a page."""

from collections.abc import Callable

import pytest


def leave_figures_undrawn(patch: pytest.MonkeyPatch) -> None:
    """Put an empty picture in place of each figure of a page, with its text and caption."""
    from wsseg.report.figures import sections, style  # they import matplotlib

    def empty_picture(
        _draw: Callable[..., object], alt: str, caption: str, width_in: float = style.WIDTH_IN
    ) -> sections.Picture:
        uri = "data:image/svg+xml;base64,"
        return sections.Picture(uri, alt, caption, width_in * sections.CSS_PX_PER_IN, uri)

    patch.setattr(sections, "_chart", empty_picture)
