"""The report of a suite's folder: from the command line, and in a browser."""

import json
import re
import shutil
import subprocess
from datetime import date
from importlib import metadata
from pathlib import Path
from typing import TYPE_CHECKING

import pytest

from wsseg.evaluation.rows import read_rows, write_rows
from wsseg.inference.folders import RunFolder
from wsseg.report.build import ReportContext, ReportedRun, report_suite
from wsseg.report.provenance import facts, failures, labels_used
from wsseg.runtime.device import device_name
from wsseg.runtime.files import append_line

if TYPE_CHECKING:
    from tests.conftest import Wsseg

SUITE = """\
recipes: {below: toy.yaml, em: toy.yaml, masks: toy.yaml}
compare: {baseline: below, metric: dice, ceiling: masks}
settings_from: {em: test masks, below: paper}
published: {source: A paper, methods: {em: {dice_pooled: 0.628}}}
"""
# Clicks twice on the heading "Dice" of the last sortable table; the title gets the first values.
CLICKER = """
<script>
addEventListener("load", () => {
  const table = [...document.querySelectorAll("table.sortable")].at(-1);
  const heads = [...table.tHead.rows[0].cells];
  const column = heads.findIndex((head) => head.textContent === "Dice");
  const first = () => table.tBodies[0].rows[0].cells[column].dataset.value;
  heads[column].querySelector("button").click();
  const up = first();
  heads[column].querySelector("button").click();
  document.title = `sorted ${up} ${first()} ${heads[column].getAttribute("aria-sort")}`;
});
</script>
"""


@pytest.fixture(scope="module")
def suite(wsseg: "Wsseg", trained: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A suite's folder of three methods that differ only in their rows, and a failed job."""
    out, scored = tmp_path_factory.mktemp("pages") / "toys", tmp_path_factory.mktemp("scored")
    shutil.copytree(trained, scored, dirs_exist_ok=True)
    assert wsseg("score", scored).code == 0
    rows = []
    for method, worse in {"below": 0.4, "em": 0.2, "masks": 0.0}.items():
        shutil.copytree(scored, out / method / "seed-0")
        for row in read_rows(scored / "scores.csv").to_dict("records"):
            row |= {"method": method, "dice": row["dice"] - worse}
            rows.append({str(key): value for key, value in row.items()})
    write_rows(out / "rows.csv", rows)
    view = RunFolder(out / "em" / "seed-0").view("case-6")
    view.parent.mkdir()
    view.touch()
    failed = out / "broken" / "seed-0" / "failed.txt"
    failed.parent.mkdir(parents=True)
    failed.write_text("out of memory\n")
    (out / "suite.yaml").write_text(SUITE)
    return out


@pytest.fixture(scope="module")
def printed(wsseg: "Wsseg", suite: Path) -> str:
    """Return the output of `wsseg bench report`."""
    ended = wsseg("bench", "report", suite)
    assert ended.code == 0, ended.err
    return ended.out


def test_the_share_of_the_gap_is_printed(printed: str) -> None:
    assert "Share of the gap between below and masks closed" in printed
    line = next(line for line in printed.splitlines() if line.startswith(" em †") and "%" in line)
    assert "50 %" in line  # em is 0.2 above the baseline, the ceiling 0.4


def test_a_method_with_settings_chosen_on_test_masks_is_marked_in_the_terminal(
    printed: str,
) -> None:
    assert "em †" in printed
    assert "† Settings chosen on the masks of the test cases" in printed
    assert "below †" not in printed


@pytest.mark.usefixtures("undrawn_figures")
def test_the_terminal_lists_the_seeds_that_are_left_out_if_a_job_is_missing(
    wsseg: "Wsseg", suite: Path, tmp_path: Path
) -> None:
    """em has another seed with a Dice of 1, which changes neither its difference nor its share."""
    out = tmp_path / "toys"
    shutil.copytree(suite, out)
    shutil.copytree(out / "em" / "seed-0", out / "em" / "seed-1")
    rows = [
        {str(key): value for key, value in row.items()}
        for row in read_rows(out / "rows.csv").to_dict("records")
    ]
    extra = [row | {"seed": 1, "dice": 1.0} for row in rows if row["method"] == "em"]
    write_rows(out / "rows.csv", rows + extra)
    ended = wsseg("bench", "report", out)
    assert ended.code == 0, ended.err
    printed = " ".join(ended.out.split())
    assert (
        "em † and below are compared over the seeds that they share: 0, not 1. Rows whose case"
        in printed
    )
    assert "The methods do not have the same cases, seeds and folds" in printed
    line = next(line for line in ended.out.splitlines() if line.startswith(" em †") and "%" in line)
    assert "50 %" in line
    assert "0, not 1" in line


@pytest.mark.usefixtures("printed")
def test_the_report_of_a_suite_has_its_gap_failures_labels_and_targets(
    suite: Path,
) -> None:
    page = (suite / "report.html").read_text()
    for text in (
        "Share of the gap between below and masks closed",
        "published 0.628",
        "out of memory",
        "infection: 6 cases",  # the masks that the first stage was trained with
        "consolidation: 6 cases, 3 positive",
        "Targets of the E-step",
    ):
        assert text in page
    assert len(page.encode()) < 10_000_000


@pytest.mark.usefixtures("printed")
def test_the_table_of_cases_links_to_the_pages_that_exist(suite: Path) -> None:
    page = (suite / "report.html").read_text()
    assert '<a href="em/seed-0/views/case-6.html">case-6</a>' in page
    assert page.count("views/case-") == 1


@pytest.mark.usefixtures("undrawn_figures")
def test_the_page_lists_the_warnings_of_every_seed(suite: Path, tmp_path: Path) -> None:
    out, rows = tmp_path / "toys", read_rows(suite / "rows.csv").query("method == 'em'")
    runs = []
    for seed in (0, 1):
        folder = out / f"em/seed-{seed}"
        shutil.copytree(suite / "em/seed-0", folder)
        append_line(RunFolder(folder).log, {"event": "warning", "text": f"problem {seed}"})
        runs.append(ReportedRun("em", folder, [], seed))
    page = report_suite(out, "toys", rows, runs, ReportContext()).read_text()
    assert "em/seed-0: problem 0" in page
    assert "em/seed-1: problem 1" in page


def test_the_facts_of_a_single_run_include_its_device(suite: Path) -> None:
    run = suite / "em" / "seed-0"
    found = facts(read_rows(run / "scores.csv"), run, date(2026, 1, 31))
    assert found["Device"] == device_name()
    assert found["Date"] == "2026-01-31"
    assert found["Version"] == f"wsseg {metadata.version('wsseg')}"


def test_the_labels_of_each_stage_are_its_masks_and_tags(suite: Path) -> None:
    infection, consolidation = labels_used("em a=1", suite / "em" / "seed-0", {"em": "tags"})
    assert infection["True masks"] == "infection: 6 cases"
    assert infection["Tags"] == "none"
    assert consolidation["True masks"] == "none"
    assert consolidation["Other weak labels"] == "none"
    assert consolidation["Learns from"] == "em"
    assert consolidation["Settings from"] == "tags"


def test_tags_of_slices_are_counted_as_slices(suite: Path, tmp_path: Path) -> None:
    shutil.copytree(suite / "em" / "seed-0", tmp_path / "run")
    path = tmp_path / "run" / "manifest.json"
    manifest = json.loads(path.read_text())
    slices = {
        "0": {"consolidation": True},
        "1": {"consolidation": None},
        "2": {"consolidation": False},
    }
    manifest["tags"]["consolidation"] = {"case-0": {"consolidation": None, "slices": slices}}
    path.write_text(json.dumps(manifest))
    _, consolidation = labels_used("em", tmp_path / "run", {})
    assert consolidation["Tags"] == "consolidation: 2 slices, 1 positive"
    assert consolidation["Settings from"] == "not stated"


def test_scribbles_boxes_shares_and_uncertain_tags_are_counted(suite: Path, tmp_path: Path) -> None:
    shutil.copytree(suite / "em" / "seed-0", tmp_path / "run")
    path = tmp_path / "run" / "manifest.json"
    manifest = json.loads(path.read_text())
    manifest["weak_labels"]["consolidation"] = {
        "a": {"scribbles": ["consolidation"], "boxes": {"consolidation": 2}},
        "b": {"boxes": {"consolidation": 1}, "shares": {"consolidation": [0.25, 0.5]}},
        "c": {"slice_shares": {"3": {"consolidation": [0, 0.1]}}},
    }
    tags = {"a": {"consolidation": 0.5}, "b": {"consolidation": True}}
    manifest["tags"]["consolidation"] = tags
    path.write_text(json.dumps(manifest))
    _, consolidation = labels_used("em", tmp_path / "run", {})
    assert consolidation["Tags"] == "consolidation: 2 cases, 1 positive, 1 uncertain"
    assert consolidation["Other weak labels"] == (
        "consolidation: scribbles of 1 case, 3 boxes in 2 cases, shares of 2 cases"
    )


def test_the_reasons_of_failed_jobs_are_listed_by_folder(suite: Path) -> None:
    assert failures(suite) == {"broken/seed-0": "out of memory"}


@pytest.mark.slow
@pytest.mark.usefixtures("printed")
def test_a_browser_opens_the_report_without_errors_and_sorts_its_tables(
    suite: Path, tmp_path: Path
) -> None:
    chromium = shutil.which("chromium") or shutil.which("google-chrome")
    if chromium is None:
        pytest.skip("no Chromium is installed")
    page = (suite / "report.html").read_text()
    options = [
        "--headless",
        "--no-sandbox",
        "--disable-gpu",
        f"--user-data-dir={tmp_path / 'user'}",
    ]

    def opened(name: str, text: str) -> tuple[str, str]:
        (tmp_path / name).write_text(text)
        words = [chromium, *options, "--enable-logging=stderr", "--dump-dom", str(tmp_path / name)]
        done = subprocess.run(words, capture_output=True, text=True, timeout=120, check=True)
        return done.stdout, done.stderr

    _, complaints = opened("page.html", page)
    assert "CONSOLE" not in complaints
    policy = r'<meta http-equiv="Content-Security-Policy"[^>]*>'  # forbids the test's own script
    clicked = re.sub(policy, "", page).replace("</body>", f"{CLICKER}</body>")
    dom, complaints = opened("clicked.html", clicked)
    assert "CONSOLE" not in complaints
    found = re.search(r"<title>sorted (\S+) (\S+) (\w+)</title>", dom)
    assert found is not None
    dice = read_rows(suite / "rows.csv")["dice"].dropna()
    assert float(found[1]) == pytest.approx(dice.min())
    assert float(found[2]) == pytest.approx(dice.max())
    assert found[3] == "descending"
