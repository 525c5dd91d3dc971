"""Remembers how far a load has been acknowledged, so that it can go on where it stopped.

A checkpoint belongs to exact files (path, size, time of change), one server, one mapping. It only
ever stands at the end of a batch before which everything was acknowledged or reported.
"""

import hashlib
import json
import os
from collections.abc import Sequence
from dataclasses import asdict
from pathlib import Path
from typing import Any

import msgspec

from tallybook.cli.ingest.mapping import Mapping
from tallybook.values.errors import Invalid

_FORMAT = 1


class Progress(msgspec.Struct, kw_only=True, forbid_unknown_fields=True):
    """How far a load has come. Everything before `records` is done with."""

    key: str
    records: int = 0
    taken: int = 0
    rejected: int = 0
    shown: list[dict[str, Any]] = []
    """The first rejected lines."""
    rejects_bytes: int = 0
    """How much of the file of rejected lines belongs to what is done."""


class Checkpoint:
    """The file in which progress is kept."""

    def __init__(self, path: Path, key: str) -> None:
        """Keep progress of the load that `key` identifies in `path`."""
        self.path = path
        self._key = key

    def read(self) -> Progress:
        """Where to go on; the beginning when nothing is kept. Raises Invalid for a foreign file."""
        try:
            progress = msgspec.json.decode(self.path.read_bytes(), type=Progress)
        except FileNotFoundError:
            return Progress(key=self._key)
        except (OSError, msgspec.MsgspecError) as error:
            raise Invalid(f"--state: {self.path} is not a state file of this command ({error})") from None
        if progress.key != self._key:
            raise Invalid(
                f"--state: {self.path} belongs to other files, another server or other options; "
                "use --restart to begin anew"
            )
        return progress

    def write(self, progress: Progress) -> None:
        """Keep progress durably; the file is whole at every moment. Raises Invalid when it cannot be."""
        beside = self.path.with_name(self.path.name + ".new")
        try:
            self.path.parent.mkdir(parents=True, exist_ok=True)
            with beside.open("wb") as file:
                file.write(msgspec.json.encode(progress))
                file.flush()
                os.fsync(file.fileno())
            beside.replace(self.path)
        except OSError as error:
            raise Invalid(
                f"--state: {self.path} cannot be written ({error.strerror}); name another"
            ) from None

    def remove(self) -> None:
        """Forget; the next load begins anew."""
        self.path.unlink(missing_ok=True)


def key_of(files: Sequence[Path], formats: Sequence[str], url: str, mapping: Mapping) -> str:
    """What identifies a load: the same key means the same events for the same server."""
    parts: list[Any] = [_FORMAT, url.rstrip("/"), asdict(mapping)]
    for path, name in zip(files, formats, strict=True):
        status = path.stat()
        parts.append([str(path.resolve()), status.st_size, status.st_mtime_ns, name])
    return hashlib.sha256(json.dumps(parts).encode()).hexdigest()


def default_path(key: str) -> Path:
    """Where the progress of a load is kept unless the user says otherwise."""
    given = os.environ.get("XDG_STATE_HOME")
    state = Path(given) if given else Path.home() / ".local" / "state"
    return state / "tallybook" / "ingest" / f"{key[:32]}.json"
