"""From events to quantities, pure: check, match, fold, merge. No I/O, no clock."""
