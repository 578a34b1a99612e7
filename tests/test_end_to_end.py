"""The whole way, from files and tags to masks, scores and a page, with numbers that must hold."""

import csv
import re
import shutil
from html.parser import HTMLParser
from pathlib import Path
from typing import TYPE_CHECKING, TypeAlias

import numpy as np
import pytest

from wsseg.data.nifti import open_nifti

if TYPE_CHECKING:
    from tests.conftest import Wsseg

Rows: TypeAlias = dict[str, dict[str, float]]  # the numbers of a case, by column


@pytest.fixture(scope="module")
def scored(wsseg: "Wsseg", trained: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The run that has learnt the discs, with its scores and its page."""
    run = tmp_path_factory.mktemp("scored") / "run"
    shutil.copytree(trained, run)
    for command in ("score", "report"):
        ended = wsseg(command, run)
        assert ended.code == 0, ended.err
    return run


@pytest.fixture(scope="module")
def rows(scored: Path) -> Rows:
    with (scored / "scores.csv").open(newline="") as file:
        return {
            row["case"]: {name: float(cell) for name, cell in row.items() if number(cell)}
            for row in csv.DictReader(file)
        }


def number(cell: str) -> bool:
    return bool(re.fullmatch(r"[-+.e\d]+", cell))


def test_the_supervised_stage_finds_the_infection(rows: Rows) -> None:
    assert list(rows) == ["case-6", "case-7"]
    for row in rows.values():
        assert row["infection.dice"] > 0.9
        assert row["infection.hd95_mm"] <= 4  # two pixels


def test_the_weak_stage_finds_the_consolidation_that_only_tags_told_of(
    rows: Rows,
) -> None:
    assert rows["case-6"]["dice"] > 0.8
    assert rows["case-6"]["volume_ml"] == pytest.approx(6.9, rel=0.2)


def test_it_finds_none_where_there_is_none(rows: Rows) -> None:
    assert rows["case-7"]["tag.consolidation"] == 0
    assert rows["case-7"]["volume_ml"] < 0.5
    assert rows["case-7"]["share"] < 0.02


def test_rows_agree_with_the_masks_that_were_written(
    scored: Path, toy_cohort: Path, rows: Rows
) -> None:
    for index in (6, 7):
        found = np.asarray(open_nifti(scored / f"predictions/case-{index}.nii.gz").dataobj)
        file = open_nifti(toy_cohort.parent / f"{index}-infection.nii.gz")
        true = np.asarray(file.dataobj) > 0
        row = rows[f"case-{index}"]
        both = ((found > 0) & true).sum()
        assert row["infection.dice"] == pytest.approx(2 * both / ((found > 0).sum() + true.sum()))
        assert row["infection.volume_true_ml"] == pytest.approx(0.02 * true.sum())
        assert row["volume_ml"] == pytest.approx(0.02 * (found == 2).sum())
        assert row["share"] == pytest.approx((found == 2).sum() / (found > 0).sum())


def test_rows_tell_what_the_prior_says_alone_and_with_the_network(rows: Rows) -> None:
    row = rows["case-6"]
    assert row["prior_dice"] > 0.8  # the threshold of -250 HU, of a core of 0 HU
    certain = {name.removeprefix("both_") for name in row if name.startswith("both_")}
    assert certain == {"dice", "tp_voxels", "fp_voxels", "fn_voxels"}
    for name in certain:  # a prior of 0 and 1 lets no network change its mind
        assert row[f"both_{name}"] == row[f"prior_{name}"]
    true = row["tp_voxels"] + row["fn_voxels"]
    assert row["prior_tp_voxels"] + row["prior_fn_voxels"] == true


class Links(HTMLParser):
    """Everything that a page would fetch, and the tables it shows."""

    def __init__(self, text: str) -> None:
        super().__init__()
        self.links: list[str] = []
        self.tags: list[str] = []
        self.feed(text)

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.tags.append(tag)
        fetched = ("src", "href", "srcset", "data", "action", "xlink:href")
        self.links += [value for name, value in attrs if name in fetched and value]


def test_the_page_is_one_file_that_fetches_nothing(scored: Path) -> None:
    text = (scored / "report.html").read_text()
    page = Links(text)
    assert [link for link in page.links if not link.startswith(("data:", "#"))] == []
    assert not re.search(r"url\((?!['\"]?(data:|#))|@import", text)
    assert "<base" not in text


def test_the_page_shows_the_table_and_the_cases(scored: Path, rows: Rows) -> None:
    text = (scored / "report.html").read_text()
    page = Links(text)
    assert "table" in page.tags
    assert {"img", "svg"} & set(page.tags)
    assert f"{rows['case-6']['dice']:.3f}" in text
    for words in ("case-6, best of run", "trained on", "6 cases", "threshold", "hu: -250"):
        assert words in text, words
