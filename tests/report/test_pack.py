"""Runs in one file: what they contain, how they are used, and which files are refused."""

import base64
import json
import os
import shutil
import stat
import threading
from collections.abc import Callable, Iterator
from http.server import BaseHTTPRequestHandler, HTTPServer
from pathlib import Path
from typing import TYPE_CHECKING, Any
from zipfile import ZIP_DEFLATED, ZIP_STORED, ZipFile, ZipInfo

import numpy as np
import pytest

from wsseg.data.nifti import open_nifti
from wsseg.errors import InputError
from wsseg.inference.packed_run import run_folder
from wsseg.inference.run import load_run
from wsseg.report import pack

if TYPE_CHECKING:
    from tests.conftest import Wsseg

PLANTED = "Mustermann"


@pytest.fixture(scope="module")
def scored(trained: Path, wsseg: "Wsseg", tmp_path_factory: pytest.TempPathFactory) -> Path:
    run = shutil.copytree(trained, tmp_path_factory.mktemp("scored") / PLANTED)
    assert wsseg("score", run).code == 0
    return run


@pytest.fixture(scope="module")
def packed(scored: Path, wsseg: "Wsseg", tmp_path_factory: pytest.TempPathFactory) -> Path:
    out = tmp_path_factory.mktemp("packed") / "toy.wsseg"
    ended = wsseg("pack", scored, "--out", out, "--licence", "cc-by-4.0")
    assert ended.code == 0, ended.err
    return out


def members(path: Path) -> dict[str, bytes]:
    with ZipFile(path) as archive:
        return {name: archive.read(name) for name in archive.namelist()}


def written(path: Path, content: dict[str, bytes], method: int = ZIP_STORED) -> Path:
    with ZipFile(path, "w", method) as archive:
        for name, data in content.items():
            archive.writestr(name, data)
    return path


def test_a_packed_run_has_weights_recipe_card_scores_and_versions(packed: Path) -> None:
    content = members(packed)
    assert list(content) == [
        "wsseg.json",
        "README.md",
        "recipe.yaml",
        "scores.csv",
        "stages/consolidation/stage.json",
        "stages/consolidation/weights.safetensors",
        "stages/infection/stage.json",
        "stages/infection/weights.safetensors",
    ]
    record = json.loads(content["wsseg.json"])
    assert record["licence"] == "cc-by-4.0"
    assert {"python", "torch", "wsseg"} <= set(record["versions"])
    assert {name.split()[0] for name in record["distributions"]} == {"wsseg", "wsseg-covid"}
    card = content["README.md"].decode()
    assert card.startswith("---\nlicense: cc-by-4.0\n")
    assert "- **infection** learns infection from masks: backbone `additive-unet`" in card
    assert "tags of consolidation, cases: 3 absent, 3 present" in card
    assert "Cases: 6 train, 0 validation, 2 test." in card
    assert "Dice where present" in card
    assert "http" not in card  # wsseg has no page yet that a link could lead to


def test_a_packed_run_has_no_names_paths_or_images_of_the_run(
    wsseg: "Wsseg", scored: Path, toy_cohort: Path, tmp_path: Path
) -> None:
    run = shutil.copytree(scored, tmp_path / PLANTED)
    manifest = (run / "manifest.json").read_text()
    (run / "manifest.json").write_text(manifest.replace("case-0", f"{PLANTED}-0"))
    out = tmp_path / "x.wsseg"
    assert wsseg("pack", run, "--out", out).code == 0
    whole = out.read_bytes()
    names = [PLANTED, "case-", "patient-", str(tmp_path), str(toy_cohort.parent), "image.nii"]
    names += [os.environ.get("USER") or "no user", str(Path.home()), "targets"]
    assert [name for name in names if name.encode() in whole] == []
    assert len(members(out)) == 8  # neither logs nor manifest, predictions or targets


def test_packing_a_run_twice_gives_the_same_file(
    wsseg: "Wsseg", scored: Path, packed: Path, tmp_path: Path
) -> None:
    wsseg("pack", scored, "--out", tmp_path / "x.wsseg", "--licence", "cc-by-4.0")
    assert (tmp_path / "x.wsseg").read_bytes() == packed.read_bytes()


def test_a_packed_run_predicts_the_same_mask_as_the_run(
    wsseg: "Wsseg", scored: Path, packed: Path, toy_cohort: Path, tmp_path: Path
) -> None:
    scan = toy_cohort.parent / "6-image.nii.gz"
    for source, out in ((scored, "a"), (packed, "b")):
        ended = wsseg("predict", source, scan, "--out", tmp_path / out, "--pictures")
        assert ended.code == 0, ended.err
    sheets = [(tmp_path / out / "pictures" / "6-image.png").read_bytes() for out in ("a", "b")]
    assert sheets[0] == sheets[1]
    one, other = (np.asarray(open_nifti(tmp_path / out / scan.name).dataobj) for out in ("a", "b"))
    assert one.any()
    assert (one == other).all()


def test_a_stage_starts_from_a_stage_of_a_packed_run(
    wsseg: "Wsseg", packed: Path, toy_recipe: Path, tmp_path: Path
) -> None:
    start = f"stages.consolidation.start={{run: {packed}, stage: infection}}"
    short = "stages.infection.epochs=1"
    words = ("--set", start, "--set", short, "--set", "stages.consolidation.epochs=1")
    ended = wsseg("train", toy_recipe, "--out", tmp_path / "run", *words)
    assert ended.code == 0, ended.err
    other = start.replace("infection}", "lung}")
    refused = wsseg("recipe", "check", toy_recipe, "--set", other)
    assert refused.code == 0  # files are looked at when training starts
    ended = wsseg("train", toy_recipe, "--out", tmp_path / "none", "--set", other)
    ended.refused("toy.wsseg", "'lung'", "possible: consolidation, infection")


@pytest.mark.parametrize("command", ["score", "report", "manifest verify"])
def test_a_packed_run_has_no_cases_to_score(wsseg: "Wsseg", packed: Path, command: str) -> None:
    wsseg(*command.split(), packed).refused("a packed run does not list its cases and files")


def test_a_run_whose_part_names_a_file_is_not_packed(
    wsseg: "Wsseg", scored: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    paths = [(("regions", "lung", "atlas"), Path("/atlas.nii.gz"))]
    monkeypatch.setattr(pack, "paths_in", lambda _: paths)
    out = tmp_path / "x.wsseg"
    wsseg("pack", scored, "--out", out).refused("regions.lung.atlas names a file")
    assert not out.exists()


def test_a_packed_run_needs_its_suffix(wsseg: "Wsseg", scored: Path, tmp_path: Path) -> None:
    wsseg("pack", scored, "--out", tmp_path / "x.zip").refused("ends in .wsseg")


def link(content: dict[str, bytes], path: Path) -> None:
    with ZipFile(path, "w") as archive:
        for name, data in content.items():
            archive.writestr(name, data)
        member = ZipInfo("stages/link")
        member.external_attr = (stat.S_IFLNK | 0o777) << 16
        archive.writestr(member, "/etc/passwd")


def replaced(content: dict[str, bytes], name: str, data: bytes) -> dict[str, bytes]:
    return {**content, name: data}


def record(content: dict[str, bytes], **changes: object) -> dict[str, bytes]:
    return content | {
        "wsseg.json": json.dumps({**json.loads(content["wsseg.json"]), **changes}).encode()
    }


HOSTILE: dict[str, tuple[Callable[[dict[str, bytes], Path], object], str]] = {
    "no archive": (lambda _, p: p.write_bytes(b"\x7fELF" * 99), "not a packed run"),
    "empty": (lambda _, p: p.write_bytes(b""), "not a packed run"),
    "another zip": (lambda _, p: written(p, {"a.txt": b"a"}), "not a packed run"),
    "cut": (lambda c, p: p.write_bytes(written(p, c).read_bytes()[:-200]), "not a packed run"),
    "traversal": (lambda c, p: written(p, replaced(c, "../evil.txt", b"x")), "unsafe path"),
    "absolute": (lambda c, p: written(p, replaced(c, "/evil.txt", b"x")), "unsafe path"),
    "backslash": (lambda c, p: written(p, replaced(c, "..\\evil.txt", b"x")), "unsafe path"),
    "hidden": (lambda c, p: written(p, replaced(c, ".bashrc", b"x")), "unsafe path"),
    "link": (link, "link"),
    "bomb": (
        lambda c, p: written(p, replaced(c, "zeros.bin", bytes(10**7)), ZIP_DEFLATED),
        "compressed",
    ),
    "missing": (
        lambda c, p: written(p, {k: v for k, v in c.items() if k != "recipe.yaml"}),
        "lacks member 'recipe.yaml'",
    ),
    "additional": (lambda c, p: written(p, replaced(c, "x.pkl", b"x")), "unlisted member 'x.pkl'"),
    "changed": (
        lambda c, p: written(p, replaced(c, "recipe.yaml", b"seed: 1")),
        "'recipe.yaml' is damaged",
    ),
    "newer": (lambda c, p: written(p, record(c, version=2)), "update wsseg"),
    "record": (lambda c, p: written(p, record(c, files=[1])), "its wsseg.json is invalid"),
    "packages": (
        lambda c, p: written(p, record(c, distributions=["wsseg-unknown 3.0"])),
        "pip install wsseg-unknown",
    ),
}


@pytest.mark.parametrize("kind", HOSTILE)
def test_a_damaged_or_hostile_file_is_refused_and_nothing_is_written(
    wsseg: "Wsseg", packed: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, kind: str
) -> None:
    monkeypatch.setenv("WSSEG_CACHE", str(tmp_path / "cache"))
    damage, message = HOSTILE[kind]
    path = tmp_path / "bad.wsseg"
    damage(members(packed), path)
    ended = wsseg("predict", path, tmp_path, "--out", tmp_path / "masks")
    ended.refused("bad.wsseg", message)
    assert not (tmp_path / "masks").exists()
    assert not (tmp_path / "evil.txt").exists()
    if kind != "packages":
        assert not list((tmp_path / "cache").glob("packed-runs/*"))


def test_two_members_with_the_same_name_are_refused(packed: Path, tmp_path: Path) -> None:
    path = Path(shutil.copy(packed, tmp_path / "two.wsseg"))
    with ZipFile(path, "a") as archive, pytest.warns(UserWarning, match="Duplicate"):
        archive.writestr("recipe.yaml", "seed: 1")
    with pytest.raises(InputError, match=r"two members named 'recipe\.yaml'"):
        run_folder(path)


def test_every_flipped_byte_of_the_weights_is_noticed(packed: Path, tmp_path: Path) -> None:
    data = bytearray(packed.read_bytes())
    data[len(data) // 2] ^= 1
    path = tmp_path / "flipped.wsseg"
    path.write_bytes(data)
    with pytest.raises(InputError, match="is damaged"):
        run_folder(path)


def test_a_missing_file_is_refused(tmp_path: Path) -> None:
    with pytest.raises(InputError, match=r"none\.wsseg: not found"):
        load_run(tmp_path / "none.wsseg")


class Hub(BaseHTTPRequestHandler):
    """The part of a model hub that an upload of small files uses."""

    requests: list[tuple[str, Any]]

    def do_POST(self) -> None:
        body = self.rfile.read(int(self.headers["Content-Length"])).decode()
        lines = [json.loads(line) for line in body.splitlines()]
        self.requests.append((self.path, lines))
        host = f"http://{self.headers['Host']}"
        answer: dict[str, Any] = {"url": f"{host}/me/toy", "success": True}
        if self.path.endswith("/commit/main"):
            commit = f"{host}/me/toy/commit/1"
            answer |= {"commitUrl": commit, "commitOid": "1", "pullRequestUrl": None}
        if self.path.endswith("/preupload/main"):
            answer["files"] = [
                {"path": each["path"], "uploadMode": "regular", "shouldIgnore": False}
                for each in lines[0]["files"]
            ]
        data = json.dumps(answer).encode()
        self.send_response(200)
        self.send_header("Content-Type", "application/json")
        self.send_header("Content-Length", str(len(data)))
        self.end_headers()
        self.wfile.write(data)

    def log_message(self, *_: object) -> None:
        """Print nothing."""


@pytest.fixture
def hub() -> Iterator[tuple[str, list[tuple[str, Any]]]]:
    requests: list[tuple[str, Any]] = []
    server = HTTPServer(("127.0.0.1", 0), type("OwnHub", (Hub,), {"requests": requests}))
    threading.Thread(target=server.serve_forever, daemon=True).start()
    yield f"http://127.0.0.1:{server.server_port}", requests
    server.shutdown()


def test_a_packed_run_and_its_card_are_uploaded_to_a_private_repository(
    wsseg: "Wsseg",
    scored: Path,
    tmp_path: Path,
    hub: tuple[str, list[tuple[str, Any]]],
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    address, requests = hub
    monkeypatch.setenv("HF_TOKEN", "hf_x")
    monkeypatch.setattr("huggingface_hub.constants.ENDPOINT", address)
    monkeypatch.setattr("huggingface_hub.constants.HF_HUB_DISABLE_XET", True)
    ended = wsseg("pack", scored, "--out", tmp_path / "toy.wsseg", "--push-to-hub", "me/toy")
    assert ended.code == 0, ended.err
    assert f"uploaded: {address}/me/toy/commit/1" in ended.err
    (path, [created]), *_, (_, commit) = requests
    assert path == "/api/repos/create"
    assert created.get("visibility") == "private" or created.get("private") is True
    files = {
        line["value"]["path"]: base64.b64decode(line["value"]["content"])
        for line in commit
        if line["key"] == "file"
    }
    assert files["toy.wsseg"] == (tmp_path / "toy.wsseg").read_bytes()
    assert files["README.md"].startswith(b"---\nlibrary_name: wsseg\n")


def test_a_failed_upload_is_reported_in_one_line_and_keeps_the_file(
    wsseg: "Wsseg", scored: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def refuse(*_: object, **__: object) -> None:
        raise OSError("no network")

    monkeypatch.setattr("huggingface_hub.HfApi.create_repo", refuse)
    out = tmp_path / "x.wsseg"
    ended = wsseg("pack", scored, "--out", out, "--push-to-hub", "me/toy")
    assert ended.code == 1
    assert "the upload to me/toy failed (OSError: no network)" in ended.error
    assert out.is_file()
