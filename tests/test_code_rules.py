"""Rules for the code of wsseg that no linter checks."""

import ast
from collections import Counter
from collections.abc import Iterator
from pathlib import Path

import pytest

from wsseg.inference.folders import PredictionFolder, RunFolder, StageFolder
from wsseg.suite.folder import SuiteFolder

PACKAGE = Path(__file__).resolve().parents[1] / "wsseg"
MOST_PARAMETERS = 5


def functions_with_many_parameters(source: str) -> Iterator[str]:
    """Yield the functions and methods with more parameters than allowed, `self` excluded."""
    for node in ast.walk(ast.parse(source)):
        if isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef):
            each = node.args
            parameters = [*each.posonlyargs, *each.args, *each.kwonlyargs, each.vararg, each.kwarg]
            names = [parameter.arg for parameter in parameters if parameter is not None]
            if len([name for name in names if name not in ("self", "cls")]) > MOST_PARAMETERS:
                yield f"{node.name}, line {node.lineno}"


def path_literals(source: str) -> Counter[str]:
    """Count the names of files and folders: constants, operands of `/`, and names with a suffix."""
    tree = ast.parse(source)
    joined = [
        node.right
        for node in ast.walk(tree)
        if isinstance(node, ast.BinOp) and isinstance(node.op, ast.Div)
    ]
    constants = [node.value for node in tree.body if isinstance(node, ast.Assign)]
    texts = [
        node
        for node in ast.walk(tree)
        if isinstance(node, ast.Constant) and isinstance(node.value, str)
    ]
    named = [node for node in texts if "." in str(node.value) and " " not in str(node.value)]
    names = {id(node): node for node in texts if node in (*joined, *constants, *named)}
    return Counter(str(node.value).rpartition("/")[2] for node in names.values())


def below_the_command_line() -> list[Path]:
    return [path for path in PACKAGE.rglob("*.py") if "cli" not in path.parts]


def test_no_function_below_the_command_line_has_more_than_five_parameters() -> None:
    found = {
        str(path.relative_to(PACKAGE)): names
        for path in below_the_command_line()
        if (names := list(functions_with_many_parameters(path.read_text(encoding="utf-8"))))
    }
    assert found == {}


@pytest.mark.parametrize(
    ("source", "count"),
    [
        ("def f(a, b, c, d, e): ...", 0),
        ("def f(a, b, c, d, e, f): ...", 1),
        ("def f(a, /, b, c, *, d, e, f=1): ...", 1),
        ("def f(a, b, c, d, e, **options): ...", 1),
        ("class A:\n    def f(self, a, b, c, d, e): ...", 0),
        ("class A:\n    async def f(self, a, b, c, d, e, *rest): ...", 1),
    ],
)
def test_parameters_of_every_kind_are_counted(source: str, count: int) -> None:
    assert len(list(functions_with_many_parameters(source))) == count


def file_names() -> set[str]:
    """The names of all files and folders of a run, a stage, a suite and a set of predictions."""
    run, stage, here = RunFolder(Path()), StageFolder(Path()), Path()
    folders = (run, stage, SuiteFolder(here), PredictionFolder(here))
    paths = [
        value.path if isinstance(value, PredictionFolder) else value
        for folder in folders
        for name, kind in vars(type(folder)).items()
        if isinstance(kind, property)
        for value in [getattr(folder, name)]
    ]
    return {path.name for path in paths}


def test_every_file_name_of_a_run_is_written_once_in_the_package() -> None:
    names = file_names()
    assert {"recipe.yaml", "scores.csv", "stages", "last", "stage.json", "rows.csv"} <= names
    found = Counter[str]()
    for path in PACKAGE.rglob("*.py"):
        found += path_literals(path.read_text(encoding="utf-8"))
    assert {name: found[name] for name in names if found[name] != 1} == {}


def test_a_path_written_a_second_time_is_counted() -> None:
    source = 'STAGES = "stages"\na = out / "stages" / name\nb = Path("run/scores.csv")\n'
    assert path_literals(source) == {"stages": 2, "scores.csv": 1}
    assert path_literals('settings["stages"], "writes masks and scores.csv"') == {}
