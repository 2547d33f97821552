/**
 * A market killed (SIGKILL) at any moment of an order of many tasks: how soon it serves again, whether a
 * task is lost, whether one is paid twice. What counts is the chain's record, not the market's word.
 */
import { setTimeout as sleep } from 'node:timers/promises';
import type { SeededRandomness } from '#libs/kernel';
import type { MarketClient } from '#libs/sdk';
import type { LocalMachine } from '../support/local-machine.ts';
import { checkMoney } from '../support/money.ts';
import type { OwnMarket } from '../support/own-market.ts';
import { createArrayOrderer } from './e2e-array.ts';
import { paidUnits } from './e2e-paid.ts';
import { percentile } from './harness.ts';

const TASKS = 3_000;
/** An array of so many takes some hundreds of milliseconds. */
const LATEST_MS = 500;
/** The supervisor's first back-off. */
const RESTART_AFTER_MS = 200;
/** Without any task done, an order counts as lost. */
const STALL_MS = 60_000;
const POLL_MS = 100;

export interface KillReport {
  readonly marketKillsTried: number;
  /** From a kill until the market serves again, the back-off of the supervisor included; 95 of 100. */
  readonly marketRestartMs: number | null;
  /** Tasks that were never paid for. */
  readonly lost: number;
  /** Tasks that were paid more than once, and orders paid beyond their cap. */
  readonly paidTwice: number;
  /** Orders and balances that do not add up. */
  readonly unbalanced: number;
}

/** Until all of them ended, or nothing goes on any more. */
async function ended(market: MarketClient, ids: readonly string[]): Promise<void> {
  let lastMs = performance.now();
  let lastDone = -1;
  for (const open = new Set(ids); open.size > 0; await sleep(POLL_MS)) {
    let done = 0;
    for (const id of open) {
      const { status, array } = await market.order(id);
      done += array?.done ?? 0;
      if (status === 'settled' || status === 'cancelled') open.delete(id);
    }
    if (done + ids.length - open.size !== lastDone) lastMs = performance.now();
    lastDone = done + ids.length - open.size;
    if (performance.now() - lastMs > STALL_MS) return;
  }
}

export async function killMarkets(
  machine: LocalMachine,
  own: OwnMarket,
  kills: number,
  randomness: SeededRandomness,
): Promise<KillReport> {
  const order = await createArrayOrderer(own, TASKS);
  const ids: string[] = [];
  const tookMs: number[] = [];
  for (let i = 0; i < kills; i++) {
    await own.providersAreBack();
    ids.push(await order());
    await sleep(randomness.below(LATEST_MS));
    const fromMs = performance.now();
    await own.kill();
    await sleep(RESTART_AFTER_MS);
    await own.start();
    await own.market.status();
    tookMs.push(performance.now() - fromMs);
  }
  await ended(own.market, ids);
  const [money, paid] = await Promise.all([
    checkMoney(machine, ids),
    paidUnits(machine.urls.node, new Map(ids.map((id) => [id, TASKS]))),
  ]);
  return {
    marketKillsTried: kills,
    marketRestartMs: kills === 0 ? null : Math.round(percentile(tookMs, 0.95)),
    lost: paid.lost,
    paidTwice: paid.paidTwice + money.paidTwice,
    unbalanced: money.unbalanced,
  };
}
