"""The pure rules of products: how dated versions fold into a timeline."""

from datetime import UTC, datetime, timedelta
from decimal import Decimal

from hypothesis import given
from hypothesis import strategies as st

from tallybook.domains.products.model import Attributes, Product, Version
from tallybook.values.pricing import (
    ConversionOperation,
    ProductTerms,
    ProductType,
    QuantityConversion,
    QuantityRounding,
    RoundingMethod,
)

CREATED = datetime(2026, 1, 1, tzinfo=UTC)
MILLIONS = QuantityConversion(conversion_factor=Decimal(1_000_000), operation=ConversionOperation.DIVIDE)
CENTS = QuantityRounding(rounding_method=RoundingMethod.ROUND_UP, decimal_places=2)


def day(number: int) -> datetime:
    return CREATED + timedelta(days=number)


def product(*said: tuple[int | None, Attributes]) -> Product:
    """A product whose versions were added in this order, each starting on a day."""
    versions = tuple(
        Version(
            added=added,
            starting_at=None if start is None else day(start),
            created_at=CREATED + timedelta(minutes=added),
            created_by="tester",
            attributes=attributes,
        )
        for added, (start, attributes) in enumerate(said)
    )
    return Product(id="p", type=ProductType.USAGE, created_at=CREATED, archived_at=None, versions=versions)


FIRST = Attributes(name="first", billable_metric_id="m", tags=("a",), quantity_conversion=MILLIONS)


def test_a_product_never_updated_has_one_entry_from_ever() -> None:
    only = ProductTerms(name="first", billable_metric_id="m", tags=("a",), quantity_conversion=MILLIONS)
    assert product((None, FIRST)).timeline == ((None, only),)
    assert product((None, FIRST)).terms_at(day(-10_000)) == only


def test_updates_fold_by_start_then_by_addition() -> None:
    folded = product(
        (None, FIRST),
        (5, Attributes(name="fifth", quantity_rounding=CENTS)),
        (2, Attributes(name="second", tags=())),
        (5, Attributes(name="fifth again", quantity_conversion=None)),
    )
    starts = [start for start, _ in folded.timeline]
    assert starts == [None, day(2), day(5)]
    assert folded.terms_at(day(2) - timedelta(microseconds=1)).name == "first"
    second = folded.terms_at(day(2))
    assert (second.name, second.tags, second.quantity_rounding) == ("second", (), None)
    assert second.quantity_conversion == MILLIONS
    fifth = folded.terms_at(day(5))
    assert (fifth.name, fifth.tags, fifth.quantity_rounding) == ("fifth again", (), CENTS)
    assert fifth.quantity_conversion is None


def test_what_changes_nothing_of_a_line_makes_no_entry() -> None:
    folded = product((None, FIRST), (3, Attributes(is_refundable=False)), (4, Attributes(name="first")))
    assert [start for start, _ in folded.timeline] == [None]
    assert folded.version_at(day(4)).attributes.is_refundable is False
    assert folded.version_at(day(4)).starting_at == day(4)


def test_an_update_undone_at_its_own_start_leaves_one_entry() -> None:
    folded = product((None, FIRST), (3, Attributes(name="other")), (3, Attributes(name="first")))
    assert [start for start, _ in folded.timeline] == [None]


def test_the_state_carries_the_last_version_that_has_begun() -> None:
    folded = product((None, FIRST), (5, Attributes(name="fifth")), (2, Attributes(name="second")))
    assert folded.version_at(day(1)) == folded.initial
    assert folded.version_at(day(3)).added == 2
    assert folded.version_at(day(6)).added == 1
    assert folded.version_at(day(6)).attributes == FIRST.updated(Attributes(name="fifth"))


updates = st.lists(
    st.tuples(
        st.integers(0, 5),
        st.builds(
            Attributes,
            name=st.sampled_from(["a", "b"]),
            quantity_conversion=st.sampled_from([None, MILLIONS]),
        )
        | st.builds(Attributes, tags=st.sampled_from([(), ("x",)])),
    ),
    max_size=6,
)


@given(updates=updates, at=st.integers(-1, 6))
def test_timeline_agrees_with_asking_each_attribute_for_itself(
    updates: list[tuple[int, Attributes]], at: int
) -> None:
    """The slow reference: per attribute, the last update that has begun and sets it."""
    folded = product((None, FIRST), *updates)
    expected = {
        name: max(
            (
                ((start, added), attributes.given()[name])
                for added, (start, attributes) in enumerate([(-100, FIRST), *updates])
                if start <= at and name in attributes.given()
            ),
            key=lambda item: item[0],
        )[1]
        for name in ("name", "tags", "quantity_conversion", "billable_metric_id")
    }
    assert folded.terms_at(day(at)) == ProductTerms(**expected)
    assert folded.version_at(day(at)).attributes.to_terms() == ProductTerms(**expected)
    starts = [start for start, _ in folded.timeline[1:]]
    assert starts == sorted(set(starts))
    assert all(left[1] != right[1] for left, right in zip(folded.timeline, folded.timeline[1:], strict=False))
