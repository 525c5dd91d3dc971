"""Use cases of integrations, one file for each of the three levels (invoicing.md 9.1) and the older form."""
