"""Reading of named tensors from .safetensors and .pth files."""

import pickle
from collections import OrderedDict
from pathlib import Path
from typing import Any

import pytest
import torch
from safetensors.torch import save_file

from wsseg.errors import InputError
from wsseg.runtime.tensor_files import read_tensors

TENSORS = {"conv.weight": torch.arange(6.0).reshape(2, 3), "bn.count": torch.tensor(3)}


class RunsCode:
    """An object whose unpickling calls a function."""

    def __reduce__(self) -> Any:
        return (print, ("code was run",))


def test_files_of_both_kinds_give_the_tensors_by_name(tmp_path: Path) -> None:
    save_file(TENSORS, tmp_path / "a.safetensors")
    torch.save(OrderedDict(TENSORS), tmp_path / "a.pth")
    for name in ("a.safetensors", "a.pth"):
        found = read_tensors(tmp_path / name)
        assert found.keys() == TENSORS.keys()
        assert all(torch.equal(found[key], TENSORS[key]) for key in TENSORS)


def test_a_pickle_with_code_is_refused_and_runs_nothing(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    torch.save({"conv.weight": RunsCode()}, tmp_path / "a.pth")
    (tmp_path / "b.pth").write_bytes(pickle.dumps(RunsCode()))
    for name in ("a.pth", "b.pth"):
        with pytest.raises(
            InputError, match=f"{name}: the file is damaged, or contains more than tensors"
        ):
            read_tensors(tmp_path / name)
    assert capsys.readouterr().out == ""


@pytest.mark.parametrize("content", [{}, [torch.ones(1)], {"epoch": 3, "weight": torch.ones(1)}])
def test_a_file_without_named_tensors_is_refused(content: Any, tmp_path: Path) -> None:
    torch.save(content, tmp_path / "a.pth")
    with pytest.raises(InputError, match=r"a\.pth: the file contains no named tensors"):
        read_tensors(tmp_path / "a.pth")


def test_a_missing_or_truncated_file_causes_one_clear_error(tmp_path: Path) -> None:
    save_file(TENSORS, tmp_path / "a.safetensors")
    (tmp_path / "b.safetensors").write_bytes((tmp_path / "a.safetensors").read_bytes()[:-5])
    with pytest.raises(InputError, match=r"b\.safetensors: the file is damaged"):
        read_tensors(tmp_path / "b.safetensors")
    with pytest.raises(InputError, match=r"c\.pth: file not found"):
        read_tensors(tmp_path / "c.pth")
