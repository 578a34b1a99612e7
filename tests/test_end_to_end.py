"""Training on masks and tags, prediction, scores and report, with bounds on the results."""

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
    """The trained toy run with its scores and its report."""
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


def test_the_supervised_stage_segments_the_infection(rows: Rows) -> None:
    assert list(rows) == ["case-6", "case-7"]
    for row in rows.values():
        assert row["infection.dice"] > 0.9
        assert row["infection.hd95_mm"] <= 4  # two pixels


def test_the_weak_stage_segments_the_consolidation_from_tags_only(
    rows: Rows,
) -> None:
    assert rows["case-6"]["dice"] > 0.8
    assert rows["case-6"]["volume_ml"] == pytest.approx(6.9, rel=0.2)


def test_the_weak_stage_finds_nearly_nothing_in_a_case_without_consolidation(rows: Rows) -> None:
    assert rows["case-7"]["tag.consolidation"] == 0
    assert rows["case-7"]["volume_ml"] < 0.5
    assert rows["case-7"]["share"] < 0.02


def test_scores_agree_with_the_masks_written(scored: Path, toy_cohort: Path, rows: Rows) -> None:
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


def test_scores_include_the_prior_alone_and_prior_and_network_together(rows: Rows) -> None:
    row = rows["case-6"]
    assert row["prior_dice"] > 0.8  # the threshold of -250 HU, of a core of 0 HU
    certain = {name.removeprefix("both_") for name in row if name.startswith("both_")}
    assert certain == {"dice", "tp_voxels", "fp_voxels", "fn_voxels"}
    for name in certain:  # a prior of 0 and 1 lets no network change its mind
        assert row[f"both_{name}"] == row[f"prior_{name}"]
    true = row["tp_voxels"] + row["fn_voxels"]
    assert row["prior_tp_voxels"] + row["prior_fn_voxels"] == true


class Links(HTMLParser):
    """The links and the tags of a page."""

    def __init__(self, text: str) -> None:
        super().__init__()
        self.links: list[str] = []
        self.tags: list[str] = []
        self.feed(text)

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.tags.append(tag)
        fetched = ("src", "href", "srcset", "data", "action", "xlink:href")
        self.links += [value for name, value in attrs if name in fetched and value]


def test_the_report_is_one_file_without_external_links(scored: Path) -> None:
    text = (scored / "report.html").read_text()
    page = Links(text)
    assert [link for link in page.links if not link.startswith(("data:", "#"))] == []
    assert not re.search(r"url\((?!['\"]?(data:|#))|@import", text)
    assert "<base" not in text


def test_the_report_shows_tables_figures_and_cases(scored: Path, rows: Rows) -> None:
    text = (scored / "report.html").read_text()
    page = Links(text)
    assert "table" in page.tags
    assert {"img", "svg"} & set(page.tags)
    assert f"{rows['case-6']['dice']:.3f}" in text
    for words in ("case-6, best case of run", "trained on", "6 cases", "threshold", "hu: -250"):
        assert words in text, words


def test_every_file_of_a_run_has_the_permissions_of_other_new_files(
    scored: Path, tmp_path: Path
) -> None:
    (tmp_path / "file").touch()
    permissions = (tmp_path / "file").stat().st_mode
    files = [path for path in scored.rglob("*") if path.is_file()]
    assert {"weights.safetensors", "targets.safetensors"} <= {path.name for path in files}
    assert [path.name for path in files if path.stat().st_mode != permissions] == []
