"""The process that applies a log beside the server which writes it.

    python -m tallybook.applier.process FOLDER FEED_FD CALL_FD...

It applies the rows that come over FEED_FD and answers calls on each CALL_FD. An empty frame on FEED_FD
asks it to finish; when its server is gone without one it ends at once, since the log holds everything.
"""

import gc
import os
import pickle
import select
import signal
import socket
import sqlite3
import sys
from pathlib import Path
from threading import Thread

import structlog

from tallybook.applier.follower import Follower
from tallybook.applier.wire import receive_frame, send_frame, unpack_row
from tallybook.values.errors import TallybookError, Unavailable

SWITCH_S = 0.0005
COLLECT_AFTER = 100_000
"""Objects are dropped here by the hundred thousand, hardly ever in circles: those are looked for seldom."""

log = structlog.get_logger("tallybook.applier")


def main() -> None:
    """Apply until told to finish, or until the server is gone."""
    for number in (signal.SIGINT, signal.SIGTERM):
        signal.signal(number, signal.SIG_IGN)  # the server decides when to end
    structlog.configure(
        processors=[
            structlog.processors.add_log_level,
            structlog.processors.TimeStamper(fmt="iso", utc=True),
            structlog.processors.format_exc_info,
            structlog.processors.JSONRenderer(),
        ],
        logger_factory=structlog.PrintLoggerFactory(sys.stderr),
    )
    sys.setswitchinterval(SWITCH_S)
    gc.set_threshold(COLLECT_AFTER, 20, 20)
    folder = Path(sys.argv[1])
    feed, *calls = [socket.socket(fileno=int(text)) for text in sys.argv[2:]]
    Thread(target=_end_with_server, args=(feed,), daemon=True).start()
    try:
        follower = Follower(folder, on_fault=lambda: os._exit(2))
    except TallybookError as error:
        _refuse(calls[0], error)
        return
    except sqlite3.Error as error:
        _refuse(calls[0], Unavailable(f"{folder.name}: the events could not be applied ({error})"))
        return
    for connection in calls:
        Thread(target=_serve, args=(connection, follower), daemon=True).start()
    while frame := receive_frame(feed):
        follower.follow(unpack_row(frame))
    if frame is None:
        os._exit(1)
    follower.close()


def _refuse(connection: socket.socket, error: TallybookError) -> None:
    """Answer the first call, which the server makes at once, with the reason why no other will be."""
    if receive_frame(connection) is not None:
        _answer(connection, (False, error))


def _end_with_server(feed: socket.socket) -> None:
    """End at once when the server is gone, in whatever this process is: the next one waits for it."""
    poll = select.poll()
    poll.register(feed, select.POLLHUP | select.POLLRDHUP)
    poll.poll()
    os._exit(1)


def _serve(connection: socket.socket, follower: Follower) -> None:
    """Answer calls, one after another."""
    while (frame := receive_frame(connection)) is not None:
        name, arguments = pickle.loads(frame)  # noqa: S301  # from our own server
        try:
            answer: tuple[bool, object] = (True, getattr(follower, name)(*arguments))
        except TallybookError as error:
            answer = (False, error)
        _answer(connection, answer)


def _answer(connection: socket.socket, answer: tuple[bool, object]) -> None:
    packed = pickle.dumps(answer, protocol=5)
    send_frame(connection, [len(packed).to_bytes(8, "little"), packed])


if __name__ == "__main__":
    main()
