"""Loads what rating needs: terms through the faces of other domains, usage through the port.

`Loader` remembers rate cards within one transaction, so that many contracts on one card cost one
look-up.
"""

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field

from tallybook.domains import metrics, products, rate_cards
from tallybook.domains.contracts import Contract
from tallybook.domains.customers import Customer
from tallybook.domains.invoices.model import RatedFrom
from tallybook.domains.rate_cards import RateCard
from tallybook.kit.db.tx import ReadTx
from tallybook.ports import UsageQuestion
from tallybook.rating.account import plan
from tallybook.rating.model import (
    AccountTerms,
    ContractTerms,
    DatedTerms,
    PricedProduct,
    UsageNeed,
    UsageSlice,
    UsageSpan,
)
from tallybook.values.errors import TallybookError
from tallybook.values.metric import MetricDefinition
from tallybook.values.money import USD_CENTS_ID
from tallybook.values.period import Period
from tallybook.values.pricing import RateEntry
from tallybook.values.usage import Tally, UsageCell


@dataclass(frozen=True, slots=True)
class _Card:
    fiat_credit_type_id: str
    products: tuple[PricedProduct, ...]


Answers = dict[UsageQuestion, list[UsageCell] | TallybookError]
"""What questions about usage gave, or why they gave nothing."""


@dataclass(frozen=True, slots=True)
class Loader:
    """Loads accounts within one transaction. What was read ahead of it is not asked for again."""

    tx: ReadTx
    ahead: Answers = field(default_factory=dict)
    _heads: dict[str, RateCard] = field(default_factory=dict)
    _cards: dict[str, _Card] = field(default_factory=dict)
    _metrics: dict[str, MetricDefinition] = field(default_factory=dict)

    def fiat_of(self, contract: Contract) -> str:
        """The credit type in which a contract's usage is invoiced."""
        if contract.rate_card_id is None:
            return USD_CENTS_ID
        return self._head(contract.rate_card_id).fiat_credit_type_id

    def load(
        self, customer: Customer, periods: Mapping[str, Sequence[Period]], contracts: Iterable[Contract]
    ) -> RatedFrom:
        """What rating the given periods (by contract id) of a customer's contracts needs."""
        terms, asked = self._asked(customer, periods, contracts)
        return RatedFrom(terms=terms, usage=tuple(self._slice(*pair) for pair in asked))

    def read_ahead(
        self, customer: Customer, periods: Mapping[str, Sequence[Period]], contracts: Iterable[Contract]
    ) -> Answers:
        """What `load` will ask of metrics in SQL: a query over raw events may take long."""
        _, asked = self._asked(customer, periods, contracts)
        answers: Answers = {}
        for _, question in asked:
            if question.metric.sql is not None:
                try:
                    answers[question] = self.tx.usage.read(question)
                except TallybookError as error:
                    answers[question] = error
        return answers

    def has_sql(self, contract: Contract) -> bool:
        """Whether a product that the contract prices has ever had a metric in SQL."""
        if contract.rate_card_id is None:
            return False
        priced = self._contract(contract, ())
        return any(item.sql is not None for item in self._definitions(_metrics_of([priced])).values())

    def _asked(
        self, customer: Customer, periods: Mapping[str, Sequence[Period]], contracts: Iterable[Contract]
    ) -> tuple[AccountTerms, list[tuple[UsageNeed, UsageQuestion]]]:
        agreed = tuple(self._contract(item, tuple(periods[item.id])) for item in contracts)
        definitions = self._definitions(_metrics_of(agreed))
        terms = AccountTerms(
            customer_id=customer.id,
            contracts=agreed,
            aggregations={key: definition.aggregation for key, definition in definitions.items()},
            grace=self.tx.grace,
        )
        return terms, [
            (need, _question(need, definitions[need.metric_id], customer.usage_keys)) for need in plan(terms)
        ]

    def _contract(self, contract: Contract, periods: tuple[Period, ...]) -> ContractTerms:
        if contract.rate_card_id is None:
            return ContractTerms(contract_id=contract.id, starting_at=contract.starting_at, periods=periods)
        card = self._card(contract.rate_card_id)
        return ContractTerms(
            contract_id=contract.id,
            starting_at=contract.starting_at,
            periods=periods,
            products=card.products,
            fiat_credit_type_id=card.fiat_credit_type_id,
        )

    def _head(self, rate_card_id: str) -> RateCard:
        if rate_card_id not in self._heads:
            self._heads[rate_card_id] = rate_cards.get_rate_card(self.tx, rate_card_id)
        return self._heads[rate_card_id]

    def _card(self, rate_card_id: str) -> _Card:
        if rate_card_id not in self._cards:
            fiat = self._head(rate_card_id).fiat_credit_type_id
            self._cards[rate_card_id] = _Card(fiat, self._priced(rate_card_id))
        return self._cards[rate_card_id]

    def _priced(self, rate_card_id: str) -> tuple[PricedProduct, ...]:
        """A card's products: those put in order first, then by when they were first priced."""
        entries: dict[str, list[RateEntry]] = {}
        for entry in rate_cards.rate_entries(self.tx, rate_card_id):
            entries.setdefault(entry.product_id, []).append(entry)
        order = {key: place for place, key in enumerate(rate_cards.product_order(self.tx, rate_card_id))}
        ids = sorted(entries, key=lambda key: order.get(key, len(order)))
        known = products.products_by_id(self.tx, ids)
        return tuple(
            PricedProduct(
                product_id=key,
                type=known[key].type,
                timeline=tuple(
                    DatedTerms(starting_at=start, terms=terms) for start, terms in known[key].timeline
                ),
                entries=tuple(entries[key]),
            )
            for key in ids
        )

    def _definitions(self, ids: set[str]) -> dict[str, MetricDefinition]:
        missing = sorted(ids - self._metrics.keys())
        if missing:
            found = metrics.metrics_by_id(self.tx, missing)
            self._metrics.update({key: metric.definition for key, metric in found.items()})
        return {key: self._metrics[key] for key in sorted(ids)}

    def _answer(self, question: UsageQuestion) -> list[UsageCell]:
        known = self.ahead.get(question)
        if isinstance(known, TallybookError):
            raise known
        return self.tx.usage.read(question) if known is None else known

    def _slice(self, need: UsageNeed, question: UsageQuestion) -> UsageSlice:
        merged: dict[tuple[int, tuple[str | None, ...]], Tally] = {}
        for cell in self._answer(question):
            place = cell.hour, cell.group
            known = merged.get(place)
            merged[place] = cell.tally if known is None else known.merge(cell.tally)
        spans = tuple(UsageSpan(hour, group, tally) for (hour, group), tally in merged.items())
        return UsageSlice(need, tuple(sorted(spans, key=lambda item: item.hour)))


def _question(need: UsageNeed, metric: MetricDefinition, keys: frozenset[str]) -> UsageQuestion:
    return UsageQuestion(metric, keys, need.hour_from, need.hour_until, need.grouping, need.cuts)


def _metrics_of(contracts: Iterable[ContractTerms]) -> set[str]:
    """The ids of all metrics that products of the contracts have ever had."""
    return {
        dated.terms.billable_metric_id
        for contract in contracts
        for product in contract.products
        for dated in product.timeline
        if dated.terms.billable_metric_id is not None
    }
