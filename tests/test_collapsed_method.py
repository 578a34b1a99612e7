"""A method whose targets fill the region is named as no result wherever a command ends."""

import re
from pathlib import Path
from typing import TYPE_CHECKING

import pytest

from wsseg.evaluation.rows import read_rows

if TYPE_CHECKING:
    from tests.conftest import Wsseg

FULL = "stages.consolidation.prior={use: constant, probability: 1}"
SUITE = """\
recipes:
  threshold:
    extends: toy.yaml
    stages: {consolidation: {learn: nothing, classes: [consolidation], region: infection,
      prior: {use: threshold, hu: -250}}}
  phi1: {extends: toy.yaml, stages: {consolidation: {prior: {use: constant, probability: 1}}}}
compare: {baseline: threshold, ceiling: phi1}
"""
WORDS = "targets fill the region: not a result"
# Whether the predictions fill it as well depends on the processor's rounding.
OF_METHOD = r"phi1: targets fill the region(; predictions fill the region)?: not a result"

pytestmark = pytest.mark.usefixtures("undrawn_figures")


@pytest.fixture(scope="module")
def run(wsseg: "Wsseg", toy_text: str, tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("collapsed")
    (folder / "toy.yaml").write_text(toy_text)
    ended = wsseg("train", folder / "toy.yaml", "--out", folder / "phi1", "--set", FULL)
    assert ended.code == 0
    closing = ended.err.splitlines()[-3:]
    assert closing[0] == f"warning: stage consolidation: {WORDS}"
    assert closing[1].startswith("trained: ")
    return folder / "phi1"


def test_the_scores_and_the_report_of_a_collapsed_run_state_the_collapse(
    wsseg: "Wsseg", run: Path
) -> None:
    scored = wsseg("score", run)
    assert re.search(OF_METHOD, scored.out)
    assert set(read_rows(run / "scores.csv")["run.health"]) == {"targets fill the region"}
    assert wsseg("report", run).code == 0
    page = (run / "report.html").read_text()
    assert re.search(OF_METHOD, page.partition('class="lead"')[0])


def test_the_closing_table_and_the_page_of_a_suite_name_the_collapsed_method(
    wsseg: "Wsseg", toy_text: str, tmp_path: Path
) -> None:
    (tmp_path / "toy.yaml").write_text(toy_text)
    (tmp_path / "suite.yaml").write_text(SUITE)
    ended = wsseg("bench", "run", tmp_path / "suite.yaml", "--out", tmp_path / "out")
    assert ended.code == 0, ended.err
    assert re.search(OF_METHOD, ended.out)
    assert "threshold: " not in ended.out.partition("rows: ")[0]
    last_warning = ended.err.splitlines()[-1]  # repeated below the table
    assert last_warning.startswith("warning: phi1/seed-0: stage consolidation, epoch ")
    no_gap = "No share of the gap between threshold and phi1: phi1 is not a result"
    assert no_gap in ended.out
    page = (tmp_path / "out" / "report.html").read_text()
    assert re.search(OF_METHOD, page.partition('class="lead"')[0])
    assert no_gap in page
    health = read_rows(tmp_path / "out" / "rows.csv").groupby("method")["run.health"].unique()
    assert health.to_dict() == {"threshold": [""], "phi1": ["targets fill the region"]}
