"""HTTP of invoices."""
