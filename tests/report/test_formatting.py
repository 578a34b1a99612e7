import math

from wsseg.report.formatting import interval, number, p_equals, p_value


def test_what_is_not_defined_is_a_dash() -> None:
    assert number(math.nan) == p_value(math.nan) == "–"
    assert interval(math.nan, math.nan) == ""


def test_numbers_have_a_true_minus() -> None:
    assert number(-0.1234, 2) == "−0.12"
    assert interval(-0.1, 0.2, 1) == "−0.1 to 0.2"
    assert interval(0.1, 0.2, 1) == "0.1–0.2"


def test_small_p_values_are_a_bound() -> None:
    assert p_value(2e-9) == "< 0.001"
    assert p_equals(2e-9) == "p < 0.001"
    assert p_equals(0.04) == "p = 0.040"
