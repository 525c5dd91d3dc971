"""One compaction in a process of its own, which leaves the server its threads and gives its memory back.

    python -m tallybook.adapters.archive.process FOLDER SERVER_FD NICENESS [DAYS NOW_MICROS]

It prints what it did as JSON. When its server is gone (SERVER_FD hangs up) it ends at once: what it has
not finished is tidied up by the next one.
"""

import os
import select
import signal
import sys
from dataclasses import asdict
from pathlib import Path
from threading import Thread

import msgspec

from tallybook.adapters.archive.compact import Compactor, Kept, Run
from tallybook.values.errors import TallybookError
from tallybook.values.instant import instant_of_micros


def main() -> None:
    """Compact once."""
    for number in (signal.SIGINT, signal.SIGTERM):
        signal.signal(number, signal.SIG_IGN)  # the server decides when to end
    folder, server, niceness, *keeping = sys.argv[1:]
    Thread(target=_end_with_server, args=(int(server),), daemon=True).start()
    os.nice(int(niceness))
    kept = Kept(int(keeping[0]), instant_of_micros(int(keeping[1]))) if keeping else None
    try:
        run = Compactor(Path(folder), kept=kept).run()
    except TallybookError as error:
        sys.exit(error.message)
    sys.stdout.buffer.write(msgspec.json.encode(asdict(run or Run())))


def _end_with_server(server: int) -> None:
    poll = select.poll()
    poll.register(server, select.POLLHUP)
    poll.poll()
    os._exit(1)


if __name__ == "__main__":
    main()
