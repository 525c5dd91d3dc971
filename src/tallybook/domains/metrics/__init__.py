"""Billable metrics: what is counted, and how."""
