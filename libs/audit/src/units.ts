/**
 * What a receipt holds of an order of many tasks: every batch that was paid, in the order in which the
 * chain paid them, so that the hash chain in the order's record (`settledHead`) can be followed; and the
 * small receipt of one task, which names the other payments by their hashes' contents only.
 */
import {
  BATCH_UNITS_MAX,
  REPLICAS_MAX,
  TASKS_MAX,
  UNIT_LEAF_BYTES,
  batchDeliveryHash,
  settledBatch,
  type SettledBatch,
  signedBatchDelivery,
  signedOrder,
  splitUnitLeaves,
  unitLeafHashes,
  unitSet,
  unitsOf,
} from '#contracts';
import {
  type Bytes,
  type CodecValue,
  byteString,
  encodeWith,
  list,
  oneOf,
  record,
  u64,
  uint,
} from '#libs/kernel';
import { genesis, stateProof } from '#libs/ledger';
import { LogTree, logProof } from '#libs/merkle';
import { readCanonical } from './receipt-bytes.ts';

/** Batches of an order: even if each held one unit. */
const PAID_BATCHES_MAX = TASKS_MAX * 2;
const MANIFEST_MAX_BYTES = 256 * 1024;

/** A batch that the chain paid: what its provider signed of it, and a leaf for each of its units. */
export const paidBatch = record({
  delivery: signedBatchDelivery,
  /** Those of the delivery that were paid; the rest was withheld. */
  paidUnits: unitSet,
  paid: u64,
  /** Of all units of the delivery, in their order (`encodeUnitLeaf`). */
  leaves: byteString(BATCH_UNITS_MAX * UNIT_LEAF_BYTES),
});
export type PaidBatch = CodecValue<typeof paidBatch>;

/** In the order in which the chain paid them. */
export const paidBatches = list(paidBatch, PAID_BATCHES_MAX);

/** The payment as the hash chain of the order's record has it. */
export const settledOf = ({
  delivery: { delivery },
  paidUnits,
  paid,
}: PaidBatch): SettledBatch => ({
  fence: delivery.fence,
  provider: delivery.provider,
  units: paidUnits,
  delivery: batchDeliveryHash(delivery),
  paid,
});

const TASK_MAGIC = 'seele-task-receipt';
const TASK_VERSION = 1;
/** Most bytes of a receipt of one task: the other payments of its order are most of it. */
export const TASK_RECEIPT_MAX_BYTES = 8 * 2 ** 20;

/** That one task, in one replica, was done and paid. */
const paidUnit = record({
  /** Which of `settled` paid it. */
  settled: uint(PAID_BATCHES_MAX),
  delivery: signedBatchDelivery,
  leaf: byteString(UNIT_LEAF_BYTES),
  /** Of the leaf among those of its delivery (RFC 9162 2.1.3). */
  index: uint(BATCH_UNITS_MAX),
  proof: logProof,
});

export const taskReceiptFile = record({
  magic: oneOf(TASK_MAGIC),
  version: uint(TASK_VERSION),
  genesis,
  order: signedOrder,
  manifest: byteString(MANIFEST_MAX_BYTES),
  /** Contract `orders`' record of the order after its end. */
  orderProof: stateProof,
  task: uint(TASKS_MAX),
  /** Every payment of the order, as its record's hash chain has them. */
  settled: list(settledBatch, PAID_BATCHES_MAX),
  units: list(paidUnit, REPLICAS_MAX),
});
export type TaskReceiptFile = CodecValue<typeof taskReceiptFile>;

export type TaskReceiptParts = Pick<
  TaskReceiptFile,
  'genesis' | 'order' | 'manifest' | 'orderProof'
> & { readonly batches: readonly PaidBatch[] };

/**
 * The small receipt of one task out of the parts of the whole one.
 *
 * @returns undefined when nothing of that task was paid
 */
export function buildTaskReceipt(parts: TaskReceiptParts, task: number): Bytes | undefined {
  const { batches, ...rest } = parts;
  const { tasks = 0 } = parts.order.order.array ?? {};
  const found = batches.flatMap((batch, settled) =>
    unitsOf(batch.paidUnits)
      .filter((unit) => unit % tasks === task)
      .map((unit) => ({ batch, unit, settled })),
  );
  const units = found
    .toSorted((a, b) => a.unit - b.unit)
    .map(({ batch, unit, settled }) => provenUnit(batch, unit, settled));
  if (units.length === 0) return undefined;
  return encodeWith(taskReceiptFile, {
    ...{ magic: TASK_MAGIC, version: TASK_VERSION, ...rest, task },
    settled: batches.map(settledOf),
    units,
  });
}

function provenUnit({ delivery, leaves }: PaidBatch, unit: number, settled: number) {
  const all = splitUnitLeaves(leaves) ?? [];
  const index = unitsOf(delivery.delivery.units).indexOf(unit);
  const tree = new LogTree();
  for (const hash of unitLeafHashes(all)) tree.appendLeafHash(hash);
  const leaf = all[index] ?? new Uint8Array();
  return { settled, delivery, leaf, index, proof: tree.inclusionProof(index, all.length) };
}

/** `magic` is the first key of a canonical receipt of either kind. */
export function isTaskReceipt(bytes: Bytes): boolean {
  const head = bytes.subarray(0, 64);
  return String.fromCharCode(...head).includes(TASK_MAGIC);
}

/** Reads a task's receipt without judging it. @throws AUDIT_RECEIPT_MALFORMED */
export function readTaskReceipt(bytes: Bytes): TaskReceiptFile {
  const limits = { version: TASK_VERSION, maxBytes: TASK_RECEIPT_MAX_BYTES };
  return readCanonical(taskReceiptFile, bytes, limits);
}
