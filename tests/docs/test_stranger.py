"""The package of the pages on own parts, as a stranger installs and uses it.

It is built as a wheel and installed into a new environment. A recipe takes its cohort, region,
backbone, prior, E-step with memory, loss, optimizer, metric and score, for three exclusive classes.
"""

import hashlib
from pathlib import Path

import numpy as np
import pytest
from safetensors import safe_open

from tests.docs.conftest import Reader
from tests.markdown import OWN_PARTS, write_named_blocks
from wsseg.inference.folders import RunFolder

CLASSES = ("low", "middle", "high")
RECIPE = """\
cohort: {use: npz-scans, path: scans.npz}
test: {use: npz-scans, path: test.npz}
regions:
  around: {use: with-margin, inner: {use: nonzero}, margin_mm: 5}
input: {slices: 3, size: 32, thick: null, fill: 0, offset: 100, scale: 100}
stages:
  lesions:
    learn: em
    classes: [low, middle, high]
    labels: exclusive
    region: around
    backbone: {use: dilated, width: 4}
    prior:
      use: per-class
      priors:
        - {use: hu-band, low_hu: 50, high_hu: 150, softness_hu: 10}
        - {use: hu-band, low_hu: 150, high_hu: 250, softness_hu: 10}
        - {use: hu-band, low_hu: 250, high_hu: 350, softness_hu: 10}
    estep: {use: steady-share, keep: 0.8}
    loss:
      use: weighted-sum
      losses: [{use: cross-entropy}, {use: least-share, least: 0.02}]
      weights: [1, 1]
    epochs: 20
    batch_size: 4
    optimizer: {use: rmsprop, lr: 1.0e-3}
metrics:
  voxels: {use: precision-recall}
scores:
  extent: {use: share-of-slices, of: high, within: low}
"""
KILLED = """\
wsseg train stranger.yaml --out runs/killed --save-every 1 &
until grep -q '"epoch": 2' runs/killed/log.jsonl; do sleep 0.05; done 2> /dev/null
kill -9 $!
"""


def write_scans(path: Path, seed: int) -> None:
    """Write four scans with a box of each class in some of them."""
    noise = np.random.default_rng(seed)
    image = noise.normal(20, 5, (4, 4, 32, 32))
    masks = {name: np.zeros(image.shape, np.uint8) for name in CLASSES}
    for k, name in enumerate(CLASSES):
        for number in range(4):
            if number != k:
                masks[name][number, 1:3, 4 + 8 * k : 10 + 8 * k, 8:24] = 1
        image[masks[name] > 0] += 80 + 100 * k
    arrays = {"image": image.astype(np.int16), "spacing_mm": np.array([5, 1, 1]), **masks}
    np.savez(path, allow_pickle=False, **arrays)


def digest(run: Path) -> str:
    return hashlib.sha256(RunFolder(run).stage("lesions").weights.read_bytes()).hexdigest()


@pytest.mark.slow
def test_a_third_party_package_trains_three_classes_to_the_same_bits_when_it_is_killed(
    reader: Reader,
) -> None:
    for page in OWN_PARTS:
        write_named_blocks(page, reader.folder)
    (reader.folder / "stranger.yaml").write_text(RECIPE, encoding="utf-8")
    for seed, name in enumerate(("scans.npz", "test.npz")):
        write_scans(reader.folder / name, seed)
    reader.run("pip wheel ./wsseg-lab --wheel-dir dist")
    reader.run("pip install dist/wsseg_lab-*.whl")
    assert (
        "15 of 17 parts were built and passed" in reader.run("wsseg plugins check wsseg-lab").stdout
    )
    reader.run("wsseg recipe check stranger.yaml")
    reader.run("wsseg train stranger.yaml --out runs/complete")
    reader.run("wsseg score runs/complete")

    reader.run(KILLED)
    runs = reader.folder / "runs"
    with safe_open(RunFolder(runs / "killed").stage("lesions").state, framework="np") as state:
        assert state.get_tensor("memory.share").shape == (len(CLASSES),)
    resumed = reader.run("wsseg train stranger.yaml --out runs/killed --resume")
    assert "resumed after step" in resumed.stdout + resumed.stderr
    assert digest(runs / "killed") == digest(runs / "complete")
    header = (runs / "complete" / "scores.csv").read_text(encoding="utf-8").partition("\n")[0]
    columns = {"low.precision", "middle.precision", "precision", "extent"}  # high is the last class
    assert columns <= set(header.split(","))
