/**
 * For tests that break a machine while orders run: keeps orders under way, waits until everything serves
 * again, and tells what became of every order, its money and its receipt.
 */
import { writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { setTimeout as sleep } from 'node:timers/promises';
import { ENDED, type MarketClient, type OrderDocument } from '#libs/sdk';
import type { LocalMachine } from './local-machine.ts';
import { type MoneyReport, checkMoney } from './money.ts';

const READY_LIMIT_MS = 60_000;
const END_LIMIT_MS = 120_000;
const LOOK_MS = 40;

/** A disk that is full keeps a run state from being written: what it says may have died since. */
function lives(pid: number | undefined): boolean {
  try {
    return pid !== undefined && process.kill(pid, 0);
  } catch {
    return false;
  }
}

/** Waits until every process of the machine serves. */
export async function allReady(machine: Pick<LocalMachine, 'processes'>): Promise<void> {
  const deadline = performance.now() + READY_LIMIT_MS;
  for (;;) {
    const waiting = machine
      .processes()
      .filter(({ state, pid }) => state !== 'ready' || !lives(pid));
    if (waiting.length === 0) return;
    if (performance.now() > deadline)
      throw new Error(`not ready again: ${waiting.map(({ name }) => name).join(', ')}`);
    await sleep(25);
  }
}

export interface InFlight {
  /** Every order that the market took. */
  readonly taken: ReadonlySet<string>;
  stop(): Promise<void>;
}

/** Keeps `count` orders under way; `submit` gives the id of one that was taken, or nothing for now. */
export function keepInFlight(
  market: MarketClient,
  count: number,
  submit: (isOver: () => boolean) => Promise<string | undefined>,
): InFlight {
  const taken = new Set<string>();
  const open = new Set<string>();
  let stopped = false;
  const done = (async () => {
    while (!stopped) {
      for (const id of open)
        await market.order(id).then(
          ({ status }) => void (ENDED.has(status) && open.delete(id)),
          () => undefined,
        );
      while (open.size < count && !stopped) {
        const id = await submit(() => stopped);
        if (id === undefined) break;
        taken.add(id);
        open.add(id);
      }
      await sleep(LOOK_MS);
    }
  })();
  done.catch(() => undefined);
  return {
    taken,
    async stop() {
      stopped = true;
      await done;
    },
  };
}

async function endOf(market: MarketClient, id: string): Promise<OrderDocument | undefined> {
  const deadline = performance.now() + END_LIMIT_MS;
  for (;;) {
    const order = await market.order(id).catch(() => undefined);
    if (order && ENDED.has(order.status)) return order;
    if (performance.now() > deadline) return undefined;
    await sleep(50);
  }
}

/** Whether the order's receipt is to be had and verifies offline. */
export async function receiptVerifies(machine: LocalMachine, id: string): Promise<boolean> {
  const receipt = await machine.market.receipt(id, { timeoutMs: 30_000 }).catch(() => undefined);
  if (!receipt) return false;
  const file = join(machine.home, `${id}.seele`);
  writeFileSync(file, receipt);
  const args = ['audit', 'verify', file, '--offline', '--trust', machine.chain];
  return (await machine.seele(...args)).code === 0;
}

export interface FatesReport extends MoneyReport {
  readonly jobs: number;
  /** Orders that did not end, or that the market does not know though it took them. */
  readonly jobsLost: number;
  /** Ended without a result; the money came back. */
  readonly jobsGivenBack: number;
  readonly receiptsTried: number;
  readonly receiptsFailed: number;
}

function spread<T>(items: readonly T[], count: number): readonly T[] {
  if (items.length <= count) return items;
  return Array.from(
    { length: count },
    (_, i) => items[Math.floor((i * items.length) / count)] as T,
  );
}

/** Waits for the end of every order and looks at its money and, of so many, at the receipt. */
export async function tellFates(
  machine: LocalMachine,
  orders: Iterable<string>,
  note: (text: string) => void,
  receipts = Infinity,
): Promise<FatesReport> {
  const ids = [...orders];
  note(`${ids.length} orders; waiting for their ends`);
  const settled: string[] = [];
  let jobsLost = 0;
  for (const id of ids) {
    const order = await endOf(machine.market, id);
    if (!order) jobsLost++;
    if (order?.status === 'settled') settled.push(id);
    else note(`${id} ${order?.status ?? 'LOST'}: ${order?.reason?.text ?? ''}`);
  }
  const money = await checkMoney(machine, ids);
  const proved = spread(settled, receipts);
  let receiptsFailed = 0;
  for (const id of proved) if (!(await receiptVerifies(machine, id))) receiptsFailed++;
  return {
    ...{ jobs: ids.length, jobsLost, jobsGivenBack: ids.length - jobsLost - settled.length },
    ...money,
    ...{ receiptsTried: proved.length, receiptsFailed },
  };
}

/** Seconds since `startedMs`, to a tenth. */
export const secondsSince = (startedMs: number): number =>
  Number(((performance.now() - startedMs) / 1000).toFixed(1));

/** A line on stderr under the time of day. */
export const noteOnStderr = (text: string): void =>
  void process.stderr.write(`${new Date().toISOString().slice(14, 23)} ${text}\n`);
