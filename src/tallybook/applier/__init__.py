"""Reads the log in order: drop repeats, match, fold into cells, checkpoint. One owner per log."""

from tallybook.applier.metering import Metering

__all__ = ["Metering"]
