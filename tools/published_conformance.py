"""Checks the operations built so far against a published OpenAPI document.

    python -m tools.published_conformance PATH/TO/openapi.json [--examples 25]

The document is not part of this repository. A server is started on a throw-away folder, each operation
of the document that the code serves gets generated requests, and every answer must be one that the
document describes. Prints a line per operation; ends with status 1 when one failed.
"""

import argparse
import json
import logging
import sys
import tempfile
from pathlib import Path
from typing import Any

import structlog

from tallybook.operations import all_operations
from tests.compat.conformance import exercise, operations_in
from tests.compat.test_schemathesis import make_known
from tests.support import serving

# Refusals have one shape here, `{"message"}`, whatever a document says of them operation by operation.
CHECKED = ("content_type_conformance", "response_schema_conformance")


def restricted(document: dict[str, Any]) -> dict[str, Any]:
    """The document with only those operations that the code serves."""
    built = {item.name for item in all_operations()}
    paths: dict[str, Any] = {}
    for path, methods in document["paths"].items():
        kept = {
            method: described
            for method, described in methods.items()
            if not isinstance(described, dict) or described.get("operationId", "") in built
        }
        if any("operationId" in described for described in kept.values() if isinstance(described, dict)):
            paths[path] = kept
    return {**document, "paths": paths}


def main() -> int:
    """Run; 0 when every operation kept to the document."""
    parser = argparse.ArgumentParser(description=__doc__.partition("\n")[0])
    parser.add_argument("document", type=Path)
    parser.add_argument("--examples", type=int, default=25, help="generated requests per operation and mode")
    given = parser.parse_args()
    operations = operations_in(restricted(json.loads(given.document.read_text(encoding="utf-8"))))
    structlog.configure(wrapper_class=structlog.make_filtering_bound_logger(logging.ERROR))
    failed = 0
    with tempfile.TemporaryDirectory() as folder, serving(Path(folder) / "data") as server:
        known = make_known(server)
        for name, operation in operations.items():
            try:
                statuses = exercise(operation, server, known, given.examples, CHECKED)
            except (Exception, BaseExceptionGroup) as error:  # noqa: BLE001  # any failure is one line
                failed += 1
                print(f"FAILED {name}: {error}")
            else:
                print(f"ok     {name} {dict(sorted(statuses.items()))}")
    print(f"{len(operations) - failed} passed, {failed} failed")
    return 1 if failed else 0


if __name__ == "__main__":
    sys.exit(main())
