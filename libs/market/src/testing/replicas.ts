/** For tests: orders whose tasks several providers do, played to their end by providers that say what they like. */
import { decodeArrayResult } from '../arrays/array-result.ts';
import type { Trust } from '../verification/index.ts';
import { bindAll, deliver, leasesIn, submitArray } from './array-driver.ts';
import { Driver, only, signerOf } from './driver.ts';

export const NAMES = ['p1', 'p2', 'p3', 'p4', 'p5'];
export const TASKS = 40;

/** What a provider says of a task: 0 is the truth. */
export type Saying = (name: string, task: number) => number;

export function started(names = NAMES, replicas = 3, check?: 'adaptive') {
  const driver = new Driver();
  for (const name of names) driver.join(name, { slots: 1, cores: 16, memoryBytes: 2 ** 36 });
  const id = submitArray(driver, TASKS, undefined, replicas, check);
  return { driver, id };
}

export const orderOf = (driver: Driver, id: string) => {
  const row = driver.market.orders.get(id);
  if (!row?.array) throw new Error('no array');
  return { ...row.array, work: row.work, row };
};
export const batchesOf = (driver: Driver, id: string) => [
  ...(driver.market.batchesOf.get(id)?.values() ?? []),
];
export const rowOf = (driver: Driver, name: string) =>
  driver.market.providers.get(signerOf(name).account)?.row;

/** Everybody delivers what it is given until nothing is given any more; the result document, if any. */
export function play(driver: Driver, id: string, saying: Saying, restartAfter = -1) {
  const documents: Uint8Array[] = [];
  const queue = [...bindAll(driver, id)];
  for (let round = 0; round < 90; round++) {
    const lease = queue.shift();
    if (!lease) {
      if (orderOf(driver, id).work !== 'running') break;
      queue.push(...leasesIn(driver.wait(600)), ...bindAll(driver, id));
      for (const name of NAMES)
        if (driver.market.sessions.has(name))
          driver.say(name, { kind: 'heartbeat', freeSlots: 1, leases: [] });
      continue;
    }
    const { provider } = driver.market.batches.get(lease.lease) ?? {};
    const name = NAMES.find((one) => driver.market.sessions.get(one) === provider) as string;
    const told = (unit: number) => saying(name, unit % TASKS);
    const effects = deliver(driver, name, lease, { saying: told });
    documents.push(...only(effects, 'storeResult').map(({ bytes }) => bytes));
    queue.push(...leasesIn(effects), ...bindAll(driver, id, 2));
    if (round !== restartAfter) continue;
    driver.restart();
    driver.apply({ kind: 'nonceRead', nonce: 0, height: driver.market.meta.height });
    for (const one of NAMES) driver.join(one, { slots: 1, cores: 16, memoryBytes: 2 ** 36 });
    const account = orderOf(driver, id).row.signed.order.consumer;
    const { height } = driver.market.meta;
    driver.apply({ kind: 'balanceRead', account, balance: { amount: 10_000_000_000n, height } });
    queue.length = 0;
  }
  const [document] = documents;
  return document && decodeArrayResult(document);
}

export const honest: Saying = () => 0;

/** As if earlier orders had taught this. */
export function trusts(driver: Driver, name: string, trust: Trust): void {
  const provider = driver.market.providers.get(signerOf(name).account);
  if (!provider) throw new Error('no provider');
  provider.row = { ...provider.row, trust };
}

/** Whose a batch is. */
export const nameOf = (driver: Driver, lease: string): string => {
  const account = driver.market.batches.get(lease)?.provider;
  return NAMES.find((one) => signerOf(one).account === account) as string;
};
