"""Conformance tests for plugins: one call per part checks that it keeps its contract."""

from wsseg.testing.checks import (
    check_backbone,
    check_cohort,
    check_estep,
    check_loss,
    check_metric,
    check_prior,
    check_region,
    check_score,
    check_tag_loss,
    check_unit,
)

__all__ = [
    "check_backbone",
    "check_cohort",
    "check_estep",
    "check_loss",
    "check_metric",
    "check_prior",
    "check_region",
    "check_score",
    "check_tag_loss",
    "check_unit",
]
