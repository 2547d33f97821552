/** I11: nothing starts before what it reads was accepted, and it reads just that. */
import type { Bytes } from '#libs/kernel';
import {
  type Manifest,
  type MarketMessage,
  type OrderRow,
  type StoredRow,
  decodeManifest,
  decodeRow,
} from '#libs/market';
import type { World } from './world.ts';

type Rows = ReadonlyMap<string, StoredRow>;
export type LeaseMessage = Extract<MarketMessage, { kind: 'lease' | 'leaseUnits' }>;

interface GraphChecksOptions {
  readonly world: World;
  readonly rows: Rows;
  readonly manifestBytes: (cid: string) => Bytes | undefined;
}

const rowOf = (rows: Rows, id: string): OrderRow | undefined => {
  const stored = rows.get(`order/${id}`);
  return stored && decodeRow('order', stored.bytes);
};

const makersOf = ({ from = [], array }: Manifest) => [
  ...from,
  ...(array?.taskInput?.order === undefined
    ? []
    : [{ name: array.taskInput.name, order: array.taskInput.order }]),
];

/** The accepted result that is durable; also of one that the chain turned against later. */
function resultOf(maker: OrderRow | undefined): string | undefined {
  if (maker?.array) return maker.array.result;
  const isAccepted =
    maker?.work === 'done' || maker?.work === 'failed' || maker?.work === 'rejected';
  return isAccepted ? maker?.delivery?.delivery.result : undefined;
}

/** A lease leaves the market. */
export function checkLease(
  { world, rows, manifestBytes }: GraphChecksOptions,
  message: LeaseMessage,
): void {
  const bytes = manifestBytes(message.manifest);
  if (!bytes) return;
  // Stopped in the same commit: the lease is dead before it arrives.
  if (rowOf(rows, message.order)?.reason?.code === 'MARKET_INPUT_FAILED') return;
  const { inputs = [] } = message;
  const manifest = decodeManifest(bytes);
  const makers = makersOf(manifest);
  const named = inputs.map(({ name }) => name).join();
  const wanted = (manifest.from ?? []).map(({ name }) => name).join();
  const whose = `order ${message.order}`;
  world.check(named === wanted, 'I11', () => `${whose} reads ${wanted}, got ${named}`);
  for (const { name, order } of makers) {
    const maker = rowOf(rows, order);
    const result = resultOf(maker);
    world.check(
      result !== undefined,
      'I11',
      () => `${whose} starts while ${order}, which it reads, is ${maker?.work ?? 'gone'}`,
    );
    const given = inputs.find((input) => input.name === name)?.cid;
    const isWhole = maker?.array === undefined;
    world.check(
      !isWhole || given === result,
      'I11',
      () => `${whose} is given ${given}, ${order} results in ${result}`,
    );
    world.count('lease of an order that reads others');
  }
}

/** At the end every order of a graph has ended, and none that reads a failed one was done after it. */
export function checkGraphs({ world, rows }: Pick<GraphChecksOptions, 'world' | 'rows'>): void {
  for (const [key, stored] of rows) {
    if (!key.startsWith('order/')) continue;
    const row = decodeRow('order', stored.bytes);
    if (!row.sources) continue;
    world.count(`ended in a graph ${row.work}`);
    world.check(row.work !== 'blocked', 'I11', () => `order ${row.id} is blocked for ever`);
    if (row.work !== 'done') continue;
    for (const { order, result, cid } of row.sources) {
      const maker = rowOf(rows, order);
      const made = resultOf(maker);
      // Units of an array may be taken back after its readers were done.
      world.check(
        cid !== undefined && (result === made || maker?.array !== undefined),
        'I11',
        () => `order ${row.id} was done with ${result}, ${order} resulted in ${made}`,
      );
    }
  }
}
