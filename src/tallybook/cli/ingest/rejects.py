"""The file of all rejected lines, as JSON lines: file, line, reason and what stood there."""

import os
from collections.abc import Sequence
from pathlib import Path
from types import TracebackType
from typing import Self

import msgspec

from tallybook.cli.ingest.batches import Reject
from tallybook.values.errors import Invalid

_LINE = msgspec.json.Encoder(decimal_format="number")


class Rejects:
    """Writes rejected lines in input order, each once, also over interruptions. Without a path: nowhere."""

    def __init__(self, path: Path | None, bytes_kept: int) -> None:
        """Go on after the first `bytes_kept` bytes; what follows them was never acknowledged."""
        self._file = None
        if path is None:
            return
        try:
            self._file = path.open("r+b" if bytes_kept and path.exists() else "wb")
            self._file.truncate(min(bytes_kept, path.stat().st_size))
            self._file.seek(0, os.SEEK_END)
        except OSError as error:
            raise Invalid(f"--rejects: {path} cannot be written ({error.strerror}); name another") from None

    def write(self, rejects: Sequence[Reject]) -> int:
        """Add lines; returns the file's length with them."""
        if self._file is None:
            return 0
        for reject in rejects:
            self._file.write(_LINE.encode(_shown(reject)) + b"\n")
        return self._file.tell()

    def flush(self) -> None:
        """Put everything written on disk."""
        if self._file is not None:
            self._file.flush()
            os.fsync(self._file.fileno())

    def __enter__(self) -> Self:
        """Keep the file open for a block."""
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        """Close the file."""
        if self._file is not None:
            self._file.close()


def _shown(reject: Reject) -> dict[str, object]:
    return {"file": reject.file, "line": reject.line, "reason": reject.reason, "record": reject.content}
