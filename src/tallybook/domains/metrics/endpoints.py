"""HTTP of billable metrics: parse, call one use case, render."""

from tallybook.domains import custom_fields
from tallybook.domains.metrics import service
from tallybook.domains.metrics.schemas import (
    BillableMetricResponse,
    CreateBillableMetricRequest,
    CreateOldBillableMetricRequest,
    ListBillableMetricsQuery,
    UpdateBillableMetricRequest,
    metric_to_wire,
)
from tallybook.kit.db.tx import ReadTx, Tx
from tallybook.kit.http.operation import get, post, put
from tallybook.kit.http.paging import LIMIT_DEFAULT, page_of, start_after
from tallybook.kit.http.wire import Data, Id, IdRequest, Page
from tallybook.values.instant import micros_of


@post("/v1/billable-metrics/create", "createBillableMetricV1-v1")
def create_billable_metric(tx: Tx, body: CreateBillableMetricRequest) -> Data[Id]:
    """Create a billable metric; it counts past events too."""
    return Data(data=Id(id=service.create_metric(tx, body.to_draft()).id))


@post("/v1/billable-metrics", "createBillableMetric-v1")
def create_old_billable_metric(tx: Tx, body: CreateOldBillableMetricRequest) -> Data[Id]:
    """Create a billable metric in the old form, whose filter is a JSON Schema document."""
    return Data(data=Id(id=service.create_old_metric(tx, body.to_draft()).id))


@get("/v1/billable-metrics/{billable_metric_id}", "getBillableMetric-v1")
def get_billable_metric(tx: ReadTx, billable_metric_id: str) -> Data[BillableMetricResponse]:
    """Get a billable metric, archived ones too."""
    metric = service.get_metric(tx, billable_metric_id)
    fields = custom_fields.read_one(tx, "billable_metric", billable_metric_id)
    return Data(data=metric_to_wire(metric, fields))


@get("/v1/billable-metrics", "listAllBillableMetrics-v1")
def list_billable_metrics(tx: ReadTx, query: ListBillableMetricsQuery) -> Page[BillableMetricResponse]:
    """List billable metrics, oldest first."""
    limit = query.limit or LIMIT_DEFAULT
    after = start_after("billable-metrics", query.next_page, (int, str))
    found = service.list_metrics(
        tx, include_archived=bool(query.include_archived), after=after, count=limit + 1
    )
    fields = custom_fields.read(tx, "billable_metric", [metric.id for metric in found])
    return page_of(
        "billable-metrics",
        found,
        limit,
        key=lambda metric: (micros_of(metric.created_at), metric.id),
        render=lambda metric: metric_to_wire(metric, fields.get(metric.id, {})),
    )


@put("/v1/billable-metrics/{billable_metric_id}", "updateBillableMetric-v1")
def update_billable_metric(tx: Tx, billable_metric_id: str, body: UpdateBillableMetricRequest) -> Data[Id]:
    """Rename a billable metric."""
    service.rename_metric(tx, billable_metric_id, body.name)
    return Data(data=Id(id=billable_metric_id))


@post("/v1/billable-metrics/archive", "archiveBillableMetric-v1")
def archive_billable_metric(tx: Tx, body: IdRequest) -> Data[Id]:
    """Archive a billable metric; products that use it go on."""
    service.archive_metric(tx, body.id)
    return Data(data=Id(id=body.id))
