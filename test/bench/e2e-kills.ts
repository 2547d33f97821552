/**
 * A market killed (SIGKILL) at any moment of an order of many tasks: how soon it serves again, whether a
 * task is lost, whether one is paid twice by what the chain itself says.
 */
import { setTimeout as sleep } from 'node:timers/promises';
import { ordersEvents, readEvent, unitsOf, withoutUnits } from '#contracts';
import type { SeededRandomness } from '#libs/kernel';
import { decodeReceipt } from '#libs/ledger';
import { createNodeClient } from '#libs/sdk';
import type { LocalMachine } from '../support/local-machine.ts';
import { checkMoney } from '../support/money.ts';
import { createArrayOrderer } from './e2e-array.ts';

const TASKS = 3_000;
/** An array of so many takes some hundreds of milliseconds. */
const LATEST_MS = 500;
const LIMIT_MS = 90_000;
const POLL_MS = 20;

export interface KillReport {
  readonly marketKillsTried: number;
  /** From the first kill until the market answers; later ones wait for the supervisor's back-off. */
  readonly marketRestartMs: number | null;
  /** Tasks that were not done. */
  readonly lost: number;
  /** Tasks that the chain paid more than once, and orders paid beyond their cap. */
  readonly paidTwice: number;
  /** Orders and balances that do not add up. */
  readonly unbalanced: number;
}

async function servesAgain(machine: LocalMachine, fromMs: number): Promise<number> {
  for (;;) {
    const isServing = await machine.market.status().then(
      () => true,
      () => false,
    );
    if (isServing) return performance.now() - fromMs;
    if (performance.now() - fromMs > LIMIT_MS) throw new Error('the market does not come back');
    await sleep(POLL_MS);
  }
}

/** The agents have found the market again. */
async function agentsAreBack(machine: LocalMachine): Promise<void> {
  for (
    const fromMs = performance.now();
    performance.now() - fromMs < LIMIT_MS;
    await sleep(POLL_MS)
  ) {
    const providers = await machine.market.providers().catch(() => []);
    if (providers.length > 0 && providers.every(({ online }) => online)) return;
  }
  throw new Error('the providers do not come back');
}

async function doneOf(machine: LocalMachine, id: string): Promise<number> {
  let done = 0;
  for (const fromMs = performance.now(); performance.now() - fromMs < LIMIT_MS; await sleep(100)) {
    const view = await machine.market.order(id).catch(() => undefined);
    done = view?.array?.done ?? done;
    if (view?.status === 'settled' || view?.status === 'cancelled') break;
  }
  return done;
}

/** Every task of these orders that more than one settlement paid. */
async function tasksPaidTwice(machine: LocalMachine, orders: ReadonlySet<string>): Promise<number> {
  const node = createNodeClient(machine.urls.node);
  const { height: head } = await node.status();
  const paid = new Set<string>();
  let twice = 0;
  const stop = new AbortController();
  for await (const { height, receipts } of node.blocks(1, stop.signal)) {
    for (const event of receipts.flatMap((bytes) => decodeReceipt(bytes).events)) {
      const settled = readEvent(ordersEvents.unitsSettled, event);
      if (!settled || !orders.has(settled.order)) continue;
      for (const unit of unitsOf(withoutUnits(settled.units, settled.withheld ?? []))) {
        const key = `${settled.order}/${unit}`;
        if (paid.has(key)) twice++;
        paid.add(key);
      }
    }
    if (height >= head) stop.abort();
  }
  return twice;
}

export async function killMarkets(
  machine: LocalMachine,
  kills: number,
  randomness: SeededRandomness,
): Promise<KillReport> {
  const order = await createArrayOrderer(machine, TASKS);
  const ids: string[] = [];
  let marketRestartMs: number | null = null;
  let lost = 0;
  for (let i = 0; i < kills; i++) {
    await agentsAreBack(machine);
    const id = await order();
    ids.push(id);
    await sleep(randomness.below(LATEST_MS));
    const pid = machine.processes().find(({ name }) => name === 'market')?.pid;
    if (pid === undefined) throw new Error('there is no market to kill');
    process.kill(pid, 'SIGKILL');
    const tookMs = await servesAgain(machine, performance.now());
    marketRestartMs ??= Math.round(tookMs);
    lost += TASKS - (await doneOf(machine, id));
  }
  const money = await checkMoney(machine, ids);
  const twice = await tasksPaidTwice(machine, new Set(ids));
  return {
    ...{ marketKillsTried: kills, marketRestartMs, lost },
    ...{ paidTwice: twice + money.paidTwice, unbalanced: money.unbalanced },
  };
}
