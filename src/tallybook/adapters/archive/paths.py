"""Names of files as DuckDB reads them."""


def quoted(text: str) -> str:
    """A text as a literal of SQL."""
    return "'" + text.replace("'", "''") + "'"


def globbed(path: str) -> str:
    """A path that stands for itself where patterns are understood."""
    return "".join([f"[{letter}]" if letter in "*?[" else letter for letter in path])
