"""Invoices: what a customer owes for a period, as a draft and, once final, for good."""

from tallybook.domains.invoices.model import Invoice, InvoiceStatus

__all__ = ["Invoice", "InvoiceStatus"]
