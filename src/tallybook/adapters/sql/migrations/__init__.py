"""Numbered, never edited: one folder of revisions per kind of database, run by Alembic."""
