/**
 * Market: the rules of orders, quotes, leases and settlement as one pure reducer, and the documents
 * of jobs and of the agent protocol.
 *
 * Owns: what an order goes through, from acceptance to its last payment; prices; the codecs of every
 * stored row. Does not own: HTTP, queue, database, sockets (`apps/market`), money itself (the chain's
 * `orders` contract), the sandbox (`sandbox/`).
 *
 * @example
 * const market = createMarket(config);                    // or restoreMarket(config, rows)
 * const effects = applyEvent(market, { kind: 'resume' }, now, randomness);
 * // make the `save` effects durable in one transaction, then do the others
 */
export * from './agent/index.ts';
export * from './agent-protocol.ts';
export * from './manifest.ts';
export * from './model/config.ts';
export * from './model/effects.ts';
export * from './model/events.ts';
export * from './model/rows.ts';
export * from './model/views.ts';
export * from './pricing.ts';
