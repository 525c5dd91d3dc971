"""The SQL side: column types, shared metadata, and the transaction that services receive."""
