"""The code of lungmask with artificial weights, which classify dark pixels as lung.

The weights of its U-net are 0 except for a path that copies each pixel from the first block to the
last one, so that the correct mask is known.
"""

import warnings
from pathlib import Path

import numpy as np
import pytest
import torch
from safetensors.torch import save_file

import wsseg_lungmask
from wsseg import Case, Grid, Input, InputError, Region, Volume, WorkError, make
from wsseg.data.checks.regions import region_findings
from wsseg.data.prepare import prepare
from wsseg.testing import check_region
from wsseg.tools import write_nifti
from wsseg_lungmask import LungMask

DARK = (-500 + 1024) / 1624  # in the units of the network's input
CASE = Case("a", "a", Path("a.nii.gz"))


def dark_is_lung() -> dict[str, torch.Tensor]:
    with warnings.catch_warnings():
        from lungmask.resunet import UNet

    net = UNet(n_classes=3, padding=True, depth=5, up_mode="upsample", batch_norm=True)
    state = {name: torch.zeros_like(weight) for name, weight in net.state_dict().items()}
    for name, value in net.state_dict().items():  # batch normalisations without effect
        if name.endswith(("running_var", "num_batches_tracked")) or "block.2" in name:
            state[name] = value
        if "block.5" in name or "batchnorm" in name:
            state[name] = value
    for block, channel in (("down_path.0", 0), ("up_path.3.conv_block", 64)):
        state[f"{block}.block.0.weight"][0, channel, 1, 1] = 1
        state[f"{block}.block.3.weight"][0, 0, 1, 1] = 1
    state["last.weight"][1, 0], state["last.bias"][1] = -100, 100 * DARK
    state["last.bias"][2] = -1
    return state


@pytest.fixture(scope="module")
def weights(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("weights")
    torch.save(dark_is_lung(), folder / "unet.pth")
    save_file(dark_is_lung(), folder / "unet.safetensors")
    return folder


def chest(side: int = 96) -> Volume:
    """Return a body of 20 HU that fills the slices, with one lung of -850 HU off the centre."""
    voxels = np.full((2, side, side), 20, np.int16)
    voxels[:, 20:60, 30:80] = -850
    return Volume(voxels[None], Grid((side, side, 2), np.diag([-3.0, -3.0, 5.0, 1.0])))


def test_the_mask_lies_on_the_lung_and_nothing_is_printed(
    weights: Path, capfd: pytest.CaptureFixture[str]
) -> None:
    before = list(warnings.filters)
    mask = LungMask(weights=weights / "unet.safetensors")(CASE, chest())
    lung = chest().channel() < -500
    assert mask.shape == lung.shape
    assert (mask & lung).sum() > 0.95 * (mask | lung).sum()  # from 96 to 256 pixels and back
    assert capfd.readouterr().out == ""
    assert warnings.filters == before


@pytest.mark.slow
def test_the_mask_equals_that_of_lungmask(weights: Path) -> None:
    with warnings.catch_warnings():
        from lungmask import LMInferer

    inferer = LMInferer(modelpath=str(weights / "unet.pth"), force_cpu=True, tqdm_disable=True)
    noise = np.random.default_rng(0).normal(0, 150, (2, 96, 96))
    volume = Volume((chest().voxels + noise).astype(np.int16), chest().grid)
    theirs = inferer.apply(volume.channel()) > 0
    assert theirs.any()
    assert np.array_equal(LungMask(weights=weights / "unet.pth")(CASE, volume), theirs)


@pytest.mark.slow
def test_the_region_passes_the_conformance_test(weights: Path) -> None:
    check_region(LungMask(weights=weights / "unet.safetensors"), volume=chest())


def test_the_region_is_built_by_its_name(weights: Path) -> None:
    region = make(Region, "lungmask", weights=weights / "unet.pth")
    assert region.files(CASE) == (weights / "unet.pth",)
    with pytest.raises(ValueError, match="R231"):
        make(Region, "lungmask", model="R232")


class Hostile:
    """Writes a file when it is unpickled."""

    def __init__(self, target: Path) -> None:
        self.target = target

    def __reduce__(self) -> tuple[object, tuple[object, ...]]:
        return Path.touch, (self.target,)


def test_code_in_a_pickle_is_refused_and_not_run(tmp_path: Path) -> None:
    torch.save({"last.weight": Hostile(tmp_path / "ran")}, tmp_path / "evil.pth")
    with pytest.raises(
        InputError, match=r"evil.pth: the file is damaged, or contains more than tensors"
    ):
        LungMask(weights=tmp_path / "evil.pth")(CASE, chest())
    assert not (tmp_path / "ran").exists()


@pytest.mark.parametrize(
    ("content", "message"),
    [
        (None, "file not found"),
        (b"", "is damaged"),
        (b"<html>", "is damaged"),
        ([1, 2], "no named tensors"),
        ({"a": torch.zeros(1)}, "does not contain weights of lungmask's"),
        ({"last.weight": torch.zeros(3)}, "the weights are not those of lungmask's"),
    ],
)
def test_invalid_weights_are_refused(tmp_path: Path, content: object, message: str) -> None:
    path = tmp_path / "w.pth"
    if isinstance(content, bytes):
        path.write_bytes(content)
    elif content is not None:
        torch.save(content, path)
    with pytest.raises(InputError, match=f"w.pth: .*{message}"):
        LungMask(weights=path)(CASE, chest())


def test_downloaded_weights_are_checked_against_the_digest_in_their_name(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("WSSEG_CACHE", str(tmp_path))
    came = tmp_path / "came.pth"

    def download(*_: object) -> Path:
        came.write_bytes(b"something else")
        return came

    monkeypatch.setattr(wsseg_lungmask, "download", download)
    with pytest.raises(InputError, match="was damaged during the download"):
        LungMask()(CASE, chest())
    assert not came.exists()


def test_a_failed_download_suggests_a_file(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("WSSEG_CACHE", str(tmp_path))

    def download(file: object, *_: object) -> Path:
        raise WorkError(f"{file}: cannot be downloaded")

    monkeypatch.setattr(wsseg_lungmask, "download", download)
    with pytest.raises(InputError, match=r"unet_r231-d5d2fc3d.pth(.|\n)*weights: FILE"):
        LungMask()(CASE, chest())


def test_a_leak_is_reported_with_its_case(
    weights: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A slice of 50 x 50 cm that is dark everywhere has 2500 cm², too much for lungs."""
    monkeypatch.setenv("WSSEG_CACHE", str(tmp_path / "cache"))
    image = np.full((50, 50, 2), -850, np.int16)
    image[0] = 40
    write_nifti(tmp_path / "a.nii.gz", image, np.diag([10.0, 10, 5, 1]))
    case = Case("leaky", "p", tmp_path / "a.nii.gz")
    prepared = prepare(case, Input(size=32, slices=1, thick=None))
    (finding,) = region_findings(prepared, {"lung": LungMask(weights=weights / "unet.pth")})
    assert finding.sentence.startswith("case leaky: its region lung has ")
    assert "cm² in slice 0, over 550: it leaks" in finding.what
    assert "your own masks" in finding.remedy
