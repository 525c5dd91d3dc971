"""Invoices: what a customer owes for a period, as a draft and, once final, for good."""

from tallybook.domains.invoices.service import count_invoices, raw_events_needed_from, verify_invoices

__all__ = ["count_invoices", "raw_events_needed_from", "verify_invoices"]
