import base64
import hashlib
import re
import subprocess
import sys
from collections.abc import Callable
from dataclasses import replace
from html.parser import HTMLParser
from pathlib import Path

import numpy as np
import pandas as pd
import pytest

from wsseg.errors import InputError
from wsseg.evaluation.comparison import gap_closed, paired_differences
from wsseg.evaluation.method_labels import label_methods
from wsseg.evaluation.published import PublishedResults
from wsseg.evaluation.summary import summarise
from wsseg.report.figures.panels import Panel, PanelRow
from wsseg.report.page import Page, html, lead, write_page

Suite = Callable[..., pd.DataFrame]

EVIL = "<script>alert('x')</script>\"'&{{ 7*7 }}"
EPOCHS = [
    {
        "stage": "consolidation",
        "learn": "em",
        "epoch": k,
        "loss": 1 / k,
        "target_share": 0.3,
        "flip_rate": 0.1,
    }
    for k in (1, 2, 3)
]
MASK = np.eye(16, dtype=bool)
EXAMPLE = PanelRow("best case", [Panel("phi2: 0.57", np.zeros((16, 16)), {"consolidation": MASK})])
TARGETS = PanelRow(
    "phi2, stage two", [Panel("start: 5 %", np.zeros((16, 16)), {"consolidation": MASK}, ~MASK)]
)


class Elements(HTMLParser):
    """The tags of an HTML page, and those that are not closed."""

    VOID = ("meta", "img", "br", "link", "source")

    def __init__(self, text: str) -> None:
        super().__init__()
        self.tags: list[tuple[str, dict[str, str | None]]] = []
        self.open: list[str] = []
        self.feed(text)

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.tags.append((tag, dict(attrs)))
        if tag not in self.VOID:
            self.open.append(tag)

    def handle_endtag(self, tag: str) -> None:
        assert self.open.pop() == tag

    def of(self, tag: str) -> list[dict[str, str | None]]:
        return [attributes for name, attributes in self.tags if name == tag]


def full(rows: pd.DataFrame) -> Page:
    return Page(
        title="A suite",
        rows=rows,
        curves={"phi2": EPOCHS},
        examples=[EXAMPLE],
        provenance={"Seed": "0", "Versions": {"wsseg": "0.1.0"}, "Recipe": "a: 1\nb: 2"},
        target="consolidation",
        baseline="threshold",
        ceiling="supervised" if "supervised" in set(rows["method"]) else None,
        published=PublishedResults(
            source="A paper",
            methods={"phi2": {"dice_pooled": 0.628, "tpr": 0.555, "fpr": 0.008, "severity_r": 0.8}},
            notes={"dilation": "it falls"},
        ),
        labels=[{"Method": "phi2", "Stage": "consolidation", "Tags": "of consolidation"}],
        targets=[TARGETS],
        failures={"phi1/seed-0": "out of memory"},
    )


@pytest.fixture(scope="module")
def text(suite: Suite) -> str:
    return html(full(suite()))


def test_a_page_has_all_sections_with_links_and_closes_all_tags(text: str) -> None:
    page = Elements(text)
    sections = [attributes["id"] for attributes in page.of("section")]
    assert sections == [
        "results",
        "comparisons",
        "settings",
        "errors",
        "examples",
        "scores",
        "training",
        "cases",
        "empty",
        "labels",
        "failures",
        "provenance",
    ]
    assert page.open == []
    links = {str(a["href"]) for a in page.of("a")}
    assert links == {f"#{name}" for name in sections}


def test_a_page_loads_nothing_from_elsewhere(text: str) -> None:
    page = Elements(text)
    sources = [
        str(a.get("src") or a.get("srcset") or a.get("href"))
        for _, a in page.tags
        if {"src", "srcset", "href"} & a.keys()
    ]
    assert all(source.startswith(("data:image/", "#")) for source in sources)
    assert "url(" not in text
    assert "@import" not in text


def test_the_content_security_policy_allows_only_the_script_of_the_page(text: str) -> None:
    (script,) = re.findall(r"<script>(.*?)</script>", text, flags=re.DOTALL)
    digest = base64.b64encode(hashlib.sha256(script.encode()).digest()).decode()
    assert f"script-src 'sha256-{digest}'" in text
    assert "default-src 'none'" in text


def test_every_image_has_an_alternative_text(text: str) -> None:
    images = Elements(text).of("img")
    assert len(images) >= 4
    assert all(image["alt"] for image in images)


@pytest.mark.usefixtures("undrawn_figures")
def test_markup_in_names_and_messages_is_escaped(suite: Suite) -> None:
    rows = suite(methods=(EVIL, "phi2")).assign(site=EVIL)
    rows["case"] = [f"{case}{EVIL}" for case in rows["case"]]
    rows = rows.rename(columns={"infection.dice": f"{EVIL}.dice"})
    text = html(
        Page(
            title=EVIL,
            rows=rows,
            curves={EVIL: EPOCHS},
            logs={EVIL: [{"event": "warning", "stage": EVIL, "epoch": 1, "text": EVIL}]},
            examples=[PanelRow(EVIL, [Panel(EVIL, np.zeros((16, 16)), {EVIL: MASK})])],
            provenance={EVIL: {EVIL: EVIL}, "plain": EVIL},
            target=EVIL,
        )
    )
    assert "<script>alert" not in text
    assert len(Elements(text).of("script")) == 1
    assert "{{ 7*7 }}" in text
    assert Elements(text).open == []


def test_the_table_of_cases_has_a_value_for_sorting_in_each_cell(text: str, suite: Suite) -> None:
    rows = suite()
    table = text.split('<table class="sortable">')[2].split("</table>", maxsplit=1)[0]
    page = Elements(table)
    assert len(page.of("tr")) == len(rows) + 1
    assert len(page.of("button")) == len(page.of("tr")[:1]) * table.split("<tbody>")[0].count(
        "<th "
    )
    values = [cell["data-value"] for cell in page.of("td")]
    assert "nan" not in values  # an undefined number has an empty value, which is sorted last
    assert "" in values


@pytest.mark.usefixtures("undrawn_figures")
def test_the_name_of_a_case_links_to_its_page_in_the_row_of_its_method_seed_and_fold(
    suite: Suite,
) -> None:
    views = {("phi2", 1, "", "case 3"): "phi2/seed-1/views/case%203.html?<"}
    text = html(replace(full(suite()), views=views))
    (row,) = [each for each in text.split("<tr>") if "case%203" in each]
    assert '<a href="phi2/seed-1/views/case%203.html?&lt;">case 3</a>' in row
    assert 'data-value="phi2"' in row
    assert "in the viewer" in text
    assert "in the viewer" not in html(full(suite()))


@pytest.mark.usefixtures("undrawn_figures")
def test_the_page_of_a_single_run_has_no_comparison(suite: Suite) -> None:
    rows = suite(methods=("phi2",))
    text = html(Page("A run", rows, target="consolidation"))
    assert 'id="comparisons"' not in text
    assert 'id="training"' not in text
    assert "Pooled Dice: 0." in text


def test_the_section_on_training_states_which_runs_it_shows(text: str) -> None:
    section = text.partition('<section id="training">')[2].partition("</section>")[0]
    assert "first seed and fold of each method" in section


@pytest.mark.usefixtures("undrawn_figures")
def test_warnings_about_scans_are_listed_below_the_cases(suite: Suite) -> None:
    rows = suite()
    rows["warnings"] = ["<odd>" if case == "case 2" else "" for case in rows["case"]]
    text = html(full(rows))
    assert text.count("<li>case 2: &lt;odd&gt;</li>") == 1
    assert "Warnings about scans" in text
    assert "Warnings about scans" not in html(full(suite()))


def test_without_annotation_a_page_has_scores_but_no_figures(suite: Suite) -> None:
    rows = suite()[["method", "seed", "fold", "case", "patient", "site", "severity"]]
    text = html(Page("Scores", rows, target="consolidation"))
    assert "No case has an annotation of consolidation, so there are only scores." in text
    assert "nan" not in [cell.lower() for cell in re.findall(r">([^<]*)<", text)]
    assert Elements(text).of("img") == []


@pytest.mark.filterwarnings("error")
@pytest.mark.parametrize(
    ("cases", "sentence"),
    [
        (1, "No case has consolidation, so there is no Dice; see the correctly empty cases."),
        (2, "Mean Dice of consolidation over the case where it is present: phi2 0.9"),
    ],
)
def test_a_page_of_one_or_two_cases_has_dashes_and_no_nan(
    suite: Suite, cases: int, sentence: str
) -> None:
    """Case 0 has neither a true nor a predicted mask, so its Dice is not defined."""
    text = html(Page("Few", suite(cases=cases), target="consolidation"))
    assert sentence in text
    cells = [cell.lower() for cell in re.findall(r">([^<]*)<", text)]
    assert "–" in cells
    assert "nan" not in cells
    table = text.split('<table class="sortable">')[2].split("</table>", maxsplit=1)[0]
    assert len(Elements(table).of("tr")) == 1 + 4 * cases  # two methods, two seeds


def test_a_page_without_rows_is_an_input_error() -> None:
    with pytest.raises(InputError, match="no rows to report"):
        html(Page("Nothing", pd.DataFrame(columns=["method", "case"])))


def test_the_lead_ranks_methods_and_names_significant_differences(suite: Suite) -> None:
    rows = suite(cases=24)
    page = Page("A suite", rows, target="consolidation")
    no_gap = gap_closed(rows, "threshold", "phi2")
    text = lead(page, summarise(rows), paired_differences(rows, "dice", "threshold"), no_gap)
    assert re.match(
        r"Mean Dice of consolidation over the 18 cases where it is present: "
        r"phi2 0\.\d\d, threshold 0\.\d\d",
        text,
    )
    assert "phi2 differs significantly from threshold in dice (paired Wilcoxon test" in text


def test_the_lead_has_the_largest_share_of_the_gap(suite: Suite) -> None:
    rows = suite(methods=("threshold", "phi2", "supervised"), cases=24)
    gap = gap_closed(rows, "threshold", "supervised")
    page = Page("A suite", rows, target="consolidation")
    text = lead(page, summarise(rows), paired_differences(rows, "dice", "threshold"), gap)
    share = f"{100 * gap['mean'].iloc[0]:.0f} %"
    assert f"phi2 closes {share} (95 % interval" in text
    assert "of the gap in mean Dice between threshold and supervised (n = " in text


@pytest.mark.usefixtures("undrawn_figures")
def test_a_page_has_a_table_of_the_gap_if_a_ceiling_is_given(suite: Suite) -> None:
    rows = suite(methods=("threshold", "phi2", "supervised"))
    heading = "Share of the gap between threshold and supervised closed"
    assert heading in html(full(rows))
    assert heading not in html(Page("No ceiling", rows, baseline="threshold"))


@pytest.mark.usefixtures("undrawn_figures")
def test_a_page_states_why_there_is_no_gap_to_a_collapsed_ceiling(suite: Suite) -> None:
    rows = suite(methods=("threshold", "phi2", "supervised"))
    rows["run.health"] = [
        "targets are empty" if method == "supervised" else "" for method in rows["method"]
    ]
    text = html(full(rows))
    assert "Share of the gap between threshold and supervised closed" not in text
    assert "supervised is not a result (targets are empty)." in text
    assert "of the gap in mean Dice" not in text


def test_the_best_method_is_the_first_row_of_the_results(text: str) -> None:
    results = text.split('<table class="sortable">')[1].split("</table>", maxsplit=1)[0]
    assert results.index(">phi2<") < results.index(">threshold<")


@pytest.mark.usefixtures("undrawn_figures")
def test_a_collapsed_method_is_named_at_the_top_and_is_the_last_row(suite: Suite) -> None:
    rows = suite(methods=("threshold", "em", "phi2"))
    rows["run.health"] = [
        "targets fill the region" if method == "phi2" else "" for method in rows["method"]
    ]
    text = html(full(rows))
    assert text.index("phi2: targets fill the region: not a result") < text.index('class="lead"')
    results = text.split('<table class="sortable">')[1].split("</table>", maxsplit=1)[0]
    assert results.index(">em<") < results.index(">threshold<") < results.index(">phi2<")
    assert "<strong>" not in results.partition(">phi2<")[2]
    assert "not a result" not in html(full(suite()))


def test_a_collapsed_method_closes_no_share_of_the_gap(suite: Suite) -> None:
    rows = suite(methods=("threshold", "em", "phi2", "supervised"))
    rows["run.health"] = [
        "targets are empty" if method == "phi2" else "" for method in rows["method"]
    ]
    gap = gap_closed(rows, "threshold", "supervised")
    assert list(gap["method"]) == ["em"]
    text = lead(full(rows), summarise(rows), paired_differences(rows, "dice", "threshold"), gap)
    assert "em closes" in text


def test_published_numbers_and_notes_are_in_the_table_and_the_captions(text: str) -> None:
    assert "published 0.628" in text
    assert "Published (A paper): phi2 severity r 0.8." in text
    assert "Published (A paper): it falls." in text


@pytest.mark.usefixtures("undrawn_figures")
def test_methods_with_settings_chosen_on_test_masks_are_marked_in_all_tables(suite: Suite) -> None:
    rows = label_methods(suite(), {"phi2": "test masks"})
    page = html(Page("Marked", rows, target="consolidation", baseline="threshold"))
    tables = re.findall(r"<table.*?</table>", page, flags=re.DOTALL)
    naming = [table for table in tables if "phi2" in table]
    assert len(naming) >= 4
    assert all("phi2 †" in table for table in naming)
    assert "Settings chosen on the masks of the test cases" in page
    assert "Settings chosen on the masks of the" not in html(Page("Plain", suite()))


def test_the_same_rows_give_the_same_bytes(text: str, suite: Suite) -> None:
    assert html(full(suite())) == text


def test_the_page_of_a_large_suite_has_less_than_10_megabytes(suite: Suite, tmp_path: Path) -> None:
    path = tmp_path / "report.html"
    write_page(path, full(suite(methods=("threshold", "a", "b", "c", "d"), cases=260)))
    assert path.stat().st_size < 10_000_000
    assert "600 more" in path.read_text(encoding="utf-8")


def test_a_page_that_fails_leaves_no_file(tmp_path: Path) -> None:
    with pytest.raises(InputError):
        write_page(tmp_path / "report.html", Page("Nothing", pd.DataFrame(columns=["method"])))
    assert list(tmp_path.iterdir()) == []


def test_importing_the_page_imports_neither_matplotlib_nor_torch() -> None:
    code = (
        "import sys, wsseg.report.page, wsseg.report.terminal, wsseg.training.log;"
        "sys.exit(bool({'matplotlib', 'torch'} & set(sys.modules)))"
    )
    assert subprocess.run([sys.executable, "-c", code], check=False).returncode == 0


@pytest.mark.usefixtures("undrawn_figures")
def test_a_page_ranks_by_the_shared_seeds_and_lists_the_seeds_that_are_left_out(
    suite: Suite,
) -> None:
    """Only phi2 has the easier seed 1: its own mean is the highest, in seed 0 it is the lowest."""
    rows = suite(methods=("threshold", "phi2", "supervised"))
    rows = rows[(rows["method"] == "phi2") | (rows["seed"] != 1)]
    rows["dice"] = [
        0.9 if seed else {"threshold": 0.5, "phi2": 0.4, "supervised": 0.6}[method]
        for method, seed in zip(rows["method"], rows["seed"], strict=True)
    ]
    text = html(full(rows))
    assert (
        "Mean Dice of consolidation over the 6 cases that every method has: "
        "supervised 0.60, threshold 0.50, phi2 0.40." in text
    )
    assert "phi2 and threshold are compared over the seeds that they share: 0, not 1." in text
    assert (
        "phi2, threshold and supervised are compared over the seeds that they share: 0, not 1."
        in text
    )
    assert text.count("are missing for one of them are left out: 8.") == 2
    assert "The methods differ in cases, seeds or folds." in text
    assert Elements(text).open == []


@pytest.mark.usefixtures("undrawn_figures")
def test_a_single_case_that_every_method_has_is_named_in_the_singular(suite: Suite) -> None:
    rows = suite(cases=2)  # the class is present in the second one
    rows = rows[(rows["method"] == "phi2") | (rows["seed"] != 1)]
    assert "Mean Dice of consolidation over the case that every method has: " in html(full(rows))


@pytest.mark.usefixtures("undrawn_figures")
def test_methods_without_common_rows_are_not_ranked(suite: Suite) -> None:
    rows = suite().query("(method == 'phi2') == (seed == 1)")
    text = html(full(rows))
    assert (
        "No case with consolidation is in the rows of all methods, which cannot be ranked." in text
    )
    assert "phi2 and threshold have no case, seed and fold in common" in text
    assert "nan" not in [cell.lower() for cell in re.findall(r">([^<]*)<", text)]


@pytest.mark.usefixtures("undrawn_figures")
def test_a_page_starts_with_what_was_compared_where_and_when(suite: Suite) -> None:
    rows = suite(methods=("threshold", "phi2", "supervised"))
    facts = {"Cohort": "phantom: 4 cases", "Date": "2026-01-31", "Device": "a GPU"}
    page = html(replace(full(rows), facts=facts))
    header = page.split("<header>")[1].split("<main>")[0]
    found = re.findall(r"<dt>(.*?)</dt><dd>(.*?)</dd>", header)
    assert found == [
        ("Class", "consolidation"),
        ("Compared", "3 methods, baseline threshold, ceiling supervised"),
        ("Seeds", "0, 1"),
        *facts.items(),
    ]


def test_the_links_of_a_page_have_the_headings_of_its_sections(text: str) -> None:
    links = dict(re.findall(r'<a href="#(\w+)">(.*?)</a>', text))
    headings = dict(re.findall(r'<section id="(\w+)">\s*<h2>(.*?)</h2>', text))
    assert links == headings


@pytest.mark.usefixtures("undrawn_figures")
def test_methods_have_the_same_order_in_all_tables(suite: Suite) -> None:
    """The best method comes first everywhere, although the rows begin with the worst."""
    text = html(replace(full(suite(methods=("a", "b", "c"))), baseline="a"))
    tables = re.findall(r"<table.*?</table>", text, flags=re.DOTALL)
    orders = [re.findall(r'<th scope="row"[^>]*>([abc])</th>', table) for table in tables]
    full_orders = [list(dict.fromkeys(order)) for order in orders if len(set(order)) == 3]
    assert len(full_orders) >= 3
    assert all(order == ["c", "b", "a"] for order in full_orders)


@pytest.mark.usefixtures("undrawn_figures")
def test_a_page_explains_that_few_pairs_show_nothing(suite: Suite) -> None:
    text = html(full(suite(methods=("threshold", "phi2"))))
    assert "No difference can be shown with 4 pairs of patients (Wilcoxon test)." in text
    assert "cannot be shown with 4 pairs" in text
