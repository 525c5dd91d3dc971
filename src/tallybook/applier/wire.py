"""What passes between a server and the process that applies its log."""

import socket
from datetime import datetime

import msgspec
import numpy as np

from tallybook.adapters.log.committer import Committed
from tallybook.metering.event import UNREAD, Columns
from tallybook.metering.timestamps import Micros

_LENGTH_BYTES = 8
_RECEIVE_MAX = 1 << 20


class FedRow(msgspec.Struct, array_like=True, frozen=True):
    """A row of the log on its way to be applied."""

    row: int
    received_at: datetime
    fingerprints: bytes
    instants: bytes
    bodies: list[bytes]


_FED = msgspec.msgpack.Decoder(FedRow)
_UNREAD = Columns((), (), (), UNREAD, ((), ()))


def pack_row(committed: Committed) -> list[bytes]:
    """A row as a frame, in parts."""
    fed = FedRow(
        committed.row,
        committed.received_at,
        committed.fingerprints,
        committed.instants.tobytes(),
        list(committed.bodies),
    )
    packed = msgspec.msgpack.encode(fed)
    return [len(packed).to_bytes(_LENGTH_BYTES, "little"), packed]


def unpack_row(packed: bytes | bytearray) -> Committed:
    """The row in a frame. Its events are read when it is applied, by the same thread."""
    fed = _FED.decode(packed)
    instants: Micros = np.frombuffer(fed.instants, dtype=np.int64)
    return Committed(fed.row, fed.received_at, fed.fingerprints, fed.bodies, _UNREAD, instants)


def receive_frame(connection: socket.socket) -> bytearray | None:
    """The next frame; None where the sender has gone, in the middle of one too."""
    head = _receive(connection, _LENGTH_BYTES)
    return None if head is None else _receive(connection, int.from_bytes(head, "little"))


def send_frame(connection: socket.socket, parts: list[bytes]) -> None:
    """Send a frame whole. Raises OSError when the other side has gone."""
    for part in parts:
        connection.sendall(part)


def _receive(connection: socket.socket, size: int) -> bytearray | None:
    buffer = bytearray(size)
    view = memoryview(buffer)
    while view:
        received = connection.recv_into(view, min(len(view), _RECEIVE_MAX))
        if not received:
            return None
        view = view[received:]
    return buffer
