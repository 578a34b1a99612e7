"""Zip files of strangers stay in their folder, or are refused with nothing left behind."""

import stat
from pathlib import Path
from zipfile import ZIP_DEFLATED, ZipFile, ZipInfo

import pytest

from wsseg.data.download import unpack
from wsseg.errors import InputError


def zipped(path: Path, files: dict[str, bytes]) -> Path:
    with ZipFile(path, "w", ZIP_DEFLATED) as archive:
        for name, content in files.items():
            archive.writestr(name, content)
    return path


def refused(archive: Path, said: str) -> None:
    with pytest.raises(InputError, match=said):
        unpack(archive, archive.parent / "scans")
    assert [path.name for path in archive.parent.iterdir()] == [archive.name]


@pytest.mark.parametrize("inside", ["", "scans/"])
def test_files_lie_in_the_folder_whether_or_not_the_zip_has_it(tmp_path: Path, inside: str) -> None:
    files = {f"{inside}1.nii": b"one", f"{inside}deep/2.nii": b"two", "__MACOSX/._1.nii": b"x"}
    unpack(zipped(tmp_path / "a.zip", files), tmp_path / "scans")
    found = {
        str(path.relative_to(tmp_path / "scans")): path.read_bytes()
        for path in (tmp_path / "scans").rglob("*.nii")
    }
    assert found == {"1.nii": b"one", "deep/2.nii": b"two"}


@pytest.mark.parametrize(
    "name", ["../x", "a/../../x", "/x", "scans/../../x", "..\\x", "C:\\x", "scans//../x"]
)
def test_a_path_that_leads_elsewhere_is_refused(tmp_path: Path, name: str) -> None:
    refused(zipped(tmp_path / "a.zip", {"1.nii": b"one", name: b"bad"}), "would lie elsewhere")


def test_a_link_is_refused(tmp_path: Path) -> None:
    link = ZipInfo("link")
    link.external_attr = (stat.S_IFLNK | 0o777) << 16
    with ZipFile(tmp_path / "a.zip", "w") as archive:
        archive.writestr(link, "/etc/passwd")
    refused(tmp_path / "a.zip", "has a link")


def test_two_files_of_one_name_are_refused(tmp_path: Path) -> None:
    refused(zipped(tmp_path / "a.zip", {"1.nii": b"one", "scans/1.nii": b"two"}), "of one name")


def test_a_size_that_cannot_be_is_refused(tmp_path: Path) -> None:
    archive = zipped(tmp_path / "a.zip", {"1.nii": b"one"})
    content = bytearray(archive.read_bytes())
    at = content.index(b"PK\x01\x02") + 24  # the directory's uncompressed size
    content[at : at + 4] = (2**31).to_bytes(4, "little")
    archive.write_bytes(content)
    refused(archive, "which it cannot")


def test_more_than_the_disk_holds_is_refused(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    class Usage:
        free = 2

    monkeypatch.setattr("shutil.disk_usage", lambda _: Usage)
    refused(zipped(tmp_path / "a.zip", {"1.nii": b"one"}), "needs .* GiB unpacked")


@pytest.mark.parametrize("content", [b"", b"<html>404</html>"])
def test_what_is_no_zip_is_refused(tmp_path: Path, content: bytes) -> None:
    (tmp_path / "a.zip").write_bytes(content)
    refused(tmp_path / "a.zip", "no zip file")


def test_a_damaged_zip_is_refused(tmp_path: Path) -> None:
    archive = zipped(tmp_path / "a.zip", {"1.nii": bytes(range(256)) * 9})
    content = bytearray(archive.read_bytes())
    content[45:60] = bytes(15)
    archive.write_bytes(content)
    refused(archive, "damaged")
