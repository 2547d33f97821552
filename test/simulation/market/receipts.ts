/** I7: whatever ended on the chain has a receipt that verifies offline. */
import { AUDIT_CONTRACT, ORDERS_CONTRACT, anchor, auditKeys, ordersKeys } from '#contracts';
import {
  buildReceipt,
  eventBatch,
  leafEntryHash,
  proveCheckpoints,
  verifyReceipt,
} from '#libs/audit';
import type { SignatureVerifier } from '#libs/crypto';
import { type Bytes, decodeWith } from '#libs/kernel';
import type { Chain, Genesis } from '#libs/ledger';
import { type LeafRow, type OrderRow, type StoredRow, decodeRow } from '#libs/market';
import { LogTree } from '#libs/merkle';
import type { World } from './world.ts';

interface ReceiptChecks {
  readonly world: World;
  readonly rows: ReadonlyMap<string, StoredRow>;
  readonly verify: SignatureVerifier;
  readonly market: string;
  readonly chain: Chain;
  readonly genesis: Genesis;
  readonly manifestBytes: (cid: string) => Bytes | undefined;
}

/** Receipts checked per world: each costs as much as dozens of events. */
const RECEIPTS = 3;
const ANCHORS_MAX = 10_000;

export function checkReceipts(checks: ReceiptChecks): void {
  const { world, rows, chain, market } = checks;
  const leaves = rowsOf(rows, 'leaf/').map((row) => decodeRow('leaf', row.bytes));
  const tree = new LogTree();
  for (const { job, log } of leaves) tree.appendLeafHash(leafEntryHash({ job, log }));
  const found = chain.scan(AUDIT_CONTRACT, auditKeys.anchorsOf(market), { limit: ANCHORS_MAX });
  const sizes = found.map(([, bytes]) => decodeWith(anchor, bytes).size);
  const ended = rowsOf(rows, 'order/')
    .map((row) => decodeRow('order', row.bytes))
    .filter((row) => row.chain.state !== 'none' && !row.array);
  const first = world.random.below(Math.max(1, ended.length));
  for (let i = 0; i < Math.min(RECEIPTS, ended.length); i++)
    checkReceipt(checks, ended[(first + i) % ended.length] as OrderRow, leaves, tree, sizes);
}

function rowsOf(rows: ReadonlyMap<string, StoredRow>, prefix: string): StoredRow[] {
  const keys = [...rows.keys()].filter((key) => key.startsWith(prefix)).sort();
  return keys.map((key) => rows.get(key) as StoredRow);
}

function checkReceipt(
  { world, rows, verify, market, chain, genesis, manifestBytes }: ReceiptChecks,
  row: OrderRow,
  leaves: readonly LeafRow[],
  tree: LogTree,
  anchoredSizes: readonly number[],
): void {
  const mine = leaves.filter(({ job }) => job === row.id);
  const { checkpoints, sizes, consistency } = proveCheckpoints(tree, mine, anchoredSizes);
  const receipt = buildReceipt({
    genesis,
    order: row.signed,
    manifest: manifestBytes(row.signed.order.manifest) ?? new Uint8Array(),
    batches: rowsOf(rows, `batch/${row.id}/`).map(({ bytes }) => decodeWith(eventBatch, bytes)),
    checkpoints,
    anchors: sizes.map((size) => chain.prove(AUDIT_CONTRACT, auditKeys.anchor(market, size))),
    consistency,
    orderProof: chain.prove(ORDERS_CONTRACT, ordersKeys.order(row.id)),
    ...(row.delivery && { delivery: row.delivery }),
  });
  const verdict = verifyReceipt(receipt, { trust: chain.id, verify });
  world.count(verdict.ok ? 'receipt verified' : 'receipt refused');
  const wrong = verdict.checks
    .filter(({ ok }) => !ok)
    .map(({ name, words }) => `${name}: ${words}`);
  world.check(
    verdict.ok,
    'I7',
    () => `receipt of ${row.id} (${row.work}/${row.chain.state}): ${wrong.join('; ')}`,
  );
}
