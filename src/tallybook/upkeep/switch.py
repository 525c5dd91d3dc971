"""Puts rebuilt files in the place of the old ones, so that a crash leaves all old or leads to all new.

What is rebuilt lies in a folder of its own. Once it is whole and on disk a mark says so; from then on
every start goes on with the switch until it is done (`finish`). Without the mark it is thrown away.

    production/rebuild/cells.db, archive/     what is to come
    production/rebuild/complete               the mark
    production/rebuild/replaced/              the old archive, on its way out
"""

import os
import shutil
from collections.abc import Callable
from pathlib import Path

NAME = "rebuild"
MARK = "complete"

Step = Callable[[str], object]
"""Told before every step that changes the disk; a test may raise from it what a crash would leave."""


def begin(folder: Path, step: Step = bool) -> Path:
    """An empty folder to rebuild the derived files of `folder` in, beside its log."""
    built = folder / NAME
    step("begin")
    built.mkdir()
    # The same log under the name that is looked for; SQLite follows the link to the real file.
    (built / "events.db").symlink_to(Path("..") / "events.db")
    return built


def complete(folder: Path, step: Step = bool) -> None:
    """Say that what was rebuilt is whole. Then `finish` puts it in place, now or at the next start."""
    built = folder / NAME
    for path in sorted(built.rglob("*")):
        if not path.is_symlink():
            step("sync")
            _sync(path)
    _sync(built)
    step("mark")
    (built / MARK).touch()
    _sync(built)
    _sync(folder)


def finish(folder: Path, step: Step = bool) -> bool:
    """Finish a switch that was begun, or throw away what was not whole; whether there was one to finish.

    Nobody may have the files open.
    """
    built = folder / NAME
    if not built.exists():
        return False
    is_whole = (built / MARK).exists()
    if is_whole:
        _switch_cells(folder, built, step)
        _switch_archive(folder, built, step)
        step("unmark")
        (built / MARK).unlink()
        _sync(built)
    step("remove")
    shutil.rmtree(built)
    return is_whole


def _switch_cells(folder: Path, built: Path, step: Step) -> None:
    if not (built / "cells.db").exists():
        return
    for suffix in ("-wal", "-shm"):
        # They belong to the old file and would be taken for the new one's.
        step("unlink old")
        (folder / f"cells.db{suffix}").unlink(missing_ok=True)
    _sync(folder)
    step("replace cells")
    (built / "cells.db").replace(folder / "cells.db")
    _sync(folder)
    _sync(built)


def _switch_archive(folder: Path, built: Path, step: Step) -> None:
    if not (built / "archive").exists():
        return
    if (folder / "archive").exists():
        step("move old archive")
        (folder / "archive").rename(built / "replaced")
        _sync(built)
    step("move new archive")
    (built / "archive").rename(folder / "archive")
    _sync(folder)
    _sync(built)


def _sync(path: Path) -> None:
    descriptor = os.open(path, os.O_RDONLY)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)
