import math
from collections.abc import Iterable, Iterator
from typing import Self

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from pydantic import ValidationError

from wsseg import Batch, Prior, Probability, make
from wsseg.testing import check_prior
from wsseg_compose import Blend, Product
from wsseg_covid.priors import Constant, HuSigmoid, Threshold

OPEN = st.floats(0.001, 0.999)


class Learner(Prior):
    """A prior that records the number of slices it was fitted to."""

    seen: int = 0

    def __call__(self, batch: Batch) -> Probability:
        return torch.full(batch.support.shape, 0.5)

    def fit(self, batches: Iterable[Batch]) -> Self:
        return self.model_copy(update={"seen": sum(len(batch.image) for batch in batches)})


def constants(*phi: float) -> tuple[Prior, ...]:
    return tuple(Constant(probability=each) for each in phi)


def row(*hu: float) -> Batch:
    image = torch.tensor(hu).reshape(1, 1, 1, -1)
    return Batch(image[:, None], torch.ones_like(image).bool(), torch.ones(1, 1).bool())


def phi_of(prior: Prior, *hu: float) -> list[float]:
    found: list[float] = prior(row(*(hu or (0.0,)))).flatten().tolist()
    return found


def stream() -> Iterator[Batch]:
    return iter([row(1, 2), row(3, 4), row(5, 6)])


PARTS: list[Prior] = [
    Product(priors=(HuSigmoid(), Constant(probability=0.3))),
    Product(priors=(Threshold(), Constant(probability=0.3), Threshold(hu=0))),
    Blend(priors=(HuSigmoid(), Constant(probability=0.3)), weights=(2, 1)),
    Product(priors=(Blend(priors=(HuSigmoid(), Threshold()), weights=(0.1, 7)), HuSigmoid())),
]


@pytest.mark.parametrize("prior", PARTS)
@pytest.mark.parametrize("classes", [1, 3])
def test_combined_priors_pass_the_conformance_test(prior: Prior, classes: int) -> None:
    check_prior(prior, classes)


def test_a_product_equals_hand_computed_odds() -> None:
    # 0.8 * 0.6 against 0.2 * 0.4: 0.48 to 0.08
    assert phi_of(Product(priors=constants(0.8, 0.6))) == pytest.approx([6 / 7])


def test_a_blend_equals_hand_computed_odds() -> None:
    # log-odds log 16 and 0 with weights 2 and 1: log 16 * 2 / 3 = log 2 ** (8 / 3)
    odds = 2 ** (8 / 3)
    blend = Blend(priors=constants(16 / 17, 0.5), weights=(4, 2))
    assert phi_of(blend) == pytest.approx([odds / (1 + odds)])


def test_a_product_adds_the_log_odds_of_the_tag_and_of_the_intensity() -> None:
    """log-odds log 1/rho + (x - midpoint) / width, without the 1/2 of Wu et al. 2020, eq. 13."""
    parts = [
        {"use": "tag-odds", "share": 0.6},
        {"use": "sigmoid", "midpoint": -300, "width": 200},
    ]
    image = torch.tensor([-700.0, -300.0, 100.0]).expand(2, 1, 1, 3)
    batch = Batch(image[:, None], torch.ones_like(image).bool(), torch.tensor([[True], [False]]))
    phi = make(Prior, "product", priors=parts)(batch)
    rho = 3 * 0.4 / (3 * 0.4 + 3)  # 2 / 7: 3 tagged pixels, and 3 untagged ones
    expected = [-math.log(rho) + (x + 300) / 200 for x in (-700, -300, 100)]
    assert phi[0, 0, 0].logit().tolist() == pytest.approx(expected, abs=1e-4)
    assert phi[0, 0, 0, 0] < 0.5 < phi[0, 0, 0, 1]


@settings(deadline=None)
@given(st.lists(OPEN, min_size=1, max_size=5))
def test_a_product_equals_bayes_rule(phi: list[float]) -> None:
    yes, no = math.prod(phi), math.prod(1 - each for each in phi)
    assert phi_of(Product(priors=constants(*phi))) == pytest.approx([yes / (yes + no)], abs=1e-5)


@settings(deadline=None)
@given(OPEN, st.lists(st.floats(0.1, 10), min_size=1, max_size=5))
def test_a_blend_of_equal_probabilities_is_that_probability(
    phi: float, weights: list[float]
) -> None:
    blend = Blend(priors=constants(*[phi] * len(weights)), weights=tuple(weights))
    assert phi_of(blend) == pytest.approx([phi], abs=1e-5)


@settings(deadline=None)
@given(OPEN, OPEN)
def test_a_product_does_not_depend_on_order_or_on_priors_of_one_half(
    one: float, other: float
) -> None:
    expected = phi_of(Product(priors=constants(one, other)))
    assert phi_of(Product(priors=constants(other, 0.5, one))) == pytest.approx(expected, abs=1e-6)


@pytest.mark.parametrize("prior", [
    Product(priors=(*constants(0.01, 0.99), Threshold(hu=0))),
    Blend(priors=(*constants(0.01, 0.99), Threshold(hu=0)), weights=(5, 5, 0.01)),
])  # fmt: skip
def test_a_certain_prior_overrides_uncertain_ones(prior: Prior) -> None:
    assert phi_of(prior, -1, 1) == [0, 1]


@pytest.mark.parametrize("prior", [
    Product(priors=constants(0, 1, 0.7)),
    Blend(priors=constants(0, 1, 0.7), weights=(3, 1, 1e6)),
])  # fmt: skip
def test_priors_that_are_certain_of_opposite_labels_cancel(prior: Prior) -> None:
    assert phi_of(prior) == pytest.approx([0.7], abs=1e-5)


def test_a_product_of_uncertain_priors_stays_below_1() -> None:
    (phi,) = phi_of(Product(priors=constants(*[0.9999] * 4)))  # 1 - 1e-16: 1 in float32
    assert 0.9999999 < phi < 1


@pytest.mark.parametrize("number", [1, 2])
def test_fit_passes_a_stream_of_batches_to_every_inner_prior(number: int) -> None:
    learners = (Learner(),) * number
    product = Product(priors=(Constant(), *learners)).fit(stream())
    blend = Blend(priors=(Product(priors=learners), Constant()), weights=(1, 1)).fit(stream())
    assert product.priors == (Constant(), *(Learner(seen=3),) * number)
    assert blend.priors[0] == Product(priors=(Learner(seen=3),) * number)


def test_batches_are_not_kept_for_a_single_learning_prior() -> None:
    class Streaming(Learner):
        def fit(self, batches: Iterable[Batch]) -> Self:
            assert iter(batches) is batches, "a list was made of the stream"
            return self

    assert Product(priors=(Constant(), Streaming())).fit(stream())


def test_inner_priors_are_built_by_their_names() -> None:
    inner = [
        {"use": "hu-sigmoid"},
        {"use": "blend", "priors": [{"use": "constant"}], "weights": [1]},
    ]
    made = make(Prior, "product", priors=inner)
    assert made == Product(priors=(HuSigmoid(), Blend(priors=(Constant(),), weights=(1,))))


def test_wrong_numbers_of_priors_or_weights_are_refused() -> None:
    with pytest.raises(
        ValidationError, match="1 weights for 2 priors; give one weight for each prior"
    ):
        Blend(priors=constants(0.5, 0.5), weights=(1,))
    with pytest.raises(ValidationError, match="at least 1 item"):
        Product(priors=())
    with pytest.raises(ValidationError, match="greater than 0"):
        Blend(priors=constants(0.5), weights=(0,))
