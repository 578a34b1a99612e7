import math

from wsseg.report.formatting import (
    interval,
    number,
    p_equals,
    p_value,
    percent,
    percent_interval,
    shared_of_all,
    significant,
)


def test_an_undefined_number_is_a_dash_and_an_undefined_interval_is_empty() -> None:
    assert number(math.nan) == p_value(math.nan) == percent(math.nan) == "–"
    assert significant(math.nan) == "–"
    assert interval(math.nan, math.nan) == percent_interval(math.nan, math.nan) == ""


def test_negative_numbers_have_a_minus_sign_and_their_intervals_the_word_to() -> None:
    assert number(-0.1234, 2) == "−0.12"
    assert significant(-1234.5) == "−1.23e+03"
    assert interval(-0.1, 0.2, 1) == "−0.1 to 0.2"
    assert interval(0.1, 0.2, 1) == "0.1–0.2"
    assert percent_interval(-0.1, 0.2) == "−10 to 20 %"


def test_small_p_values_are_printed_as_an_upper_bound() -> None:
    assert p_value(2e-9) == "< 0.001"
    assert p_equals(2e-9) == "p < 0.001"
    assert p_equals(0.04) == "p = 0.040"


def test_shared_seeds_are_listed_with_all_seeds_if_some_are_not_shared() -> None:
    assert shared_of_all("0, 1", "0, 1") == "0, 1"
    assert shared_of_all("0", "0, 1") == "0, not 1"
    assert shared_of_all("", "0, 1") == "none"
