"""Contracts: which customer buys on which terms, when."""
