"""Hostile files: they run no code, write to no other place, and do not exhaust the memory."""

import ast
import gzip
import io
import json
import pickle
import shutil
import struct
import tracemalloc
from collections.abc import Callable
from pathlib import Path
from typing import TYPE_CHECKING, Any

import nibabel as nib
import numpy as np
import pytest
from safetensors.torch import load_file, save_file

from benchmarks.reliability.commands import Command, words
from benchmarks.reliability.fuzz import judge
from benchmarks.reliability.valid_inputs import own_cache
from wsseg.data.nifti import open_nifti, read_array
from wsseg.errors import escape_unprintable, shorten_lines
from wsseg.runtime.console import open_console

if TYPE_CHECKING:
    from tests.conftest import Wsseg

REPOSITORY = Path(__file__).resolve().parents[1]
SHIPPED = sorted(
    path
    for folder in ("wsseg", "recipes", "plugins", "benchmarks")
    for path in (REPOSITORY / folder).rglob("*.py")
    if "tests" not in path.parts
)
MODULES = {"pickle", "cPickle", "dill", "shelve", "marshal", "joblib", "cloudpickle"}
CALLS = {
    "eval", "exec", "compile", "__import__",
    "torch.load", "yaml.load", "yaml.unsafe_load", "yaml.full_load",
    "yaml.load_all", "pd.read_pickle", "os.system", "os.popen",
}  # fmt: skip
# these use joblib for processes, and load nothing from a file
JOBLIB = {"wsseg/runtime/executors.py", "recipes/covid/wsseg_covid/phantom/cohort.py"}


def offences(text: str, name: str = "") -> list[str]:
    """Return the imports and calls that could execute code from a file."""
    found = []
    for node in ast.walk(ast.parse(text)):
        imported = [alias.name for alias in node.names] if isinstance(node, ast.Import) else []
        imported += [str(node.module)] if isinstance(node, ast.ImportFrom) else []
        found += [each for each in imported if each.partition(".")[0] in MODULES]
        if isinstance(node, ast.Call):
            called = ast.unparse(node.func)
            keywords = {key.arg: ast.unparse(key.value) for key in node.keywords}
            loads = called in ("np.load", "numpy.load")
            # weights_only refuses everything but tensors
            tensors_alone = called == "torch.load" and keywords.get("weights_only") == "True"
            found += [called] if called in CALLS and not tensors_alone else []
            found += [called] if loads and keywords.get("allow_pickle") != "False" else []
            found += [called] if keywords.get("shell") == "True" else []
    return [e for e in found if not (e.partition(".")[0] == "joblib" and name in JOBLIB)]


def test_no_module_can_execute_code_from_a_file() -> None:
    assert len(SHIPPED) > 150
    for path in SHIPPED:
        assert (
            offences(path.read_text(encoding="utf-8"), path.relative_to(REPOSITORY).as_posix())
            == []
        )


@pytest.mark.parametrize(
    "text",
    [
        "import pickle", "from joblib import load", "import torch\ntorch.load(p)", "eval(x)",
        "yaml.load(t, Loader=yaml.Loader)", "np.load(p)", "np.load(p, allow_pickle=True)",
        "subprocess.run(x, shell=True)", "exec(x)",
    ],
)  # fmt: skip
def test_the_search_finds_calls_that_can_execute_code(text: str) -> None:
    assert offences(text)


class Bomb:
    """An object that creates a file when it is unpickled."""

    def __init__(self, mark: Path) -> None:
        self.mark = mark

    def __reduce__(self) -> tuple[Any, ...]:
        return Path.touch, (self.mark,)


def as_pickle(mark: Path) -> bytes:
    return pickle.dumps(Bomb(mark))


def as_object_array(mark: Path) -> bytes:
    file = io.BytesIO()
    np.save(file, np.array([Bomb(mark)], object), allow_pickle=True)
    return file.getvalue()


def as_yaml(mark: Path) -> bytes:
    return f"cohort: !!python/object/apply:pathlib.Path.touch [[{mark}]]\n".encode()


FILES = (
    "run/recipe.yaml",
    "run/stages/infection/stage.json",
    "run/stages/infection/weights.safetensors",
    "run/scores.csv",
    "run/manifest.json",
    "run/log.jsonl",
    "scan.nii.gz",
    "cohort.csv",
)


@pytest.mark.parametrize("hostile", [as_pickle, as_object_array, as_yaml])
@pytest.mark.parametrize("name", FILES)
@pytest.mark.usefixtures("undrawn_figures")
def test_a_pickle_in_place_of_any_input_file_is_not_executed(
    wsseg: "Wsseg",
    trained: Path,
    toy_cohort: Path,
    tmp_path: Path,
    name: str,
    hostile: Callable[[Path], bytes],
) -> None:
    mark, scan = tmp_path / "mark", tmp_path / "scan.nii.gz"
    shutil.copytree(trained, tmp_path / "run")
    (tmp_path / "run/scores.csv").write_text("case\na\n")
    shutil.copy(toy_cohort.parent / "6-image.nii.gz", scan)
    (tmp_path / name).write_bytes(hostile(mark))
    given = tmp_path / "cohort.csv" if name == "cohort.csv" else scan
    ended = [wsseg("predict", tmp_path / "run", given, "--out", tmp_path / "out")]
    ended += [
        wsseg(*command, tmp_path / "run") for command in (("manifest", "verify"), ("report",))
    ]
    assert all(each.code in (0, 2) for each in ended)
    # an incomplete last line of a log is ignored
    assert any(each.code == 2 for each in ended) or name == "run/log.jsonl"
    assert not any("bug" in each.err for each in ended)
    assert not mark.exists()


def test_the_pickle_of_these_tests_runs_code_when_it_is_loaded(tmp_path: Path) -> None:
    pickle.loads(as_pickle(tmp_path / "mark"))  # noqa: S301
    assert (tmp_path / "mark").exists()


def test_a_pickled_array_in_the_cache_is_replaced_and_not_loaded(
    wsseg: "Wsseg", toy_recipe: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("WSSEG_CACHE", str(tmp_path / "cache"))
    assert wsseg("data", "prepare", toy_recipe).code == 0
    maps = sorted((tmp_path / "cache").rglob("image.npy"))
    before = [path.read_bytes() for path in maps]
    for path in maps:
        path.write_bytes(as_object_array(tmp_path / "mark"))
    assert wsseg("data", "prepare", toy_recipe).code == 0
    assert [path.read_bytes() for path in maps] == before
    assert not (tmp_path / "mark").exists()


# Files outside the output folder.


@pytest.mark.parametrize("name", ["../../escaped", "/escaped", "..", "a/b", ".hidden", "x" * 300])
def test_the_name_of_a_stage_cannot_leave_the_folder_of_the_run(
    wsseg: "Wsseg", toy_recipe: Path, tmp_path: Path, name: str
) -> None:
    text = toy_recipe.read_text().replace("  consolidation:\n", f'  "{name}":\n')
    toy_recipe.write_text(text)
    wsseg("train", toy_recipe, "--out", tmp_path / "out/run").refused(
        "cannot be used as a folder name"
    )
    assert sorted(path.name for path in tmp_path.iterdir()) == ["toy.yaml"]


@pytest.mark.parametrize("name", ["../escaped", "/escaped", "..", "a\\b", ".x", "a\x1bb"])
def test_the_name_of_a_case_cannot_leave_the_output_folder(
    wsseg: "Wsseg", trained: Path, toy_cohort: Path, tmp_path: Path, name: str
) -> None:
    scan = toy_cohort.parent / "6-image.nii.gz"
    (tmp_path / "cohort.csv").write_text(f"case,image\n{name},{scan}\n")
    ended = wsseg("predict", trained, tmp_path / "cohort.csv", "--out", tmp_path / "out/masks")
    ended.refused("cannot be used as a file name")
    assert [path.name for path in tmp_path.iterdir()] == ["cohort.csv"]


@pytest.mark.parametrize("name", ["../escaped", "/escaped", "..", ".x"])
@pytest.mark.usefixtures("undrawn_figures")
def test_the_name_of_a_method_cannot_leave_the_folder_of_the_suite(
    wsseg: "Wsseg", toy_text: str, tmp_path: Path, name: str
) -> None:
    (tmp_path / "toy.yaml").write_text(toy_text)
    (tmp_path / "suite.yaml").write_text(f'recipes: {{"{name}": toy.yaml}}\n')
    ended = wsseg("bench", "run", tmp_path / "suite.yaml", "--out", tmp_path / "out/suite")
    ended.refused("cannot be used as a folder name")
    assert sorted(path.name for path in tmp_path.iterdir()) == ["suite.yaml", "toy.yaml"]


def test_a_value_of_a_matrix_cannot_leave_the_folder_of_the_suite(toy_recipe: Path) -> None:
    from wsseg.suite.definition import load_suite, plan

    suite = toy_recipe.with_name("suite.yaml")
    suite.write_text(
        "recipes: {a: toy.yaml}\nmatrix: {cohort.path: [../../x.csv, /tmp/../y.csv]}\n"
    )
    for job in plan(load_suite(suite), suite.parent):
        assert len(job.folder.parts) == 2
        assert ".." not in job.folder.parts


def test_a_symbolic_link_in_place_of_a_mask_is_replaced_and_not_followed(
    wsseg: "Wsseg", trained: Path, toy_cohort: Path, tmp_path: Path
) -> None:
    (tmp_path / "out").mkdir()
    (tmp_path / "precious").write_text("mine")
    (tmp_path / "out/6-image.nii.gz").symlink_to(tmp_path / "precious")
    scan = toy_cohort.parent / "6-image.nii.gz"
    wsseg("predict", trained, scan, "--out", tmp_path / "out")
    assert (tmp_path / "precious").read_text() == "mine"


# Memory.


def limited(folder: Path, *parts: object) -> str:
    """Run a command with 4 GiB of memory; return its output, which must be a clear error."""
    command = Command(words(*parts), folder, memory_bytes=2**32, environment=own_cache(folder))
    result = command.run(60)
    assert judge(result) == "clear error", result
    return result.output


def test_reading_a_scan_does_not_decompress_bytes_that_follow_it(tmp_path: Path) -> None:
    """A small scan is followed by 4 GiB of zeros, compressed to 4 MiB."""
    scan = nib.Nifti1Image(np.zeros((20, 20, 20), np.int16), np.eye(4))
    path = tmp_path / "bomb.nii.gz"
    with path.open("wb") as file:
        file.write(gzip.compress(scan.to_bytes()))
        file.writelines([gzip.compress(bytes(2**26))] * 64)
    tracemalloc.start()
    read_array(path, open_nifti(path))
    assert tracemalloc.get_traced_memory()[1] < 2**28
    tracemalloc.stop()


def test_reading_a_scan_decompresses_in_pieces(tmp_path: Path) -> None:
    shape = (512, 512, 700)  # 350 MiB of zeros in 350 KiB
    header = nib.Nifti1Image(np.zeros((1, 1, 1), np.int16), np.eye(4)).header
    header.set_data_shape(shape)
    header.set_data_offset(352)
    path = tmp_path / "bomb.nii.gz"
    path.write_bytes(gzip.compress(header.binaryblock + bytes(4 + 2 * int(np.prod(shape)) + 2**28)))
    tracemalloc.start()
    array = read_array(path, open_nifti(path))
    peak = tracemalloc.get_traced_memory()[1]
    tracemalloc.stop()
    assert array.shape == shape
    assert peak < array.nbytes + 2**27 + 2**24


def huge_header(path: Path) -> None:
    """Write a header that claims a length of 2^60 bytes."""
    path.write_bytes(struct.pack("<Q", 2**60) + b"{}")


def huge_tensor(path: Path) -> None:
    """Write the header of a tensor of 10^12 numbers without any data."""
    about = {"w": {"dtype": "F32", "shape": [10**6, 10**6], "data_offsets": [0, 4 * 10**12]}}
    text = json.dumps(about).encode()
    path.write_bytes(struct.pack("<Q", len(text)) + text)


def wrong_shape(path: Path) -> None:
    """Change the shape of a weight."""
    weights = load_file(path)
    name = next(iter(weights))
    save_file({**weights, name: weights[name].flatten()}, path)


@pytest.mark.parametrize("spoil", [huge_header, huge_tensor, wrong_shape])
def test_weights_with_impossible_sizes_are_refused(
    trained: Path, toy_cohort: Path, tmp_path: Path, spoil: Callable[[Path], None]
) -> None:
    shutil.copytree(trained, tmp_path / "run")
    spoil(tmp_path / "run/stages/infection/weights.safetensors")
    scan = toy_cohort.parent / "6-image.nii.gz"
    output = limited(tmp_path, "predict", "run", scan, "--out", "out")
    assert "weights.safetensors" in output


def test_json_that_is_nested_too_deeply_is_refused(
    trained: Path, toy_cohort: Path, tmp_path: Path
) -> None:
    shutil.copytree(trained, tmp_path / "run")
    (tmp_path / "run/stages/infection/stage.json").write_text("[" * 200_000)
    scan = toy_cohort.parent / "6-image.nii.gz"
    assert "stage.json: the file is missing or damaged" in limited(
        tmp_path, "predict", "run", scan, "--out", "out"
    )


LAUGHS = "\n".join(
    ["a0: &a0 [x, x, x, x, x, x, x, x, x, x]"]
    + [f"a{n}: &a{n} [{', '.join([f'*a{n - 1}'] * 10)}]" for n in range(1, 12)]
)


@pytest.mark.parametrize("text", [LAUGHS, "a: " + "[" * 5000, "x" * 2_000_000, "a: &a [*a]"])
def test_yaml_bombs_are_refused(tmp_path: Path, text: str) -> None:
    (tmp_path / "bomb.yaml").write_text(text)
    assert "bomb.yaml" in limited(tmp_path, "recipe", "check", "bomb.yaml")


# Terminals and pages.


def test_control_characters_are_escaped_and_long_lines_shortened() -> None:
    assert escape_unprintable("a\x1b[31mb\x07\x9b\u202ec") == "a\\x1b[31mb\\x07\\x9b\\u202ec"
    assert escape_unprintable("Müller, φ\n\t2") == "Müller, φ\n\t2"
    assert len(shorten_lines("x" * 100_000 + "\ny")) < 1100
    assert shorten_lines("short\nlines") == "short\nlines"


def test_control_characters_in_a_file_name_are_escaped_in_messages(
    wsseg: "Wsseg", trained: Path, tmp_path: Path
) -> None:
    scan = tmp_path / "\x1b[2J[red]x.nii.gz"
    scan.write_bytes(b"")
    ended = wsseg("predict", trained, scan, "--out", tmp_path / "out")
    assert "\x1b" not in ended.err + ended.out
    ended.refused("\\x1b[2J[red]x.nii.gz: the file is empty")


def test_notes_and_progress_bars_do_not_interpret_markup(
    capsys: pytest.CaptureFixture[str],
) -> None:
    from wsseg.runtime.console import Display

    display = Display(open_console())
    display.note("[red]x[/red] \x1b[31m")
    display.warn("[/]")
    with display.bar("[/red]", 2) as advance:
        advance(1, "[/]")
    output = capsys.readouterr().out
    assert "[red]x[/red] \\x1b[31m" in output
    assert "[/]" in output
    assert "\x1b" not in output


def test_names_are_escaped_in_the_report(wsseg: "Wsseg", trained: Path, tmp_path: Path) -> None:
    """Names of methods, patients, cases and stages, and warnings."""
    evil = "<script>alert(1)</script>"
    shutil.copytree(trained, tmp_path / "run")
    (tmp_path / "run/scores.csv").write_text(
        f"method,case,patient,site,dice\n{evil},{evil},{evil},{evil},0.5\n$\\frac$,b,c,,0.4\n"
    )
    warned = {"event": "warning", "stage": evil, "epoch": 1, "text": evil}
    (tmp_path / "run/log.jsonl").write_text(json.dumps(warned) + "\n")
    ended = wsseg("report", tmp_path / "run")
    assert ended.code == 0, ended.err
    text = (tmp_path / "run/report.html").read_text()
    assert evil not in text
    assert "&lt;script&gt;alert(1)" in text
