"""Conformance tests for plugins: they check that a component follows its interface's contract.

The checks call a component with difficult inputs: regions without pixels, tags without classes,
probabilities of exactly 0 and 1, single slices, and images of unusual sizes. They raise
`AssertionError` with the first difference.
"""

from wsseg.testing.data_checks import (
    check_augment,
    check_cohort,
    check_metric,
    check_region,
    check_score,
    check_unit,
)
from wsseg.testing.model_checks import (
    check_backbone,
    check_encoder_weights,
    check_estep,
    check_loss,
    check_method,
    check_optimizer,
    check_prior,
    check_tag_loss,
)

__all__ = [
    "check_augment",
    "check_backbone",
    "check_cohort",
    "check_encoder_weights",
    "check_estep",
    "check_loss",
    "check_method",
    "check_metric",
    "check_optimizer",
    "check_prior",
    "check_region",
    "check_score",
    "check_tag_loss",
    "check_unit",
]
