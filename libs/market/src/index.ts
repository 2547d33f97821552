/**
 * Market: the rules of orders, quotes, leases and settlement as one pure reducer, and the documents
 * of jobs and of the agent protocol.
 *
 * Owns: what an order goes through, from acceptance to its last payment; prices; the codecs of every
 * stored row. Does not own: HTTP, queue, database, sockets (`apps/market`), money itself (the chain's
 * `orders` contract), the sandbox (`sandbox/`).
 *
 * @example
 * const market = restoreMarket(config, rows);             // no rows: a new market
 * const effects = applyEvent(market, { kind: 'resume' }, now, randomness);
 * // make the `save` and `remove` effects durable in one transaction, then do the others;
 * // send a `tick` at nextTickMs(market)
 */
export * from './agent/index.ts';
export * from './agent-protocol.ts';
export * from './arrays/array-result.ts';
export { addUnits, pendingUnits } from './arrays/batches.ts';
export { nextTickMs, applyEvent } from './apply.ts';
export { type MarketIdentity, blockToEvent } from './block-events.ts';
export { bodyOf } from './chain-calls.ts';
export { type Draw, createDraws } from './checks/draws-in-blocks.ts';
export { deliveryHash } from './delivery-hash.ts';
export * from './errors.ts';
export { GRAPH_DEPTH_MAX, GRAPH_ORDERS_MAX } from './graph/admission.ts';
export { cellOf, needsOf } from './fitting.ts';
export * from './manifest.ts';
export * from './metered-claim.ts';
export * from './model/config.ts';
export * from './model/effects.ts';
export * from './model/events.ts';
export * from './model/rows.ts';
export * from './model/views.ts';
export * from './placement/terms.ts';
export * from './pricing.ts';
export { type BindingQuote, QUOTE_VALID_MS, signQuote } from './placement/promise.ts';
export type { QuoteCounts } from './placement/learned.ts';
export type { TenantTerms } from './placement/tenants.ts';
export { quoteJob } from './quote.ts';
export { LOST_LEAF } from './rebuild.ts';
export { RESTORED_TABLES, restoreMarket } from './restore.ts';
export { type Market, createMarket } from './state.ts';
export { decisionsOf, relaxationText, waitingOf } from './why.ts';
export * from './verification/index.ts';
export { arrayStatus, marketStatus, orderView, providerViews, statusOf, viewOf } from './views.ts';
