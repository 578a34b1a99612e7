"""Tests of the public API: every public name is documented with an example that works."""

import ast
import doctest
import importlib
import inspect
import itertools
import shutil
from importlib.util import find_spec
from pathlib import Path
from types import ModuleType

import numpy as np
import pytest

import wsseg
import wsseg.testing
import wsseg.tools
from wsseg.tools import write_nifti

MODULES = (wsseg, wsseg.testing, wsseg.tools)
PUBLIC = [(module, name) for module in MODULES for name in module.__all__]
PACKAGE = Path(wsseg.__file__).parent
WITH_EXAMPLES = [path for path in sorted(PACKAGE.rglob("*.py")) if ">>> " in path.read_text()]
RECIPE = """\
cohort: {use: table, path: cohort.csv}
input: {slices: 1, size: 32, scale: 100}
stages:
  tumour:
    learn: masks
    classes: [tumour]
    backbone: {use: additive-unet, width: 4}
    loss: {use: smooth-dice}
    epochs: 1
    batch_size: 4
    optimizer: {use: adam, lr: 1.0e-2}
"""


@pytest.fixture(scope="module")
def examples(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder with the files that examples use: recipe.yaml, cohort.csv, scan.nii.gz,
    mask.nii.gz and the trained run runs/first."""
    folder = tmp_path_factory.mktemp("examples")
    lines = ["case,split,image,mask.tumour"]
    for number in range(3):
        distance = np.hypot(*np.ogrid[-12:12, -12 + number : 12 + number])[..., None]
        tumour = np.repeat(distance < 6, 4, axis=2)
        noise = np.random.default_rng(number).normal(0, 5, tumour.shape)
        image = np.rint(100 * tumour + noise).astype(np.int16)
        names = f"{number}.nii.gz", f"{number}-tumour.nii.gz"
        affine = np.diag([1.0, 1.0, 5.0, 1.0])
        write_nifti(folder / names[0], image, affine)
        write_nifti(folder / names[1], tumour.astype(np.uint8), affine)
        lines.append(f"case-{number},{'train' if number else 'test'},{','.join(names)}")
    (folder / "cohort.csv").write_text("\n".join(lines) + "\n")
    (folder / "recipe.yaml").write_text(RECIPE)
    shutil.copy(folder / "0.nii.gz", folder / "scan.nii.gz")
    shutil.copy(folder / "0-tumour.nii.gz", folder / "mask.nii.gz")
    with pytest.MonkeyPatch.context() as patch:
        patch.chdir(folder)
        wsseg.train(wsseg.load_recipe("recipe.yaml"), out="runs/first")
    return folder


def definition(module: ModuleType, name: str) -> tuple[Path, str]:
    """Return the file that defines a public name, and the name's docstring."""
    value = getattr(module, name)
    if inspect.isclass(value) or inspect.isfunction(value):
        home = importlib.import_module(value.__module__)
        if getattr(home, name, None) is value:
            return Path(str(home.__file__)), inspect.getdoc(value) or ""
    spec = find_spec(wsseg.HOME[name])
    assert spec is not None
    path = Path(str(spec.origin))
    return path, attribute_docstring(path.read_text(encoding="utf-8"), name)


def attribute_docstring(source: str, name: str) -> str:
    """Return the string literal below the assignment to `name`: aliases and constants have no
    __doc__ of their own."""
    body = ast.parse(source).body
    for statement, following in itertools.pairwise(body):
        match statement, following:
            case (
                ast.Assign(targets=[ast.Name(id=found)]) | ast.AnnAssign(target=ast.Name(id=found)),
                ast.Expr(value=ast.Constant(value=str(text))),
            ) if found == name:
                return inspect.cleandoc(text)
    return ""


@pytest.mark.parametrize(
    ("module", "name"), PUBLIC, ids=[f"{module.__name__}.{name}" for module, name in PUBLIC]
)
def test_a_public_name_has_a_docstring_whose_example_works(
    module: ModuleType, name: str, examples: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    path, text = definition(module, name)
    assert text, f"{path}: {name} has no docstring"
    assert "Example:" in text, f"{path}: the docstring of {name} has no `Example:`"
    monkeypatch.chdir(examples)
    test = doctest.DocTestParser().get_doctest(text, {}, name, str(path), 0)
    assert test.examples, f"{path}: the example of {name} has no line that starts with >>>"
    report: list[str] = []
    doctest.DocTestRunner(optionflags=doctest.ELLIPSIS).run(test, out=report.append)
    assert not report, "".join(report)


@pytest.mark.parametrize("path", WITH_EXAMPLES, ids=lambda path: path.stem)
def test_the_examples_of_internal_docstrings_work(
    path: Path, examples: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(examples)
    parts = path.relative_to(PACKAGE.parent).with_suffix("").parts
    module = importlib.import_module(".".join(parts))
    report: list[str] = []
    for test in doctest.DocTestFinder(exclude_empty=True).find(module):
        if test.name.rpartition(".")[2] not in {name for _, name in PUBLIC}:
            doctest.DocTestRunner(optionflags=doctest.ELLIPSIS).run(test, out=report.append)
    assert not report, "".join(report)


@pytest.mark.parametrize("module", MODULES, ids=lambda module: module.__name__)
def test_the_public_names_of_a_module_are_sorted_and_exist(module: ModuleType) -> None:
    assert len(set(module.__all__)) == len(module.__all__)
    for name in module.__all__:
        assert hasattr(module, name)
