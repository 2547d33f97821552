/** Watching an order until it ends: events as they come, then how it ended. */
import { ENDED, type JobEventDocument, type MarketClient, type OrderDocument } from '#libs/sdk';
import { cliError } from '../errors.ts';
import type { CommandContext } from './command.ts';
import { accountNames } from './connect.ts';
import { showEvent } from './job-view.ts';

export interface Followed {
  readonly order: OrderDocument;
  readonly events: readonly JobEventDocument[];
}

/** Events kept for the JSON document; a noisy job's oldest ones are dropped. */
const EVENTS_MAX = 10_000;

/** Shows every event but the `hidden` kinds. @throws CLI_TIMEOUT when it has not ended by then */
export async function followOrder(
  { output, signal, home }: CommandContext,
  market: MarketClient,
  id: string,
  timeoutMs: number,
  hidden: ReadonlySet<string> = new Set(),
): Promise<Followed> {
  const limit = AbortSignal.timeout(timeoutMs);
  const done = new AbortController();
  const events: JobEventDocument[] = [];
  const stop = AbortSignal.any([signal, limit, done.signal]);
  const first = await market.order(id);
  const startMs = Date.parse(first.acceptedAt);
  const names = accountNames(home);
  const watching = (async () => {
    for await (const event of market.events(id, { signal: stop })) {
      if (event.kind !== 'progress' && events.push(event) > EVENTS_MAX) events.shift();
      if (!hidden.has(event.kind)) showEvent(output, event, startMs, names);
    }
  })().catch((error: unknown) => {
    if (!stop.aborted) output.note(`events stopped: ${String(error)}`);
  });
  try {
    const remaining = AbortSignal.any([signal, limit]);
    const order = await market.waitForEnd(id, { timeoutMs, signal: remaining });
    if (signal.aborted && !ENDED.has(order.status))
      throw cliError(
        'CLI_INTERRUPTED',
        `stopped watching ${id}; it is ${order.status} and goes on`,
      );
    if (!ENDED.has(order.status))
      throw cliError('CLI_TIMEOUT', `stopped watching ${id}; it is ${order.status} and goes on`);
    // The last events are on their way when the order has ended.
    await Promise.race([watching, new Promise((resolve) => setTimeout(resolve, 500))]);
    return { order, events };
  } finally {
    done.abort();
    output.status('');
    await watching;
  }
}
