import numpy as np

from wsseg.report.figures.em_targets import TargetPlanes, draw_targets


def test_the_targets_have_a_row_per_slice_and_a_column_per_epoch() -> None:
    region = np.zeros((2, 40, 30), bool)
    region[:, 10:20, 10:20] = True
    half, nothing = region.copy(), np.zeros_like(region)
    half[:, 15:] = False
    shown = TargetPlanes(
        "phi2",
        "consolidation",
        np.zeros((2, 40, 30)),
        region,
        {0: region, 4: half, 8: nothing},
        (-1, 1),
    )
    panels = draw_targets(shown).axes
    assert len(panels) == 6
    titles = [axes.get_title(loc="left") for axes in panels]
    assert [title for title in titles if title] == [
        "before the first epoch",
        "after epoch 4",
        "after epoch 8",
    ]
    shares = [axes.texts[0].get_text() for axes in panels]
    assert (
        shares
        == ["100 % of the region"] * 2 + ["50 % of the region"] * 2 + ["0 % of the region"] * 2
    )
    first = panels[0].images[0].get_array()
    assert first is not None
    assert first.shape == (22, 22)  # the region with a margin of 6
