"""Campana: outreach that tells everybody once and can account for every person."""

__version__ = "0.1.0"
