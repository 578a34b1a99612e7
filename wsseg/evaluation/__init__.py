"""Scoring of predictions, and statistics over the scores."""
