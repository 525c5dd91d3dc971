"""Run by the alembic command only when a new migration is drafted; the product upgrades in migrate.py."""
