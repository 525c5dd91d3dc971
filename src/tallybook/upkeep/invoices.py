"""Whether final invoices are, to the last digit, what they were rated from."""

from collections.abc import Callable, Iterator

from tallybook.domains import invoices
from tallybook.kit.db.tx import Environment
from tallybook.upkeep.checks import Difference, Unseeing


class InvoicesCheck(Unseeing):
    """Rates every final invoice, or one, again from what is kept with it."""

    name = "invoices"

    def __init__(
        self,
        environment: Environment,
        invoice_id: str | None = None,
        told: Callable[[int], object] = bool,
    ) -> None:
        """`told` hears of every invoice that is done with."""
        self._environment, self._invoice_id, self._told = environment, invoice_id, told

    def differences(self) -> Iterator[Difference]:
        """Rate again, one after another."""
        with self._environment.read("verify") as tx:
            for invoice_id, faults in invoices.verify_invoices(tx, self._invoice_id):
                self.compared += 1
                self._told(1)
                yield from (Difference(self.name, f"invoice {invoice_id}", fault) for fault in faults)
