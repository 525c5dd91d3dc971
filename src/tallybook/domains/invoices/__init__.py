"""Invoices: what a customer owes for a period, as a draft and, once final, for good."""

from tallybook.domains.invoices.service import count_invoices, verify_invoices

__all__ = ["count_invoices", "verify_invoices"]
