"""Reads the log in order: drop repeats, match, fold into cells, checkpoint. One owner per log.

Either in the server's own process (`Metering`) or in one beside it (`MeteringApart`).
"""

from tallybook.applier.apart import MeteringApart
from tallybook.applier.metering import Metering

__all__ = ["Metering", "MeteringApart"]
