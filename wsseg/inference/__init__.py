"""Trained stages applied to scans."""
