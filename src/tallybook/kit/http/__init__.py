"""HTTP: operations as plain functions, wire forms, errors, tokens, paging, idempotency, OpenAPI."""
