"""Writes everything that is generated and committed: `make docs`.

python -m tools.docs          write the files
python -m tools.docs --check  name those that are out of date; status 1 when there are any
"""

import json
import sys
from pathlib import Path

from tallybook.kit.http import openapi
from tallybook.operations import all_operations
from tools import cli_reference, coverage

ROOT = coverage.ROOT


def generated() -> dict[Path, str]:
    """The content that each generated file should have."""
    operations = all_operations()
    table = coverage.marked(coverage.TABLE.read_text(encoding="utf-8"), operations)
    document = json.loads(openapi.document(operations))
    return {
        coverage.TABLE: table,
        ROOT / "docs" / "api-coverage.md": coverage.render(coverage.read_table(table)),
        ROOT / "docs" / "cli.md": cli_reference.render(),
        ROOT / "api" / "openapi.json": json.dumps(document, indent=1, ensure_ascii=False) + "\n",
    }


def stale() -> list[str]:
    """The generated files that do not have their content."""
    return [
        str(path.relative_to(ROOT))
        for path, content in generated().items()
        if not path.exists() or path.read_text(encoding="utf-8") != content
    ]


def main() -> int:
    """Write or check; tell what changed and what the coverage table gets wrong."""
    changed = stale()
    if "--check" in sys.argv[1:]:
        for name in changed:
            print(f"{name} is out of date: run `make docs`")
        return 1 if changed else 0
    for path, content in generated().items():
        path.write_text(content, encoding="utf-8")
    for name in changed:
        print(f"wrote {name}")
    wrong = coverage.problems(
        coverage.read_table(coverage.TABLE.read_text(encoding="utf-8")), all_operations()
    )
    for problem in wrong:
        print(f"api/coverage.toml: {problem}")
    return 1 if wrong else 0


if __name__ == "__main__":
    sys.exit(main())
