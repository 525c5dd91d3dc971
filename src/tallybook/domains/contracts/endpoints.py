"""HTTP of contracts: parse, call one use case, render."""

from tallybook.domains.contracts import service
from tallybook.domains.contracts.schemas import (
    ContractRateResponse,
    ContractRateScheduleRequest,
    ContractResponse,
    ContractV2Response,
    CreateContractRequest,
    CreatedContractResponse,
    GetContractRequest,
    GetContractV2Request,
    ListContractsRequest,
    contract_rate_to_wire,
    contract_to_wire,
    contract_to_wire_v2,
)
from tallybook.kit.db.tx import ReadTx, Tx
from tallybook.kit.http.operation import post
from tallybook.kit.http.paging import LIMIT_DEFAULT, PageQuery, page_of, start_after
from tallybook.kit.http.wire import Data, Page

RATES = "contract rates"


@post("/v1/contracts/create", "createContract-v1")
def create_contract(tx: Tx, body: CreateContractRequest) -> Data[CreatedContractResponse]:
    """Create a contract."""
    contract = service.create_contract(tx, body.to_draft())
    detail = service.detail_of(tx, contract)
    return Data(data=CreatedContractResponse(id=contract.id, contract=contract_to_wire_v2(detail)))


@post("/v1/contracts/get", "getContract-v1")
def get_contract(tx: ReadTx, body: GetContractRequest) -> Data[ContractResponse]:
    """Get a contract as created and as it is, archived ones too."""
    contract = service.get_contract_of(tx, body.customer_id, body.contract_id)
    return Data(data=contract_to_wire(service.detail_of(tx, contract)))


@post("/v1/contracts/list", "listContracts-v1")
def list_contracts(tx: ReadTx, body: ListContractsRequest) -> Data[list[ContractResponse]]:
    """List a customer's contracts, oldest first."""
    found = service.list_contracts(tx, body.customer_id, body.to_filter())
    return Data(data=[contract_to_wire(item) for item in service.details_of(tx, found)])


@post("/v2/contracts/get", "getContract-v2")
def get_contract_v2(tx: ReadTx, body: GetContractV2Request) -> Data[ContractV2Response]:
    """Get a contract in its present state, or in that of an instant."""
    contract = service.get_contract_of(tx, body.customer_id, body.contract_id, as_of=body.instant())
    return Data(data=contract_to_wire_v2(service.detail_of(tx, contract)))


@post("/v2/contracts/list", "listContracts-v2")
def list_contracts_v2(tx: ReadTx, body: ListContractsRequest) -> Data[list[ContractV2Response]]:
    """List a customer's contracts in their present state, oldest first."""
    found = service.list_contracts(tx, body.customer_id, body.to_filter())
    return Data(data=[contract_to_wire_v2(item) for item in service.details_of(tx, found)])


@post("/v1/contracts/getContractRateSchedule", "getContractRateSchedule-v1")
def get_contract_rate_schedule(
    tx: ReadTx, query: PageQuery, body: ContractRateScheduleRequest
) -> Page[ContractRateResponse]:
    """The prices a contract pays at an instant, in the order of its rate card."""
    limit = query.limit or LIMIT_DEFAULT
    (after,) = start_after(RATES, query.next_page, (int,)) or (0,)
    contract = service.get_contract_of(tx, body.customer_id, body.contract_id)
    rates = service.rates_of(
        tx, contract, body.at or tx.now, body.to_selectors(), after=after, count=limit + 1
    )
    return page_of(
        RATES,
        rates,
        limit,
        key=lambda row: (row.key,),
        render=lambda row: contract_rate_to_wire(contract, row),
    )
