"""How many examples a property is shown: few and always the same ones, or many new ones on demand.

    TALLYBOOK_EXAMPLES=50 .venv/bin/pytest tests/properties

shows fifty times as many examples, drawn anew; a failure is printed in its smallest form and kept in
.hypothesis, so that the next run begins with it.
"""

import os

from hypothesis import HealthCheck, Phase, settings

FACTOR = int(os.environ.get("TALLYBOOK_EXAMPLES", "1"))


def examples(count: int) -> settings:
    """`count` examples, the same ones at every run; more and others when asked."""
    kept = {"database": None} if FACTOR == 1 else {}
    # Making a failure smaller takes minutes with a server behind it, so only when asked.
    phases = [phase for phase in Phase if phase is not Phase.shrink] if FACTOR == 1 else list(Phase)
    return settings(
        phases=phases,
        max_examples=count * FACTOR,
        derandomize=FACTOR == 1,
        deadline=None,
        print_blob=True,
        suppress_health_check=list(HealthCheck),
        **kept,
    )
