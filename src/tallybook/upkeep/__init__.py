"""Care for a data folder at rest: compare all that is stored with the log, and rebuild it from the log."""

from tallybook.upkeep.at_rest import at_rest
from tallybook.upkeep.checks import Difference
from tallybook.upkeep.rebuild import Rebuilt, expected_events, rebuild
from tallybook.upkeep.verify import Report, expected_steps, verify, verify_invoice

__all__ = [
    "Difference",
    "Rebuilt",
    "Report",
    "at_rest",
    "expected_events",
    "expected_steps",
    "rebuild",
    "verify",
    "verify_invoice",
]
