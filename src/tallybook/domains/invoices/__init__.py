"""Invoices: what a customer owes for a period, as a draft and, once final, for good."""
