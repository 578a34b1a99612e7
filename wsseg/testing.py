"""The contracts of the interfaces. Plugins call these in their own tests."""

import torch

from wsseg.evidence import Batch, Evidence
from wsseg.interfaces import Backbone, EStep, Prior


def check_prior(prior: Prior, classes: int = 1) -> None:
    """Fail unless `prior` keeps the contract of `Prior`."""
    batch = _batch(classes)
    phi = prior(batch)
    assert phi.shape == batch.support.shape, f"phi is {tuple(phi.shape)}"
    assert phi.isfinite().all() and phi.min() >= 0 and phi.max() <= 1, "phi leaves [0, 1]"
    assert torch.equal(phi, prior(batch)), "phi changes from call to call"
    assert type(prior.fit([batch])) is type(prior), "fit returns something else"


def check_estep(estep: EStep, classes: int = 1) -> None:
    """Fail unless `estep` keeps the contract of `EStep`."""
    batch, dice = _batch(classes), torch.Generator().manual_seed(0)
    logits = 10 * torch.randn(batch.support.shape, generator=dice)
    phi = torch.rand(batch.support.shape, generator=dice).round(decimals=1)  # meets 0 and 1
    y = estep(Evidence(batch, logits, phi))
    assert y.shape == phi.shape, f"y is {tuple(y.shape)}"
    assert y.isfinite().all() and y.min() >= 0 and y.max() <= 1, "y leaves [0, 1]"
    assert not y[~batch.support].any(), "y is not 0 outside the support"


def check_backbone(backbone: Backbone, slices: int = 5, classes: int = 2) -> None:
    """Fail unless `backbone` keeps the contract of `Backbone`."""
    net = backbone.build(slices, classes)
    logits = net(torch.zeros(2, slices, 64, 64))
    assert logits.shape == (2, classes, 64, 64), f"logits are {tuple(logits.shape)}"
    assert net is not backbone.build(slices, classes), "build returns a shared module"


def _batch(classes: int) -> Batch:
    image = torch.linspace(-1024, 600, 2 * 5 * 8 * 6).reshape(2, 5, 8, 6)
    tags = torch.tensor([[True] * classes, [False] * classes])
    return Batch(image, region=image[:, :1] % 2 < 1, tags=tags)
