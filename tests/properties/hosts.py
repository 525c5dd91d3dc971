"""Servers that a property runs against, and how they are ended and started again."""

from contextlib import ExitStack
from datetime import datetime
from pathlib import Path
from typing import Any

import httpx
from metronome import Metronome

from tallybook.adapters.archive.compact import Compactor
from tests.cli.support import served
from tests.support import NOW, PRODUCTION_TOKEN, SANDBOX_TOKEN, serving

TOKENS = {"sandbox": SANDBOX_TOKEN, "production": PRODUCTION_TOKEN}


class Host:
    """A server on a folder; its sandbox meters in the server's process."""

    url: str

    def __init__(self, folder: Path, now: datetime = NOW) -> None:
        self.folder, self.now = folder, now
        self.http = httpx.Client(timeout=120)
        self.starts = 0
        self._running = ExitStack()
        self._clients: dict[str, Metronome] = {}
        self.start()

    def start(self) -> None:
        """Open the folder, or open it again."""
        self.starts += 1
        self._clients = {}
        self._open(self._running)

    def restart(self, *, kills: bool) -> None:
        """End the server, as asked or by signal 9, and start another on its folder."""
        self._end(kills=kills)
        self._running.close()
        self.start()

    def close(self) -> None:
        """End for good."""
        self._running.close()
        self.http.close()

    def client(self, environment: str) -> Metronome:
        """The official client, strict about what it receives."""
        known = self._clients.get(environment)
        if known is None:
            known = self._clients[environment] = Metronome(
                bearer_token=TOKENS[environment],
                base_url=self.url,
                max_retries=0,
                _strict_response_validation=True,
                http_client=self.http,
            )
        return known

    def send(self, environment: str, method: str, path: str, **given: Any) -> httpx.Response:
        """Plain HTTP."""
        headers = {"authorization": f"Bearer {TOKENS[environment]}", "content-type": "application/json"}
        answer = self.http.request(method, self.url + path, headers=headers, **given)
        assert answer.status_code < 500, f"{method} {path}: {answer.text}\n{self.complaints()}"
        return answer

    def complaints(self) -> str:
        """The end of what the server wrote, where it does not write beside the test's output."""
        return ""

    def tidy(self, environment: str, what: str) -> None:
        """Do now what is otherwise done in the background: move events from the log into the archive.

        A server apart stores its cells when it likes; events can be moved beside it all the same.
        """
        if what == "archive":
            Compactor(self.folder / environment).run()

    def _open(self, running: ExitStack) -> None:
        raise NotImplementedError

    def _end(self, *, kills: bool) -> None:
        """Whatever must happen before what runs is closed."""


class Here(Host):
    """A server in this process, in which what happens in the background can be asked for."""

    def _open(self, running: ExitStack) -> None:
        self._server = running.enter_context(serving(self.folder, now=self.now))
        self.url = self._server.url

    def tidy(self, environment: str, what: str) -> None:
        """The same, with the cells written to disk before, or that alone."""
        self._server.tallybook.meterings[environment]._checkpoint()
        super().tidy(environment, what)


class Apart(Host):
    """A server as users start it, whose production meters in a process of its own."""

    def _open(self, running: ExitStack) -> None:
        variables = {"TALLYBOOK_API_TOKEN": PRODUCTION_TOKEN, "TALLYBOOK_SANDBOX_TOKEN": SANDBOX_TOKEN}
        given = ("--sandbox-now", self.now.isoformat())
        self.log = self.folder.parent / "server.log"
        self._served = running.enter_context(served(self.folder, *given, log=self.log, **variables))
        self.url = self._served.url

    def complaints(self) -> str:
        """What was last wrong."""
        lines = self.log.read_text(errors="replace").splitlines()
        return "\n".join([line for line in lines if '"level": "info"' not in line][-40:])

    def _end(self, *, kills: bool) -> None:
        if not kills:
            assert self._served.stop() == 0
