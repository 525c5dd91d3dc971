"""Tallybook turns usage into invoices: an exact, self-hosted usage-based billing engine."""

__version__ = "0.1.0"
