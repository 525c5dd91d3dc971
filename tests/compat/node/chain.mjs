// The whole way from an empty sandbox to a final invoice, through the official Node client.
// Reads the server's address and a token from its arguments; prints one JSON object.
import Metronome, { NotFoundError } from '@metronome/sdk';

const [baseURL, bearerToken, from, until, within, final] = process.argv.slice(2);
const client = new Metronome({ baseURL, bearerToken, maxRetries: 0 });
const seen = {};

async function all(list) {
  const items = [];
  for await (const item of list) items.push(item);
  return items;
}

const customer = (await client.v1.customers.create({ name: 'Acme', ingest_aliases: ['acme'] })).data.id;
const metric = (
  await client.v1.billableMetrics.create({
    name: 'tokens',
    event_type_filter: { in_values: ['inference'] },
    property_filters: [
      { name: 'tokens', exists: true },
      { name: 'model', exists: true },
    ],
    aggregation_type: 'SUM',
    aggregation_key: 'tokens',
    group_keys: [['model']],
  })
).data.id;
const product = (
  await client.v1.contracts.products.create({
    name: 'Tokens',
    type: 'USAGE',
    billable_metric_id: metric,
    quantity_conversion: { conversion_factor: 1000000, operation: 'DIVIDE' },
    pricing_group_key: ['model'],
  })
).data.id;
const rateCard = (await client.v1.contracts.rateCards.create({ name: 'List prices' })).data.id;
for (const [model, price] of [
  ['large', 1000],
  ['small', 250],
]) {
  await client.v1.contracts.rateCards.rates.add({
    rate_card_id: rateCard,
    product_id: product,
    starting_at: from,
    entitled: true,
    rate_type: 'FLAT',
    price,
    pricing_group_values: { model },
  });
}
const contract = (
  await client.v1.contracts.create({ customer_id: customer, rate_card_id: rateCard, starting_at: from })
).data.id;
seen.contracts = (await client.v2.contracts.list({ customer_id: customer })).data.map((item) => item.id);
seen.contract = contract;

const event = (number, tokens, model) => ({
  transaction_id: `request-${number}`,
  customer_id: 'acme',
  event_type: 'inference',
  timestamp: within,
  properties: { tokens, model },
});
await client.v1.usage.ingest({ usage: [event(1, '1234567', 'small'), event(2, 200000, 'large')] });
await client.v1.usage.ingest({ usage: [event(2, 200000, 'large')] });

const usage = await all(
  client.v1.usage.list({ starting_on: from, ending_before: until, window_size: 'NONE', customer_ids: [customer] }),
);
seen.usage = usage.map((row) => row.value);

const [draft] = await all(client.v1.customers.invoices.list({ customer_id: customer }));
seen.draft = { status: draft.status, total: draft.total };

await client.post('/tallybook/v1/clock', { body: { now: final } });
const invoice = (await client.v1.customers.invoices.retrieve({ customer_id: customer, invoice_id: draft.id })).data;
seen.final = {
  status: invoice.status,
  total: invoice.total,
  lines: invoice.line_items.map((line) => [line.pricing_group_values?.model, line.quantity, line.unit_price, line.total]),
};

try {
  await client.v1.customers.retrieve({ customer_id: '123e4567-e89b-12d3-a456-426614174000' });
} catch (error) {
  seen.error = { isNotFound: error instanceof NotFoundError, fields: Object.keys(error.error) };
}
console.log(JSON.stringify(seen));
