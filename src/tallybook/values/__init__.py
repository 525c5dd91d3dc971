"""Facts that every layer speaks: instants, periods, decimals, money, ids, events, metrics, errors.

Owns no state and imports nothing else of Tallybook. Everything here is immutable and pure.
"""
