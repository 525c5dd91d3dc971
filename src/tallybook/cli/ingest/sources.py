"""Reads records out of CSV and JSON-lines files, one at a time, exactly as they are written."""

import csv
from collections.abc import Iterator
from dataclasses import dataclass
from decimal import Decimal
from pathlib import Path
from typing import Any, BinaryIO

import msgspec

from tallybook.values.errors import Invalid

FORMATS = ("csv", "jsonl")
_SUFFIXES = {".csv": "csv", ".jsonl": "jsonl", ".ndjson": "jsonl", ".json": "jsonl"}
_BOM = b"\xef\xbb\xbf"
# Numbers with a point or an exponent keep every digit they are written with.
_OBJECT = msgspec.json.Decoder(dict[str, Any], float_hook=Decimal)

csv.field_size_limit(8 * 1024 * 1024)


@dataclass(frozen=True, slots=True)
class Record:
    """One line of the input (CSV: one row) and where it begins; with a `problem` it has no values."""

    file: str
    line: int
    values: dict[str, Any]
    problem: str | None = None
    text: str | None = None
    """What could not be read, as it stands in the file."""


class Source:
    """One input file. `bytes_read` tells how far the reading has got."""

    def __init__(self, path: Path, given_format: str | None) -> None:
        """Look at the file's head. Raises Invalid when it cannot be read as its format."""
        self.path = path
        self.format = given_format or _SUFFIXES.get(path.suffix.lower(), "")
        if self.format not in FORMATS:
            raise Invalid(
                f"--format: {path} is neither .csv nor .jsonl by its name; say --format csv or jsonl"
            )
        self.bytes_read = 0
        self.columns: list[str] | None = self._header() if self.format == "csv" else None

    def records(self) -> Iterator[Record]:
        """Every record, in order; blank lines are none. One that cannot be read carries its problem."""
        self.bytes_read = 0
        with self.path.open("rb") as file:
            yield from self._rows(file) if self.columns is not None else self._objects(file)

    def _header(self) -> list[str]:
        with self.path.open("rb") as file:
            header = next(csv.reader(self._lines(file), strict=True), None)
        self.bytes_read = 0
        if not header:
            raise Invalid(f"{self.path}: the file is empty; its first line must name the columns")
        twice = sorted({name for name in header if header.count(name) > 1})
        if twice:
            raise Invalid(f"{self.path}: column {twice[0]!r} is named twice in the first line; rename one")
        return header

    def _lines(self, file: BinaryIO) -> Iterator[str]:
        for index, raw in enumerate(file):
            self.bytes_read += len(raw)
            line = raw.removeprefix(_BOM) if index == 0 else raw
            # What is no UTF-8 is carried along as surrogates and found where the row is used.
            yield line.decode("utf-8", "surrogateescape")

    def _rows(self, file: BinaryIO) -> Iterator[Record]:
        name, columns = str(self.path), self.columns or []
        reader = csv.reader(self._lines(file), strict=True)
        next(reader)
        while True:
            line = reader.line_num + 1
            try:
                row = next(reader, None)
            except csv.Error as error:
                yield Record(name, line, {}, f"not CSV: {error}")
                continue
            if row is None:
                return
            if len(row) == len(columns):
                problem = None
                if not all(cell.isascii() or _is_text(cell) for cell in row):
                    problem = "not valid UTF-8; save the file as UTF-8"
                values = dict(zip(columns, row, strict=True))
                yield Record(name, line, values) if problem is None else _unread(name, line, problem, row)
            elif row:
                problem = f"{len(row)} cells where the first line names {len(columns)} columns"
                yield _unread(name, line, problem, row)

    def _objects(self, file: BinaryIO) -> Iterator[Record]:
        name = str(self.path)
        for index, raw in enumerate(file):
            self.bytes_read += len(raw)
            line = raw.removeprefix(_BOM) if index == 0 else raw
            if line.isspace():
                continue
            try:
                yield Record(name, index + 1, _OBJECT.decode(line))
            except (msgspec.MsgspecError, UnicodeDecodeError, RecursionError) as error:
                text = line.decode("utf-8", "replace").rstrip("\r\n")
                yield Record(name, index + 1, {}, f"not a JSON object: {error}", text)


def _unread(name: str, line: int, problem: str, row: list[str]) -> Record:
    text = ",".join(row).encode("utf-8", "surrogateescape").decode("utf-8", "replace")
    return Record(name, line, {}, problem, text)


def _is_text(cell: str) -> bool:
    return not any("\ud800" <= character <= "\udfff" for character in cell)
