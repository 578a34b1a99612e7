"""Prediction with trained stages."""
