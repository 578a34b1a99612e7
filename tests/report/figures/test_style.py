import warnings

from matplotlib.figure import Figure

from wsseg.report.figures.style import svg


def test_a_name_with_letters_that_matplotlibs_font_lacks_is_drawn_without_a_warning() -> None:
    figure = Figure()
    figure.suptitle("結節")
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        assert "結節" in svg(figure)
