"""The page of a case: its layers, and that a browser shows them without errors and requests."""

import gzip
import hashlib
import re
import shutil
import subprocess
import zlib
from importlib import resources
from pathlib import Path
from typing import TYPE_CHECKING

import nibabel as nib
import numpy as np
import pytest
from PIL import Image

from wsseg.report import view_layers
from wsseg.report.view_layers import Layer, View, cropped, merged
from wsseg.report.view_page import html, nifti

if TYPE_CHECKING:
    from tests.conftest import Wsseg

NIIVUE = "47b896b77ec4a5be3ef1949c33ad393b6f45629921f326c279000bcf51bdb4af"  # of release 0.69.0


def view_with(image: np.ndarray, *layers: Layer, is_picture: bool = False) -> View:
    return View(
        case="<a>",
        layers=[Layer("image", image, is_shown=True), *layers],
        spacing=(1.0, 1.0, 1.0) if is_picture else (5.0, 1.0, 2.0),
        is_picture=is_picture,
        window=(0.0, 255.0),
        key_slice=len(image) // 2,
        numbers={"crack": "12 px, <b>"},
    )


def test_a_view_with_few_voxels_is_not_changed() -> None:
    view = view_with(np.zeros((3, 4, 5)))
    assert merged(cropped(view)) is view


def test_merged_blocks_have_the_mean_of_an_image_and_any_voxel_of_a_mask(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(view_layers, "MAX_VOXELS", 8)
    image = np.arange(12, dtype=np.int16).reshape(1, 3, 4)
    mask = image == 5
    view = merged(view_with(image, Layer("predicted", mask, "crack")))
    assert view.block == (1, 2, 1)  # the shortest side of a voxel grows first
    assert view.spacing == (5.0, 2.0, 2.0)
    assert view.layers[0].voxels.tolist() == [[[2, 3, 4, 5], [8, 9, 10, 11]]]
    assert view.layers[1].voxels.tolist() == [[[False, True, False, False], [False] * 4]]


def test_a_large_view_is_cropped_to_its_regions_and_masks(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(view_layers, "MAX_VOXELS", 6)
    monkeypatch.setattr(view_layers, "MARGIN", 0)
    image = np.arange(27).reshape(3, 3, 3)
    region, found = np.isin(image, [13, 14]), image == 17
    view = cropped(view_with(image, Layer("region", region, "lung"), Layer("predicted", found)))
    assert view.layers[0].voxels.tolist() == [[[13, 14], [16, 17]]]
    assert (view.key_slice, view.is_cropped) == (0, True)


@pytest.mark.parametrize("shape", [(2, 3, 4), (1, 3, 4, 3)], ids=["scan", "colours"])
def test_the_embedded_nifti_has_the_values_and_axes_of_the_image(shape: tuple[int, ...]) -> None:
    values = np.linspace(0, 255, int(np.prod(shape))).astype(np.uint8).reshape(shape)
    view = view_with(values)
    read = nib.Nifti1Image.from_bytes(gzip.decompress(nifti(view.layers[0], view)))
    array = np.asanyarray(read.dataobj)
    if len(shape) == 4:
        array = array.view(np.uint8).reshape(*array.shape, 3)
    assert np.allclose(array.swapaxes(0, 2), values, atol=0.6)
    assert nib.aff2axcodes(read.affine) == ("L", "P", "S")
    assert read.header.get_zooms()[:3] == (2.0, 1.0, 5.0)


def test_names_in_a_view_are_escaped() -> None:
    mask = Layer("predicted", np.ones((1, 8, 8), np.bool_), "</script>", "#ff8c1a")
    page = html(view_with(np.zeros((1, 8, 8)), mask), "run")
    assert "&lt;a&gt;" in page
    assert "&lt;b&gt;" in page
    assert "Predicted </script>" not in page


def test_the_viewer_is_the_released_file_of_niivue() -> None:
    folder = resources.files("wsseg.report") / "niivue"
    assert hashlib.sha256((folder / "niivue.umd.js").read_bytes()).hexdigest() == NIIVUE
    assert "Copyright (c) 2021, Niivue" in (folder / "LICENSE.txt").read_text(encoding="utf-8")


def test_a_case_that_is_not_a_test_case_is_refused(wsseg: "Wsseg", trained: Path) -> None:
    wsseg("view", trained, "case-0").refused("no test case is called 'case-0'", "case-6, case-7")


@pytest.mark.usefixtures("undrawn_figures")
def test_the_report_of_a_run_links_to_the_pages_of_its_cases(
    wsseg: "Wsseg", trained: Path, tmp_path: Path
) -> None:
    run = shutil.copytree(trained, tmp_path / "run # 1")
    for words in (("score", run), ("view", run, "case-6"), ("report", run)):
        ended = wsseg(*words)
        assert ended.code == 0, ended.err
    page = (run / "report.html").read_text(encoding="utf-8")
    assert '<a href="views/case-6.html">case-6</a>' in page
    assert "views/case-7" not in page


def page_of_a_crack(folder: Path) -> Path:
    """Return a page with a grey picture and an orange mask in its middle."""
    mask = np.zeros((1, 32, 32), np.bool_)
    mask[0, 8:24, 8:24] = True
    layer = Layer("predicted", mask, "crack", "#ff8c1a", is_shown=True)
    image = np.full((1, 32, 32, 3), 90, np.uint8)
    page = folder / "picture.html"
    page.write_text(html(view_with(image, layer, is_picture=True), "run"))
    return page


def browse(page: Path, folder: Path, output: str) -> str:
    """Open a page in a headless browser with an option for its output; return its messages."""
    chromium = shutil.which("chromium") or shutil.which("google-chrome")
    if chromium is None:
        pytest.skip("no Chromium is installed")
    options = ["--headless", "--no-sandbox", f"--user-data-dir={folder / 'user'}"]
    options += ["--use-gl=angle", "--use-angle=swiftshader", "--enable-unsafe-swiftshader"]
    options += ["--enable-logging=stderr", "--virtual-time-budget=5000", "--window-size=900,700"]
    words = [chromium, *options, output, page.as_uri()]
    done = subprocess.run(words, capture_output=True, text=True, timeout=400, check=True)
    return done.stderr


@pytest.mark.slow
def test_a_printed_view_has_the_picture_and_its_mask(tmp_path: Path) -> None:
    """A quarter of the picture is in the mask; the canvas also has black margins."""
    pdf = tmp_path / "view.pdf"
    browse(page_of_a_crack(tmp_path), tmp_path, f"--print-to-pdf={pdf}")
    content, shares = pdf.read_bytes(), []
    for found in re.finditer(
        rb"/Subtype /Image[^>]*?/ICCBased.*?/Length (\d+)", content, re.DOTALL
    ):
        start = content.index(b"stream\n", found.end()) + len(b"stream\n")
        data = zlib.decompress(content[start : start + int(found[1])])
        pixels = np.frombuffer(data, np.uint8).reshape(-1, 3).astype(int)
        shares.append((abs(pixels[:, 0] - pixels[:, 2]) > 20).mean())  # the picture is grey
    assert shares
    assert all(0.05 < share < 0.26 for share in shares)


@pytest.mark.slow
@pytest.mark.parametrize("kind", ["scan", "picture"])
def test_a_browser_shows_the_layers_without_errors_and_requests(
    kind: str, wsseg: "Wsseg", trained: Path, tmp_path: Path
) -> None:
    """The page's policy forbids every request; the browser reports an attempt as an error."""
    if kind == "scan":
        shutil.copytree(trained, tmp_path / "run")
        ended = wsseg("view", tmp_path / "run", "case-6", "--probabilities")
        assert ended.code == 0, ended.err
        page = tmp_path / "run" / "views" / "case-6.html"
        assert "Probability of consolidation" in page.read_text()
    else:
        page = page_of_a_crack(tmp_path)
    text = page.read_text()
    assert "default-src 'none'" in text
    assert len(text) < 10_000_000
    shot = tmp_path / "shot.png"
    printed = browse(page, tmp_path, f"--screenshot={shot}")
    assert "CONSOLE" not in printed
    pixels = np.asarray(Image.open(shot).convert("RGB"), dtype=int)[60:500, :550]
    is_tinted = abs(pixels[..., 0] - pixels[..., 2]) > 20  # the images are grey
    assert is_tinted.mean() > 0.01
