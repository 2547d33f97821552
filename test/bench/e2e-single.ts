/** From an order to the first statement of its guest, one order at a time. */
import { setTimeout as sleep } from 'node:timers/promises';
import { ENDED, type MarketClient, type OrderDocument } from '#libs/sdk';
import type { LocalMachine, Orderer } from '../support/local-machine.ts';

const STALL_MS = 30_000;
/** Little is left of an order once its work is done. */
const POLL_MS = 20;
/** The first ones warm connections and slots. */
const WARM_ORDERS = 3;

/** The order once nothing can happen to it any more, looked at so often. */
export async function endOf(
  market: MarketClient,
  id: string,
  pollMs = POLL_MS,
): Promise<OrderDocument> {
  for (const fromMs = performance.now(); performance.now() - fromMs < STALL_MS;) {
    const order = await market.order(id);
    if (ENDED.has(order.status)) return order;
    await sleep(pollMs);
  }
  throw new Error(`order ${id} does not end`);
}

async function startedMs(market: MarketClient, id: string): Promise<number> {
  for await (const event of market.events(id, { patienceMs: 10_000 }))
    if (event.kind === 'started') return Date.parse(event.time);
  throw new Error(`order ${id} never started`);
}

/** Milliseconds from sending each order to its first guest statement. */
export async function submitToStartMs(
  { market, orderer }: LocalMachine,
  job: Parameters<Orderer>[0],
  orders: number,
): Promise<number[]> {
  const order = await orderer(job);
  const samples: number[] = [];
  for (let i = 0; i < orders + WARM_ORDERS; i++) {
    const sentMs = Date.now();
    const id = await order();
    const tookMs = (await startedMs(market, id)) - sentMs;
    await endOf(market, id);
    if (i >= WARM_ORDERS) samples.push(Math.max(0, tookMs));
  }
  return samples;
}
