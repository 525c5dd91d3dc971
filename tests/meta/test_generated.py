"""What is generated is fresh, and the coverage table agrees with the code."""

from tallybook.operations import all_operations
from tools import coverage, docs


def test_generated_files_are_fresh() -> None:
    assert docs.stale() == [], "run `make docs`"


def test_coverage_table_agrees_with_the_code() -> None:
    entries = coverage.read_table(coverage.TABLE.read_text(encoding="utf-8"))
    assert coverage.problems(entries, all_operations()) == []


def test_every_operation_has_a_summary() -> None:
    """The docstring of its function is what the document and the page say of it."""
    assert [item.name for item in all_operations() if not item.handler.__doc__] == []
