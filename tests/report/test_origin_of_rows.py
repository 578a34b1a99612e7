"""What made the rows of a suite, as pages show it."""

import pandas as pd

from wsseg.report.provenance import origin_of_rows

HOURS = "hours in all; stages that jobs share count in each"


def rows(**columns: list[str]) -> pd.DataFrame:
    number = len(next(iter(columns.values())))
    identity = {"method": ["em"] * number, "seed": list(range(number)), "fold": [""] * number}
    return pd.DataFrame(identity | {f"run.{name}": values for name, values in columns.items()})


def test_different_origins_of_jobs_are_listed_once() -> None:
    found = origin_of_rows(rows(commit=["b", "a", "b"], device=["CPU", "CPU", "CPU"]))
    assert found == {"Commit": "a, b", "Device": "CPU"}


def test_each_version_is_listed_once_even_if_jobs_have_different_packages() -> None:
    versions = ["Python 3, wsseg 1, wsseg-b 1", "Python 3, wsseg 1", "Python 3, wsseg 1, wsseg-a 2"]
    found = origin_of_rows(rows(versions=versions))
    assert found == {"Versions": "Python 3, wsseg 1, wsseg-a 2, wsseg-b 1"}


def test_the_durations_of_jobs_are_summed_not_those_of_their_rows() -> None:
    one = rows(seconds=["1800", "5400"])
    assert origin_of_rows(pd.concat([one, one]))["Jobs"] == f"2, 2.00 {HOURS}"


def test_rows_without_provenance_have_no_origin() -> None:
    assert origin_of_rows(pd.DataFrame({"method": ["em"], "seed": [0], "fold": [""]})) == {}
    mixed = origin_of_rows(rows(commit=["", "a"], seconds=["", "3600"]))
    assert mixed == {"Commit": "a", "Jobs": f"1, 1.00 {HOURS}"}
