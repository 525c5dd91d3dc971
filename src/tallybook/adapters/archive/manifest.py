"""The archive's table of contents: which files hold which events, and how far it has come with the log.

It is one file, replaced whole. Whoever reads the archive keeps the manifest it reads from open and
locked; files that only older manifests name are removed once nobody holds those (`leftovers`).

    archive/manifest.json             the contents
    archive/manifest-7.json           an older one (the 7th) that somebody may still read from
    archive/2026-01-15/8-0.parquet    events of a day, written for the 8th manifest
    archive/writer.lock               held by whoever compacts
    archive/tmp/                      spilled while merging
    archive/reading-123-0/            spilled for questions asked by process 123
"""

import fcntl
import os
import shutil
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from pathlib import Path

import msgspec

from tallybook.values.errors import Unavailable
from tallybook.values.instant import EPOCH

DAY_MICROS = 86_400_000_000
NAME = "manifest.json"

Step = Callable[[str], object]
"""Told before every step that changes the disk; a test may raise from it what a crash would leave."""


@dataclass(frozen=True, slots=True)
class RawScope:
    """Which events: of these customer keys (None: of all), half-open in microseconds since 1970."""

    customer_keys: frozenset[str] | None
    micros_from: int
    micros_until: int
    is_whole: bool = False
    """Whether none may be missing because events of its time have been dropped."""


class ArchiveFile(msgspec.Struct, frozen=True):
    """One Parquet file: events of one day, by customer, timestamp and place in the log."""

    day: int
    """Days since 1970, UTC."""
    name: str
    events: int
    bytes: int
    customer_first: str
    customer_last: str

    @property
    def path(self) -> str:
        """Where it lies in the archive's folder."""
        return f"{day_name(self.day)}/{self.name}"

    def may_hold(self, scope: RawScope) -> bool:
        """Whether events of the scope can be in it."""
        begin = self.day * DAY_MICROS
        if scope.micros_from >= begin + DAY_MICROS or scope.micros_until <= begin:
            return False
        keys = scope.customer_keys
        return keys is None or any(self.customer_first <= key <= self.customer_last for key in keys)


class Manifest(msgspec.Struct, frozen=True):
    """What the archive holds: the accepted events of all rows of the log up to `position`."""

    generation: int = 0
    position: int = 0
    files: tuple[ArchiveFile, ...] = ()
    kept_from_day: int | None = None
    """Events of days before this one have been dropped, by the setting that says how long to keep them."""

    @property
    def events(self) -> int:
        """How many events it holds."""
        return sum([file.events for file in self.files])


def day_name(day: int) -> str:
    """The folder of a day.

    >>> day_name(0)
    '1970-01-01'
    """
    return (EPOCH + timedelta(days=day)).strftime("%Y-%m-%d").rjust(10, "0")


def day_of(instant: datetime) -> int:
    """The number of the day of an instant, in days since 1970."""
    return (instant.astimezone(UTC) - EPOCH).days


def read_manifest(folder: Path) -> Manifest:
    """The present contents. Raises Unavailable when they cannot be read."""
    with reading(folder) as manifest:
        return manifest


@contextmanager
def reading(folder: Path) -> Iterator[Manifest]:
    """The present contents, whose files stay in place until the block ends."""
    path = folder / NAME
    while True:
        try:
            descriptor = os.open(path, os.O_RDONLY | os.O_CLOEXEC)
        except FileNotFoundError:
            yield Manifest()
            return
        except OSError as error:
            raise _unreadable(path, error.strerror) from None
        try:
            fcntl.flock(descriptor, fcntl.LOCK_SH)
            if not _is_present(descriptor, path):
                continue  # replaced in between: its files may be going already
            with os.fdopen(os.dup(descriptor), "rb") as file:
                manifest = _decode(file.read(), path)
            yield manifest
            return
        finally:
            os.close(descriptor)


def switch(folder: Path, manifest: Manifest, step: Step) -> None:
    """Replace the contents, all or nothing. What readers hold stays until they are done."""
    path, fresh = folder / NAME, folder / f"{NAME}.new"
    step("manifest write")
    with fresh.open("wb") as file:
        file.write(msgspec.json.encode(manifest))
        file.flush()
        step("manifest fsync")
        os.fsync(file.fileno())
    if path.exists():
        old = folder / f"manifest-{manifest.generation - 1}.json"
        step("manifest keep")
        old.unlink(missing_ok=True)
        old.hardlink_to(path)
    step("manifest rename")
    fresh.replace(path)
    step("manifest folder fsync")
    fsync_folder(folder)


def clean(folder: Path, step: Step) -> int:
    """Remove what no manifest names that somebody may read; how many files went. Only for the writer."""
    manifest = read_manifest(folder)
    named = {file.path for file in manifest.files}
    for old in sorted(folder.glob("manifest-*.json")):
        held = _held(old)
        if held is None:
            step("clean manifest")
            old.unlink()
        else:
            named |= {file.path for file in held.files}
    gone = 0
    for spilled in (folder / "tmp", *folder.glob("reading-*")):
        if spilled.is_dir() and _is_left_behind(spilled):
            step("clean spilled")
            shutil.rmtree(spilled, ignore_errors=True)
    for path in sorted(folder.glob("*-*-*/*")):
        if str(path.relative_to(folder)) not in named:
            step("clean file")
            path.unlink()
            gone += 1
    for path in sorted(folder.glob("*-*-*/")):
        if path.is_dir() and not any(path.iterdir()):
            step("clean folder")
            path.rmdir()
    return gone


def fsync_folder(folder: Path) -> None:
    """Make the names in a folder durable."""
    descriptor = os.open(folder, os.O_RDONLY | os.O_DIRECTORY)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)


@contextmanager
def writing(folder: Path) -> Iterator[bool]:
    """Whether this is the only one that writes to the archive, until the block ends."""
    folder.mkdir(exist_ok=True)
    descriptor = os.open(folder / "writer.lock", os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o600)
    try:
        try:
            fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            yield False
        else:
            yield True
    finally:
        os.close(descriptor)


def _held(path: Path) -> Manifest | None:
    """An older manifest, or None when nobody reads from it."""
    descriptor = os.open(path, os.O_RDONLY | os.O_CLOEXEC)
    try:
        fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except BlockingIOError:
        return _decode(path.read_bytes(), path)
    else:
        return None
    finally:
        os.close(descriptor)


def _is_left_behind(spilled: Path) -> bool:
    """Whether nobody sorts there any more: the writer, or the process whose number the name says."""
    number = spilled.name.split("-")[1] if "-" in spilled.name else ""
    if not number.isdigit():
        return True
    try:
        os.kill(int(number), 0)
    except ProcessLookupError:
        return True
    except PermissionError:
        return False
    return False


def _is_present(descriptor: int, path: Path) -> bool:
    try:
        return os.path.samestat(os.fstat(descriptor), path.stat())
    except FileNotFoundError:
        return False


def _decode(content: bytes, path: Path) -> Manifest:
    try:
        return msgspec.json.decode(content, type=Manifest)
    except (msgspec.DecodeError, msgspec.ValidationError) as error:
        raise _unreadable(path, error) from None


def _unreadable(path: Path, reason: object) -> Unavailable:
    """The file is named inside the data folder: callers of the API need not know where that lies."""
    return Unavailable(
        f"{'/'.join(path.parts[-3:])}: cannot be read ({reason}); make the archive anew from the log of "
        "events with 'tallybook rebuild', or restore its folder from a backup"
    )
