"""The recipes have the settings of Wu et al. 2020, sections II-E and III-B."""

from pathlib import Path

import numpy as np
import pytest
import torch
from torch import nn

from wsseg import EStep, Optimizer, PixelLoss, load_recipe, make
from wsseg.components.priors import PerClass
from wsseg.config.recipe import Recipe
from wsseg.config.stages import EmStage, MasksStage, NetworkStage, PriorStage, Stage
from wsseg.core.input import Thick
from wsseg.data.augment import StandardAugment
from wsseg.inference.network import Network
from wsseg_covid.priors import Constant, HuSigmoid, Threshold
from wsseg_covid.unet import AdditiveUNet

METHODS = ("threshold", "phi1", "phi2", "phi2-bounded", "mil", "cam", "supervised")
EM_METHODS = ("phi1", "phi2", "phi2-bounded")
TRAINED = (*EM_METHODS, "mil", "cam", "supervised")
AUGMENT = StandardAugment(
    rotate_deg=90, translate=0.1, zoom=(0.9, 1.1), flip=("left-right", "front-back")
)


def covid(name: str) -> Recipe:
    return load_recipe(f"covid/{name}")


def consolidation(name: str) -> Stage:
    return covid(name).stages["consolidation"]


@pytest.mark.parametrize("name", [*METHODS, "opacities"])
def test_networks_see_seven_slices_of_256_pixels_as_the_paper_normalises_them(name: str) -> None:
    recipe = covid(name)
    assert (recipe.input.slices, recipe.input.size, recipe.input.mask) == (7, 256, "lung")
    assert recipe.input.thick == Thick(thinner_than_mm=4, to_mm=5, smoothing=0.25)
    network = Network(nn.Identity(), recipe.input, AdditiveUNet(), classes=7)
    hu = torch.tensor([-1024.0, -34, 76, -144, 160, 3000, -2000]).reshape(1, 1, 7, 1, 1)
    # (HU + 1024) / 110, at most (160 + 1024) / 110 = 10.76... in the authors' code
    expected = [0, 9, 10, 8, 1184 / 110, 1184 / 110, 0]
    assert network(hu.expand(-1, -1, -1, 2, 2))[0, :, 0, 0].tolist() == pytest.approx(expected)
    assert recipe.input.fixed_fills(1) == (-1024,)  # 0 after normalisation


@pytest.mark.parametrize("name", [*METHODS, "opacities"])
def test_unet_1_learns_the_infection_of_the_lungs_with_the_papers_optimiser(name: str) -> None:
    stage = covid(name).stages["infection"]
    assert isinstance(stage, MasksStage)
    assert (stage.classes, stage.region) == (["infection"], "lung")
    assert stage.backbone == AdditiveUNet(width=32, slope=0.2)
    assert stage.loss == make(PixelLoss, "smooth-dice")
    assert stage.optimizer == make(Optimizer, "adam", lr=stage.optimizer.lr)
    assert (stage.epochs, stage.batch_size, stage.sampling) == (200, 16, "uniform")
    rates = [stage.optimizer.lr_at(epoch, 200) for epoch in (0, 49.9, 50, 99.9, 100, 199.9)]
    assert rates == [1e-2, 1e-2, 1e-3, 1e-3, 1e-4, 1e-4]
    assert stage.augment == AUGMENT


@pytest.mark.parametrize("name", TRAINED)
def test_unet_2_starts_from_unet_1_with_the_papers_optimiser(name: str) -> None:
    stage = consolidation(name)
    assert isinstance(stage, NetworkStage)
    assert (stage.classes, stage.start) == (["consolidation"], "infection")
    assert (stage.region, stage.region_in_training) == ("infection", None)
    assert stage.optimizer == make(Optimizer, "adam", lr=5e-4)
    assert (stage.epochs, stage.batch_size, stage.sampling) == (50, 16, "balanced")
    assert [stage.optimizer.lr_at(epoch, 50) for epoch in (0, 25, 49.9)] == [5e-4] * 3
    assert stage.augment == AUGMENT


@pytest.mark.parametrize(
    ("name", "prior"),
    [
        ("phi1", Constant(probability=1)),  # b1 = 1
        ("phi2", HuSigmoid.from_paper(b2=9, k2=0.5)),
        ("phi2-bounded", HuSigmoid.from_paper(b2=9, k2=0.5)),
    ],
)
def test_em_has_the_papers_best_constants(name: str, prior: object) -> None:
    stage = consolidation(name)
    assert isinstance(stage, EmStage)
    assert stage.prior == prior
    assert stage.loss == make(PixelLoss, "smooth-dice")
    assert stage.belief == "evaluation"


@pytest.mark.parametrize("name", ["phi1", "phi2"])
def test_the_e_step_of_the_paper_is_hard(name: str) -> None:
    stage = consolidation(name)
    assert isinstance(stage, EmStage)
    assert stage.estep == make(EStep, "hard")


def test_the_baseline_is_a_threshold_of_minus_200_hu_inside_the_infection() -> None:
    stage = consolidation("threshold")
    assert isinstance(stage, PriorStage)
    assert stage.prior == Threshold(hu=-200)
    assert stage.region == "infection"


@pytest.mark.parametrize("name", METHODS)
def test_severity_and_consolidation_score_are_shares_of_the_lung(name: str) -> None:
    """With 8 voxels of lung, 4 of them infected, and 1 of consolidation."""
    masks = {key: np.arange(10).reshape(1, 1, 10) < count for key, count in (
        ("lung", 8), ("infection", 4), ("consolidation", 1)
    )}  # fmt: skip
    scores = {key: score(masks) for key, score in covid(name).scores.items()}
    assert scores == {"severity": 4 / 8, "consolidation_score": 1 / 8}  # eq. 14 and 15


@pytest.mark.parametrize("name", METHODS)
def test_a_demo_recipe_has_the_prior_the_e_step_and_the_input_of_the_recipe_of_its_name(
    name: str,
) -> None:
    demo, full = covid(f"demo-{name}"), covid(name)
    assert demo.input == full.input.model_copy(update={"size": 128})
    assert (demo.regions, demo.scores, demo.metrics) == (full.regions, full.scores, full.metrics)
    for key in ("learn", "classes", "start", "region", "prior", "estep", "sampling", "augment"):
        for one, other in zip(demo.stages.values(), full.stages.values(), strict=True):
            assert getattr(one, key, None) == getattr(other, key, None)


def test_the_bound_of_phi2_bounded_is_half_of_the_infection() -> None:
    stage = consolidation("phi2-bounded")
    assert isinstance(stage, EmStage)
    assert stage.estep == make(EStep, "adapt", share=0.05, most=0.5)


def test_the_two_priors_of_opacities_are_mirror_images_at_minus_200_hu() -> None:
    stage = covid("opacities").stages["opacities"]
    assert isinstance(stage, EmStage)
    assert isinstance(stage.prior, PerClass)
    darker, denser = stage.prior.priors
    assert denser == HuSigmoid.from_paper(b2=9, k2=0.5)
    assert isinstance(denser, HuSigmoid)
    assert darker == HuSigmoid(
        midpoint_hu=2 * -200 - denser.midpoint_hu, width_hu=-denser.width_hu, bias=denser.bias
    )


@pytest.mark.parametrize("name", [f"demo-{name}" for name in TRAINED])
def test_demo_recipes_train_for_a_few_epochs_with_rates_that_decrease_to_1e_5(name: str) -> None:
    first, second = covid(name).stages.values()
    assert isinstance(first, NetworkStage)
    assert isinstance(second, NetworkStage)
    assert first.backbone == AdditiveUNet(width=16)
    for stage, epochs, start in ((first, 12, 3e-3), (second, 8, 1e-3)):
        assert stage.epochs == epochs
        rates = [stage.optimizer.lr_at(epoch, epochs) for epoch in (0, epochs)]
        assert rates == pytest.approx([start, 1e-5])


README = Path(__file__).parents[1] / "README.md"
VARIANTS = (  # the settings of the README's table, as changes of covid/phi2
    ["input.thick.thinner_than_mm=2.01"],
    ["input.clip=null"],
    ["input.edges=drop"],
    ["cohort={use: medseg-9, root: medseg-9, infection_labels: [1, 2, 3]}"],
    ["stages.infection.backbone={use: concat-unet}"],
    ["stages.infection.backbone.slope=0"],
    ["stages.infection.backbone.activated_upsampling=true"],
    ["stages.infection.backbone.norm_affine=false"],
    ["stages.infection.backbone.norm_eps=1.0e-3"],
    ["stages.infection.loss={use: batch-dice}", "stages.consolidation.loss={use: batch-dice}"],
    ["stages.infection.loss_over=image", "stages.consolidation.loss_over=image"],
    ["stages.consolidation.sampling=alternating"],
    [
        "regions.infection-mask={use: file, mask: infection}",
        "stages.consolidation.region_in_training=infection-mask",
    ],
    ["stages.consolidation.belief=training"],
)


@pytest.mark.parametrize("changes", VARIANTS, ids=lambda changes: changes[0].partition("=")[0])
def test_the_variants_of_the_authors_code_that_the_readme_lists_are_valid(
    changes: list[str],
) -> None:
    assert load_recipe("covid/phi2", changes) != covid("phi2")
    last_key = changes[0].partition("=")[0].rpartition(".")[2]
    table = README.read_text(encoding="utf-8").partition("## The paper and its code")[2]
    assert last_key in table.partition("## Parts")[0]
