"""Reliability of wsseg: damaged and malicious files, and training runs that are killed."""
