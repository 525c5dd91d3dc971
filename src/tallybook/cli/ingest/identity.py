"""Transaction ids for records that bring none: the same content always gets the same ids.

An id is a digest of what the event says, and which of the records saying exactly that it is. So a
file loaded twice, shuffled, or resumed after an interruption gives the same set of ids, and the
server counts each event once. Records are told apart within one command: files loaded together are
one input.
"""

from collections.abc import Sequence
from hashlib import blake2b

import msgspec

from tallybook.cli.ingest.mapping import Event
from tallybook.metering.fingerprints import Fingerprints

_CONTENT = msgspec.json.Encoder(decimal_format="number", order="sorted")


class Identity:
    """Gives ids to events in input order. Holds about 20 bytes per distinct event, never its content."""

    def __init__(self) -> None:
        self._seen = Fingerprints()
        self._counts: dict[bytes, int] = {}

    def name(self, events: Sequence[Event]) -> None:
        """Set the `transaction_id` of every event that has none."""
        nameless = [event for event in events if "transaction_id" not in event]
        if not nameless:
            return
        digests = [digest_of(event) for event in nameless]
        is_first = self._seen.admit(b"".join(digests), 0).tolist()
        for event, digest, first in zip(nameless, digests, is_first, strict=True):
            occurrence = 1
            if not first:
                occurrence = self._counts[digest] = self._counts.get(digest, 1) + 1
            event["transaction_id"] = f"row-{digest.hex()}-{occurrence}"


def digest_of(event: Event) -> bytes:
    """128 bits of everything the event says except its id."""
    content = (event["customer_id"], event["event_type"], event["timestamp"], event["properties"])
    return blake2b(_CONTENT.encode(content), digest_size=16).digest()
