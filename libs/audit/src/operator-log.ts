/**
 * The market operator's log: an RFC 9162 tree whose leaves say how far each job's log had come. Its
 * (size, root) is anchored on the chain while jobs run, so neither the operator nor a provider can
 * later cut off or rewrite what a job's log said by then.
 */
import { type CodecValue, encodeWith, hash32, record, uint } from '#libs/kernel';
import { type LogProof, type LogTree, logLeafHash, logProof } from '#libs/merkle';
import { type LogPosition, logPosition } from './event.ts';

/** What is hashed as a leaf of the operator's log. */
export const leafEntry = record({ job: hash32, log: logPosition });
export type LeafEntry = CodecValue<typeof leafEntry>;

/** RFC 9162 leaf hash of a job's position. */
export const leafEntryHash = (entry: LeafEntry): string =>
  logLeafHash(encodeWith(leafEntry, entry));

/** That the operator's log, at an anchored size, holds at `index` that the job's log stood at `log`. */
export const checkpoint = record({
  log: logPosition,
  index: uint(),
  size: uint(),
  proof: logProof,
});
export type Checkpoint = CodecValue<typeof checkpoint>;

export interface CheckpointProofs {
  /** Leaves of the job that an anchored size covers, in log order, the last one always. */
  readonly checkpoints: readonly Checkpoint[];
  /** The anchored sizes the checkpoints refer to, ascending: prove `audit` anchors of these. */
  readonly sizes: readonly number[];
  /** Between each anchored size and the next one: nothing that was anchored changed. */
  readonly consistency: readonly LogProof[];
}

/** Most checkpoints put into one receipt: entries are chained, so the last covers all before it. */
export const RECEIPT_CHECKPOINTS = 64;

/** At most `count` items, evenly spread, always with the last. */
function thinned<T>(items: readonly T[], count: number): readonly T[] {
  if (items.length <= count) return items;
  return Array.from(
    { length: count },
    (_, i) => items[Math.ceil(((i + 1) * items.length) / count) - 1] as T,
  );
}

/**
 * Proves a job's leaves at the first anchored size after each, at most `RECEIPT_CHECKPOINTS` of them.
 *
 * @throws MERKLE_RANGE when an anchored size is beyond the tree
 */
export function proveCheckpoints(
  tree: LogTree,
  leaves: readonly { readonly index: number; readonly log: LogPosition }[],
  anchoredSizes: readonly number[],
): CheckpointProofs {
  const anchored = anchoredSizes.toSorted((a, b) => a - b);
  const covered: Omit<Checkpoint, 'proof'>[] = [];
  let next = 0;
  for (const { index, log } of leaves.toSorted((a, b) => a.index - b.index)) {
    while (next < anchored.length && (anchored[next] as number) <= index) next++;
    const size = anchored[next];
    if (size !== undefined) covered.push({ log, index, size });
  }
  const checkpoints = thinned(covered, RECEIPT_CHECKPOINTS).map((leaf) => ({
    ...leaf,
    proof: tree.inclusionProof(leaf.index, leaf.size),
  }));
  const sizes = [...new Set(checkpoints.map(({ size }) => size))];
  const consistency = sizes
    .slice(1)
    .map((size, i) => tree.consistencyProof(sizes[i] as number, size));
  return { checkpoints, sizes, consistency };
}
