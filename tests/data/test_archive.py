"""Zip files are unpacked into their folder, or refused without leaving files."""

import stat
from pathlib import Path
from zipfile import ZIP_DEFLATED, ZipFile, ZipInfo

import pytest

from wsseg.data.archive import unpack
from wsseg.errors import InputError


def write_zip(path: Path, files: dict[str, bytes]) -> Path:
    with ZipFile(path, "w", ZIP_DEFLATED) as archive:
        for name, content in files.items():
            archive.writestr(name, content)
    return path


def check_refused(archive: Path, message: str) -> None:
    with pytest.raises(InputError, match=message):
        unpack(archive, archive.parent / "scans")
    assert [path.name for path in archive.parent.iterdir()] == [archive.name]


@pytest.mark.parametrize("inside", ["", "scans/"])
def test_the_folder_is_not_nested_if_the_zip_file_contains_it(tmp_path: Path, inside: str) -> None:
    files = {f"{inside}1.nii": b"one", f"{inside}deep/2.nii": b"two", "__MACOSX/._1.nii": b"x"}
    unpack(write_zip(tmp_path / "a.zip", files), tmp_path / "scans")
    found = {
        str(path.relative_to(tmp_path / "scans")): path.read_bytes()
        for path in (tmp_path / "scans").rglob("*.nii")
    }
    assert found == {"1.nii": b"one", "deep/2.nii": b"two"}


@pytest.mark.parametrize(
    "name", ["../x", "a/../../x", "/x", "scans/../../x", "..\\x", "C:\\x", "scans//../x"]
)
def test_a_path_outside_the_folder_is_refused(tmp_path: Path, name: str) -> None:
    check_refused(
        write_zip(tmp_path / "a.zip", {"1.nii": b"one", name: b"bad"}), "written outside its folder"
    )


def test_a_symbolic_link_is_refused(tmp_path: Path) -> None:
    link = ZipInfo("link")
    link.external_attr = (stat.S_IFLNK | 0o777) << 16
    with ZipFile(tmp_path / "a.zip", "w") as archive:
        archive.writestr(link, "/etc/passwd")
    check_refused(tmp_path / "a.zip", "contains a link")


def test_two_files_with_the_same_name_are_refused(tmp_path: Path) -> None:
    check_refused(
        write_zip(tmp_path / "a.zip", {"1.nii": b"one", "scans/1.nii": b"two"}),
        "with the same name",
    )


def test_a_declared_size_that_is_impossible_is_refused(tmp_path: Path) -> None:
    archive = write_zip(tmp_path / "a.zip", {"1.nii": b"one"})
    content = bytearray(archive.read_bytes())
    at = content.index(b"PK\x01\x02") + 24  # the directory's uncompressed size
    content[at : at + 4] = (2**31).to_bytes(4, "little")
    archive.write_bytes(content)
    check_refused(archive, "more than a zip file of its size can contain")


def test_a_zip_file_that_does_not_fit_on_the_disk_is_refused(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    class Usage:
        free = 2

    monkeypatch.setattr("shutil.disk_usage", lambda _: Usage)
    check_refused(write_zip(tmp_path / "a.zip", {"1.nii": b"one"}), "unpacking it needs .* GiB")


@pytest.mark.parametrize("content", [b"", b"<html>404</html>"])
def test_a_file_that_is_not_a_zip_file_is_refused(tmp_path: Path, content: bytes) -> None:
    (tmp_path / "a.zip").write_bytes(content)
    check_refused(tmp_path / "a.zip", "not a zip file")


def test_a_damaged_zip_file_is_refused(tmp_path: Path) -> None:
    archive = write_zip(tmp_path / "a.zip", {"1.nii": bytes(range(256)) * 9})
    content = bytearray(archive.read_bytes())
    content[45:60] = bytes(15)
    archive.write_bytes(content)
    check_refused(archive, "damaged")
