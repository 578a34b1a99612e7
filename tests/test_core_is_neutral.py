"""The core knows no kind of scanner and no organ: such knowledge is in plugins and recipes."""

import re
from pathlib import Path

import pytest
from pydantic import BaseModel

import wsseg
from wsseg.components.error_metrics import ErrorPlaces
from wsseg.config.recipe import Recipe
from wsseg.core.input import Input, Thick

CORE = Path(wsseg.__file__).parent
VENDORED = "niivue"  # a folder with a library of others
TEXT = {".py", ".j2", ".js", ".html", ".css", ".json", ".yaml", ".toml", ".md"}
WORDS = (
    *("HU", "Hounsfield", "CT", "FLAIR"),  # units and images
    *("lungs?", "chests?", "thora(?:x|cic)", "pulmonary", "pleura", "brains?"),  # organs
    *("consolidat(?:ion|ed)s?", "ground[ -]glass", "infect(?:ion|ed)s?", "pneumonia", "COVID\\w*"),
    "gliomas?",
)
NUMBERS = ("-1024", "-1350", "-1100", "-1000", "-850", "-160")  # air and windows, in HU
PATTERN = re.compile(
    rf"(?<![a-z])(?:{'|'.join(WORDS)})(?![a-z])"  # also in names such as check_hu
    rf"|(?:{'|'.join(number.replace('-', '[-−] ?') for number in NUMBERS)})(?!\d)",
    re.IGNORECASE,
)


def traces(folder: Path) -> list[str]:
    """Return the lines of text files in `folder` with a word or a number of CT or of an organ."""
    files = sorted(
        path for path in folder.rglob("*") if path.suffix in TEXT and path.parent.name != VENDORED
    )
    assert files, f"{folder} has no text files"
    return [
        f"{path.relative_to(folder)}:{number}: {line.strip()}"
        for path in files
        for number, line in enumerate(path.read_text(encoding="utf-8").splitlines(), 1)
        if PATTERN.search(line)
    ]


def test_the_core_has_no_word_and_no_number_of_ct_or_of_an_organ() -> None:
    assert traces(CORE) == []


@pytest.mark.parametrize(
    "line",
    [
        "fill: float = -1024",
        "fill: float = −1024.0",
        "LOWEST_HU = 0",
        "def check_hu(volume):",
        "window = (-1350, 150)",
        "# HU for CT",
        '"""Return the lungs."""',
        "Example: wsseg train covid/phi2",
        'classes = ["consolidation=consolidated"]',
        "infection:",
        "def chest() -> Volume:",
        "<h2>Ground-glass</h2>",
        "Hounsfield units",
    ],
)
@pytest.mark.parametrize("file", ["a/module.py", "template.yaml.j2", "page.js", "page.html"])
def test_a_planted_trace_is_found_in_every_kind_of_file(
    tmp_path: Path, line: str, file: str
) -> None:
    path = tmp_path / file
    path.parent.mkdir(exist_ok=True)
    path.write_text(f"x = 1\n{line}\n", encoding="utf-8")
    assert traces(tmp_path) == [f"{file}:2: {line}"]


def test_words_and_numbers_that_only_look_similar_are_not_found(tmp_path: Path) -> None:
    (tmp_path / "module.py").write_text(
        "@lru_cache(maxsize=1024)\nthumb, actual, direction = 10240, 1, chestnut\nshuffle()\n"
    )
    assert traces(tmp_path) == []


def required(model: type[BaseModel]) -> set[str]:
    return {name for name, field in model.model_fields.items() if field.is_required()}


def test_spacing_border_size_and_window_have_no_defaults() -> None:
    assert Input().thick is None
    assert required(Thick) == {"thinner_than_mm", "to_mm"}
    assert required(ErrorPlaces) == {"border_mm", "thin_mm"}
    metrics = Recipe.model_fields["metrics"].get_default(call_default_factory=True)
    assert metrics
    assert not any(isinstance(metric, ErrorPlaces) for metric in metrics.values())
    assert Recipe.model_fields["window"].default is None
