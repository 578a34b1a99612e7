"""The commands `wsseg data prepare` and `wsseg data phantom`."""

from pathlib import Path
from typing import TYPE_CHECKING

import pytest

from wsseg.components.cohorts import Table
from wsseg.components.registry import registry
from wsseg.core.interfaces import Cohort, Synthetic

if TYPE_CHECKING:
    from tests.conftest import Wsseg


def test_data_prepare_fills_the_cache_once(
    wsseg: "Wsseg", toy_recipe: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("WSSEG_CACHE", str(tmp_path / "cache"))
    ended = wsseg("data", "prepare", toy_recipe)
    assert (ended.code, ended.out) == (0, "8 scans prepared\n")
    images = sorted((tmp_path / "cache").rglob("image.npy"))
    assert len(images) == 8
    before = [path.stat().st_mtime_ns for path in images]
    assert wsseg("data", "prepare", toy_recipe).code == 0
    assert [path.stat().st_mtime_ns for path in images] == before


def test_data_phantom_writes_a_readable_cohort_and_does_not_overwrite_it(
    wsseg: "Wsseg", tmp_path: Path
) -> None:
    ended = wsseg("data", "phantom", "--out", tmp_path / "new", "--cases", 1, "--seed", 7)
    assert ended.code == 0
    assert "1 scan: " in ended.err
    (case,) = Table(path=tmp_path / "new" / "cohort.csv").cases()
    assert {"infection", "consolidation"} <= set(case.masks)
    wsseg("data", "phantom", "--out", tmp_path / "new").refused("already exists")


def test_data_phantom_without_an_installed_synthetic_cohort_is_an_error(
    wsseg: "Wsseg", tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    offers = {
        key: offer
        for key, offer in registry().offers.items()
        if not (key[0] is Cohort and issubclass(offer.part, Synthetic))
    }
    monkeypatch.setattr(registry(), "offers", offers)
    wsseg("data", "phantom", "--out", tmp_path / "new").refused("no installed plugin")
    assert not (tmp_path / "new").exists()


def test_data_phantom_suggests_a_cohort_for_a_misspelt_name(wsseg: "Wsseg", tmp_path: Path) -> None:
    ended = wsseg("data", "phantom", "--out", tmp_path / "new", "--use", "lung-fantom")
    ended.refused("Did you mean 'lung-phantom'?")
