"""`tallybook ingest`: usage events from CSV or JSON lines, exact, resumable, never counted twice.

`sources` reads records, `mapping` makes events of them, `identity` gives them ids, `batches` groups
them, `sender` delivers over HTTP, `checkpoint` remembers how far it got, `loading` runs it all, and
`report` tells people and programs.
"""

from tallybook.cli.ingest.command import ingest

__all__ = ["ingest"]
