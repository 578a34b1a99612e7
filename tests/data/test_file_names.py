"""Files are found whatever the Unicode form of their names."""

from pathlib import Path
from typing import Literal, TypeAlias
from unicodedata import normalize

import pytest

from wsseg.data.file_names import find_path

Form: TypeAlias = Literal["NFC", "NFD"]


@pytest.mark.parametrize(("on_disk", "asked"), [("NFC", "NFD"), ("NFD", "NFC")])
def test_a_name_with_accents_is_found_in_both_unicode_forms(
    tmp_path: Path, on_disk: Form, asked: Form
) -> None:
    path = tmp_path / normalize(on_disk, "Größe") / normalize(on_disk, "Ångström é.nii.gz")
    path.parent.mkdir()
    path.touch()
    found = find_path(tmp_path / normalize(asked, "Größe") / normalize(asked, "Ångström é.nii.gz"))
    assert found.is_file()
    assert found.samefile(path)


def test_a_missing_file_keeps_its_name(tmp_path: Path) -> None:
    assert find_path(tmp_path / "é" / "ü.nii") == tmp_path / "é" / "ü.nii"
    assert find_path(tmp_path / "a.nii") == tmp_path / "a.nii"
