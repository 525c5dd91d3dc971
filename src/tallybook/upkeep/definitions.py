"""Whether what is metered is what the catalogue defines."""

from collections.abc import Iterator, Sequence

from tallybook.adapters.usage.sqlite import StoredMetric
from tallybook.domains import metrics
from tallybook.kit.db.tx import Environment
from tallybook.upkeep.checks import Difference, Unseeing


class DefinitionsCheck(Unseeing):
    """Compares the definitions kept beside the cells with the catalogue's."""

    name = "definitions"

    def __init__(self, environment: Environment, stored: Sequence[StoredMetric]) -> None:
        self._environment, self._stored = environment, stored

    def differences(self) -> Iterator[Difference]:
        """Every metered metric must be defined, and so."""
        with self._environment.read("verify") as tx:
            known = {item.definition.id: item for item in metrics.all_metrics(tx, include_archived=True)}
        for item in self._stored:
            self.compared += 1
            definition = item.active.definition
            if definition.id not in known:
                yield Difference(self.name, f"metric {definition.id}", "metered, but not in the catalogue")
            elif known[definition.id].definition != definition:
                message = "metered otherwise than the catalogue defines it"
                yield Difference(self.name, f"metric {definition.id}", message)
