"""SQL metrics: checks a query and translates it (metering.md 2.6 to 2.8). Pure: nothing is run here.

The text of a query never reaches a database: it is read into nodes of our own (`nodes.py`), of which
`generate.py` writes the SQL that is run. Slow to import; import it where it is needed.
"""

from tallybook.metering.sql.expressions import DIVIDE, MULTIPLY, PLAIN
from tallybook.metering.sql.generate import (
    DIGITS_MAX,
    Digits,
    Needs,
    Program,
    digits_statement,
    needs_of,
    texts_statement,
)
from tallybook.metering.sql.nodes import Kind, SqlMetric
from tallybook.metering.sql.rises import can_rise, rises_statement
from tallybook.metering.sql.selects import check_sql

__all__ = [
    "DIGITS_MAX",
    "DIVIDE",
    "MULTIPLY",
    "PLAIN",
    "Digits",
    "Kind",
    "Needs",
    "Program",
    "SqlMetric",
    "can_rise",
    "check_sql",
    "digits_statement",
    "needs_of",
    "rises_statement",
    "texts_statement",
]
