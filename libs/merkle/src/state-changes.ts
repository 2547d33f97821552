/** Changes of a state tree's entries, as one commit takes them: in key order, each key once. */
import { type ByteText, textBitAt } from './byte-text.ts';

export interface Change {
  readonly key: ByteText;
  /** Leading 48 bits, which decide almost every comparison. */
  readonly rank: number;
  readonly valueHash: ByteText | null;
}

function rankOf(key: ByteText): number {
  let rank = 0;
  for (let i = 0; i < 6; i++) rank = rank * 256 + key.charCodeAt(i);
  return rank;
}

export function compareText(a: ByteText, b: ByteText): number {
  if (a === b) return 0;
  return a < b ? -1 : 1;
}

const byKey = (a: Change, b: Change): number => a.rank - b.rank || compareText(a.key, b.key);

export function changeOf(key: ByteText, valueHash: ByteText | null): Change {
  return { key, rank: rankOf(key), valueHash };
}

/** The changes in key order, the last one of each key. Sorts the list it is given. */
export function inKeyOrder(changes: Change[]): Change[] {
  const sorted = changes.sort(byKey);
  return sorted.filter((change, i) => {
    const next = sorted[i + 1];
    return next?.rank !== change.rank || next.key !== change.key;
  });
}

/** Where, in [from, to), the keys turn from bit 0 to bit 1 at `depth`; all share the bits before. */
export function splitAt(
  changes: readonly Change[],
  from: number,
  to: number,
  depth: number,
): number {
  let low = from;
  let high = to;
  while (low < high) {
    const middle = (low + high) >> 1;
    if (textBitAt((changes[middle] as Change).key, depth) === 0) low = middle + 1;
    else high = middle;
  }
  return low;
}
