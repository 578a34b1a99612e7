"""Pages with empty pictures, because to render figures takes most of the time of a page."""

import pytest


def leave_figures_unrendered(patch: pytest.MonkeyPatch) -> None:
    """Draw the figures of a page, but put an empty picture in place of each."""
    patch.setattr("wsseg.report.figures.sections.svg", lambda _: "<svg/>")
