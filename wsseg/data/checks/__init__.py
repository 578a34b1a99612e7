"""Checks of a cohort before training."""
