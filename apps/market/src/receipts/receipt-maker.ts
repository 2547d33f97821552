/**
 * Receipts: what the market stored of a job and what the chain proves of it, in one file. The
 * operator's log is rebuilt from its leaves when a receipt is first asked for, then kept up.
 */
import { AUDIT_CONTRACT, ORDERS_CONTRACT, auditKeys, ordersKeys } from '#contracts';
import { buildReceipt, buildTaskReceipt, leafEntryHash, proveCheckpoints } from '#libs/audit';
import type { Bytes } from '#libs/kernel';
import { LOST_LEAF, type Market, type OrderView, decodeRow } from '#libs/market';
import { type LogTree, createLogTree } from '#libs/merkle';
import type { BlobStore } from '#libs/storage';
import type { ChainNode } from '../chain/chain-node.ts';
import { marketAppError } from '../errors.ts';
import type { RowStore } from '../store/row-store.ts';
import { readPaidBatches } from './paid-batches.ts';

export interface ReceiptMakerParts {
  readonly market: Market;
  readonly rows: RowStore;
  readonly node: ChainNode;
  readonly blobs: BlobStore;
}

/** A tree nobody asked for in this time is let go; the next receipt reads it again. */
const TREE_IDLE_MS = 10 * 60_000;

/** Follows the stored leaves (64 bytes each), so that a second receipt reads only what is new. */
function createOperatorLogReader(rows: RowStore, market: Market): () => Promise<LogTree> {
  let tree = createLogTree();
  let reading: Promise<unknown> = Promise.resolve();
  let idle: NodeJS.Timeout | undefined;
  const readOn = async (): Promise<LogTree> => {
    const { lostLeaves = 0 } = market.meta;
    while (tree.size < lostLeaves) tree.appendLeafHash(LOST_LEAF);
    for (;;) {
      const page = await rows.readNumbered('leaf', tree.size);
      if (page.length === 0) return tree;
      for (const { bytes } of page) {
        const leaf = decodeRow('leaf', bytes);
        if (leaf.index !== tree.size) return tree;
        tree.appendLeafHash(leafEntryHash({ job: leaf.job, log: leaf.log }));
      }
    }
  };
  return () => {
    clearTimeout(idle);
    idle = setTimeout(() => (tree = createLogTree()), TREE_IDLE_MS).unref();
    const read = reading.catch(() => undefined).then(readOn);
    reading = read;
    return read;
  };
}

/** The job's leaves, and the anchored sizes of the operator's log that cover them first. */
async function anchoredLeaves(rows: RowStore, job: string) {
  const leaves = (await rows.readLeaves(job)).map(({ bytes }) => decodeRow('leaf', bytes));
  const covering = await rows.readCheckpointsOver(leaves.map(({ index }) => index));
  return { leaves, sizes: covering.map(({ bytes }) => decodeRow('checkpoint', bytes).size) };
}

async function allBatches(rows: RowStore, job: string) {
  const batches = [];
  for (let next = 0; ;) {
    const page = await rows.readLog(job, next);
    const fresh = page
      .map(({ bytes }) => decodeRow('batch', bytes))
      .filter(({ entries }) => (entries[0]?.seq ?? 0) >= next);
    if (fresh.length === 0) return batches;
    batches.push(...fresh);
    next = (fresh.at(-1)?.entries.at(-1)?.seq ?? 0) + 1;
  }
}

/** Makes receipts of orders that ended. */
export interface ReceiptMaker {
  whole(order: OrderView): Promise<Bytes>;
  /** The small one of one task. @throws MARKET_TASK_UNPAID */
  ofTask(order: OrderView, task: number): Promise<Bytes>;
}

export function createReceiptMaker(parts: ReceiptMakerParts): ReceiptMaker {
  const { market, rows, node, blobs } = parts;
  const operatorLog = createOperatorLogReader(rows, market);
  const operator = market.config.signer.account;

  /** What both kinds hold. */
  const documentsOf = async (id: string) => {
    const stored = await rows.readOne('order', id);
    if (stored === undefined)
      throw marketAppError('MARKET_NOT_READY', `order ${id} is not stored yet`);
    const { signed: order } = decodeRow('order', stored);
    const [genesis, manifest, batches, orderProof] = await Promise.all([
      node.genesis(),
      blobs.getBlock(order.order.manifest),
      allBatches(rows, id),
      node.prove(ORDERS_CONTRACT, ordersKeys.order(id)),
    ]);
    return { genesis, order, manifest, batches, orderProof };
  };

  const anchorsOf = async ({ id, log }: OrderView) => {
    const { leaves, sizes } = await anchoredLeaves(rows, id);
    // After the leaves were read, so that it holds all of them.
    const tree = await operatorLog();
    const covering = sizes.filter((size) => size <= tree.size);
    const { checkpoints, consistency, ...proofs } = proveCheckpoints(tree, leaves, covering);
    const covered = checkpoints.at(-1)?.log.length ?? 0;
    if (covered < log.length)
      throw marketAppError('MARKET_NOT_READY', `the log of order ${id} is not anchored to its end`);
    const anchors = [];
    for (const size of proofs.sizes)
      anchors.push(await node.prove(AUDIT_CONTRACT, auditKeys.anchor(operator, size)));
    return { checkpoints, consistency, anchors };
  };

  return {
    whole: async (view) => {
      const { id, delivery, array } = view;
      const documents = await documentsOf(id);
      const { batches, orderProof } = documents;
      return buildReceipt({
        ...documents,
        ...(await anchorsOf(view)),
        ...(delivery && { delivery }),
        ...(array && { units: [...(await readPaidBatches(rows, id, batches, orderProof))] }),
      });
    },
    ofTask: async ({ id }, task) => {
      const { batches: log, ...documents } = await documentsOf(id);
      const batches = await readPaidBatches(rows, id, log, documents.orderProof);
      const receipt = buildTaskReceipt({ ...documents, batches }, task);
      if (receipt === undefined)
        throw marketAppError('MARKET_TASK_UNPAID', `nothing was paid for task ${task} of ${id}`);
      return receipt;
    },
  };
}
