/** For tests: orders of many tasks, and agents that deliver some of a batch's units. */
import {
  BATCH_DELIVERY_DOMAIN,
  type ExitClass,
  type UnitSet,
  batchDeliveryBytes,
  batchDeliveryHash,
  encodeUnitLeaf,
  joinUnitLeaves,
  unitSetOf,
  unitsOf,
  unitsRoot,
} from '#contracts';
import type { AgentMessage, MarketMessage } from '../agent-protocol.ts';
import type { Manifest } from '../manifest.ts';
import type { MarketEffect } from '../model/effects.ts';
import type { UnitsFact } from '../model/events.ts';
import { UNFINISHED } from '../model/rows.ts';
import { chargeFor } from '../pricing.ts';
import {
  CHAIN,
  type Driver,
  SOME_CID,
  blockHash,
  fact,
  manifestWith,
  offerOf,
  only,
  signerOf,
} from './driver.ts';

export type LeaseUnits = Extract<MarketMessage, { kind: 'leaseUnits' }>;

export const arrayManifest = (tasks: number, replicas = 1, check?: 'adaptive') =>
  manifestWith({ array: { tasks, replicas, ...(check && { check }) } });

/** Gives in an order of many tasks, and a block places it. @returns its id */
export function submitArray(
  driver: Driver,
  tasks: number,
  amount?: bigint,
  replicas?: number,
  check?: 'adaptive',
): string {
  const id = submitUnplaced(driver, tasks, amount, replicas, check);
  executeAll(driver);
  return id;
}

/** The same, before any block. */
export function submitUnplaced(
  driver: Driver,
  tasks: number,
  amount = 10_000_000_000n,
  replicas = 1,
  check?: 'adaptive',
  change: Partial<Manifest> = {},
): string {
  const manifest = { ...arrayManifest(tasks, replicas, check), ...change };
  const unitPrice = 20_000n;
  const array = { tasks, replicas, unitPrice };
  const order = driver.order(manifest, { array, priceCap: unitPrice * BigInt(tasks * replicas) });
  const reply = driver.submit(order, manifest, amount);
  if (reply.is !== 'order') throw new Error(JSON.stringify(reply));
  return reply.view.id;
}

export const leasesIn = (effects: readonly MarketEffect[]): readonly LeaseUnits[] =>
  only(effects, 'sendAgent').flatMap(({ message }) =>
    message.kind === 'leaseUnits' ? [message] : [],
  );

/** Binding messages arrive; gives the batches that were handed out. */
export function bindAll(driver: Driver, id: string, messages = 16): readonly LeaseUnits[] {
  return Array.from({ length: messages }, () =>
    leasesIn(driver.apply({ kind: 'bindingDue', request: 'q', order: id, binding: 1 })),
  ).flat();
}

export interface Told {
  readonly units?: readonly number[];
  readonly exit?: ExitClass;
  readonly isLast?: boolean;
  /** What it says the output of a unit is; equal for equal numbers, 0 unless told. */
  readonly saying?: (unit: number) => number;
}

/** What the agent says of a batch: all of its units, ended well, unless told otherwise. */
export function deliveryOf(
  name: string,
  lease: LeaseUnits,
  { units: some, exit = 'ok', isLast = true, saying = () => 0 }: Told = {},
): Extract<AgentMessage, { kind: 'deliverUnits' }> {
  const signer = signerOf(name);
  const used = { cpuMs: 10, wallMs: 10, peakMemoryBytes: 1, inputBytes: 0, outputBytes: 3 };
  const units: UnitSet = some ? unitSetOf(some) : lease.units;
  const isFree = exit === 'crash' || exit === 'refused';
  const one = isFree ? 0n : chargeFor(offerOf(name), manifestWith().limits, used, lease.unitPrice);
  const outputOf = (unit: number) =>
    Uint8Array.from({ length: 36 }, (_, i) => i + 1 + saying(unit));
  const leaves = unitsOf(units).map((unit) =>
    encodeUnitLeaf({
      unit,
      exit,
      charge: one,
      usage: used,
      ...(exit === 'ok' && { output: outputOf(unit) }),
    }),
  );
  const delivery = {
    ...{ chain: CHAIN, order: lease.order, provider: signer.account, fence: lease.fence },
    ...{ units, root: unitsRoot(leaves), charge: one * BigInt(leaves.length) },
    ...(exit === 'ok' && { results: SOME_CID }),
  };
  const signature = signer.sign(BATCH_DELIVERY_DOMAIN, batchDeliveryBytes(delivery));
  return {
    ...{ kind: 'deliverUnits', lease: lease.lease, isLast, leaves: joinUnitLeaves(leaves) },
    delivery: { delivery, publicKey: signer.publicKey, signature },
  };
}

/** The storage has what the market looks for. */
export function checkAll(
  driver: Driver,
  effects: readonly MarketEffect[],
): readonly MarketEffect[] {
  return [
    ...effects,
    ...only(effects, 'checkUnits').flatMap(({ lease, root }) =>
      driver.apply({ kind: 'unitsChecked', lease, root, outcome: 'good' }),
    ),
  ];
}

/** The agent accepts and delivers; gives everything that follows. */
export function deliver(
  driver: Driver,
  name: string,
  lease: LeaseUnits,
  told?: Told,
): readonly MarketEffect[] {
  driver.say(name, { kind: 'accept', lease: lease.lease });
  return checkAll(driver, driver.say(name, deliveryOf(name, lease, told)));
}

/** Results are stored, and a block executes every transaction under way, as the contract would. */
export function executeAll(driver: Driver): readonly MarketEffect[] {
  const { market } = driver;
  for (const { id, work, array } of market.orders.values())
    if (array && array.done > 0 && array.result === undefined && !UNFINISHED.has(work))
      driver.apply({ kind: 'resultStored', order: id, cid: SOME_CID });
  const units: UnitsFact[] = [];
  const orders: ReturnType<typeof fact>[] = [];
  const nothing = { paid: 0n, refunded: 0n };
  for (const { row } of market.transactions.values()) {
    const { call } = row;
    const id = row.order ?? '';
    if (call.kind === 'place') orders.push(fact(id, 'placed'));
    if (call.kind === 'bindUnits') {
      const { order, provider, fence } = call;
      units.push({ ...nothing, event: 'bound', order, provider, fence });
    }
    if (call.kind === 'payUnits') {
      const { order, provider, fence, charge } = call.delivery.delivery;
      const delivery = batchDeliveryHash(call.delivery.delivery);
      units.push({
        event: 'settled',
        order,
        provider,
        fence,
        paid: charge,
        refunded: 0n,
        delivery,
      });
    }
    if (call.kind === 'releaseUnits') {
      const { order, fence } = call;
      units.push({ ...nothing, event: 'released', order, provider: '00'.repeat(32), fence });
    }
    if (call.kind === 'cancel') {
      const { paid, refunded } = market.orders.get(id)?.chain ?? nothing;
      const provider = market.config.signer.account;
      const how = paid > 0n ? 'settled' : 'cancelled';
      orders.push(fact(id, how, 0, { paid, refunded, provider }));
    }
  }
  const own = [...market.transactions.values()].map(({ row: { id, nonce } }) => ({
    ...{ id, nonce, ok: true },
  }));
  const height = market.meta.height + 1;
  const hash = blockHash(height);
  return driver.apply({ kind: 'block', height, hash, timeUs: driver.nowUs, orders, own, units });
}
