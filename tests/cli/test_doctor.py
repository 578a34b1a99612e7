"""The command `wsseg doctor` and the option `--version`."""

from importlib import metadata
from pathlib import Path
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    import pytest

    from tests.conftest import Wsseg


def test_version_prints_the_version_of_the_distribution(wsseg: "Wsseg") -> None:
    ended = wsseg("--version")
    assert (ended.code, ended.out) == (0, f"wsseg {metadata.version('wsseg')}\n")


def test_doctor_prints_versions_device_precision_cores_cache_and_disk(
    wsseg: "Wsseg", tmp_path: Path, monkeypatch: "pytest.MonkeyPatch"
) -> None:
    monkeypatch.setenv("WSSEG_CACHE", str(tmp_path / "none"))
    ended = wsseg("doctor")
    assert (ended.code, ended.err) == (0, "")
    lines = [line.split("  ", 1) for line in ended.out.splitlines()]
    found = {name: value.strip() for name, value in lines}
    assert found["wsseg"] == metadata.version("wsseg")
    assert found["torch"] == metadata.version("torch")
    assert {"Python", "plugin", "device", "cores", "disk of folder"} <= set(found)
    assert found["precision"].endswith("with `precision: auto`")
    assert found["cache"].startswith(f"{tmp_path / 'none'}: 0.0 GB of at most")
    assert not (tmp_path / "none").exists()
