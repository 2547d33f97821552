/**
 * Units of work: an order of N tasks with up to R replicas of each has N × R units, numbered replica by
 * replica (`unit = replica × tasks + task`), so that a run of neighbouring tasks is one range.
 */
import {
  type Bytes,
  type CodecValue,
  concatBytes,
  invariant,
  list,
  record,
  uint,
} from '#libs/kernel';
import { logLeafHash, logRootOf } from '#libs/merkle';
import { EXIT_CLASSES, type ExitClass, type Usage } from './documents.ts';

export const TASKS_MAX = 10_000;
export const REPLICAS_MAX = 16;
/** Units that one batch may hold: a batch is one call of the chain, one lease, one slot. */
export const BATCH_UNITS_MAX = 200;

export const unitRange = record({
  from: uint(TASKS_MAX * REPLICAS_MAX),
  count: uint(BATCH_UNITS_MAX),
});
/** Ascending ranges that neither touch nor overlap; see `unitSetProblem`. */
export const unitSet = list(unitRange, BATCH_UNITS_MAX);
export type UnitSet = CodecValue<typeof unitSet>;

/** How many units it holds. */
export function countUnits(units: UnitSet): number {
  let sum = 0;
  for (const { count } of units) sum += count;
  return sum;
}

/** What is wrong with a set of units of an order with so many of them; undefined when nothing is. */
export function unitSetProblem(units: UnitSet, total: number): string | undefined {
  if (units.length === 0) return 'no units';
  let end = -1;
  for (const { from, count } of units) {
    if (count === 0) return `an empty range at ${from}`;
    if (from <= end) return `range at ${from} does not follow on ${end} with a gap`;
    end = from + count;
  }
  if (end > total) return `unit ${end - 1} where there are ${total}`;
  const size = countUnits(units);
  return size > BATCH_UNITS_MAX
    ? `${size} units where a batch holds ${BATCH_UNITS_MAX}`
    : undefined;
}

/** Every unit, ascending. */
export function unitsOf(units: readonly { from: number; count: number }[]): number[] {
  const all: number[] = [];
  for (const { from, count } of units) for (let i = 0; i < count; i++) all.push(from + i);
  return all;
}

/** The set of these units, in whatever order they are given; each once. */
export function unitSetOf(units: Iterable<number>): UnitSet {
  const sorted = [...units].sort((a, b) => a - b);
  const ranges: { from: number; count: number }[] = [];
  for (const unit of sorted) {
    const last = ranges.at(-1);
    if (last && unit === last.from + last.count) last.count += 1;
    else if (!last || unit > last.from + last.count) ranges.push({ from: unit, count: 1 });
  }
  return ranges;
}

/** The units of `all` that are not in `some`. */
export function withoutUnits(all: UnitSet, some: UnitSet): UnitSet {
  if (some.length === 0) return all;
  const gone = new Set(unitsOf(some));
  return unitSetOf(unitsOf(all).filter((unit) => !gone.has(unit)));
}

/** True when every unit of `some` is in `all`. */
export function coversUnits(all: UnitSet, some: UnitSet): boolean {
  let at = 0;
  for (const { from, count } of some) {
    for (let range = all[at]; range && range.from + range.count <= from; range = all[at]) at += 1;
    const range = all[at];
    if (!range || from < range.from || from + count > range.from + range.count) return false;
  }
  return true;
}

export const taskOfUnit = (unit: number, tasks: number): number => unit % tasks;
export const replicaOfUnit = (unit: number, tasks: number): number => Math.floor(unit / tasks);

/** What a provider states of one unit. Packed, because a batch has hundreds and an order ten thousand. */
export interface UnitResult {
  readonly unit: number;
  readonly exit: ExitClass;
  readonly charge: bigint;
  readonly usage: Usage;
  /** Binary CID (version 1, SHA-256) of the output, 36 bytes; absent unless `exit` is `ok`. */
  readonly output?: Bytes;
}

/**
 * unit u32 · exit u8 · charge u64 · cpuMs u32 · wallMs u32 · peakMemoryBytes u48 · inputBytes u48 ·
 * outputBytes u48 · output 36 bytes (zeros: none) — big-endian, 75 bytes.
 */
export const UNIT_LEAF_BYTES = 75;
const OUTPUT_AT = 39;
const CID_BYTES = 36;
const U48_MAX = 2 ** 48 - 1;

function putU48(view: DataView, at: number, value: number): void {
  view.setUint16(at, Math.floor(value / 2 ** 32));
  view.setUint32(at + 2, value % 2 ** 32);
}

const readU48 = (view: DataView, at: number): number =>
  view.getUint16(at) * 2 ** 32 + view.getUint32(at + 2);

const clampU48 = (value: number): number => Math.min(U48_MAX, value);
const clampU32 = (value: number): number => Math.min(0xffff_ffff, value);

export function encodeUnitLeaf(result: UnitResult): Bytes {
  const bytes = new Uint8Array(UNIT_LEAF_BYTES);
  const view = new DataView(bytes.buffer);
  const { usage } = result;
  view.setUint32(0, result.unit);
  view.setUint8(4, EXIT_CLASSES.indexOf(result.exit));
  view.setBigUint64(5, result.charge);
  view.setUint32(13, clampU32(usage.cpuMs));
  view.setUint32(17, clampU32(usage.wallMs));
  putU48(view, 21, clampU48(usage.peakMemoryBytes));
  putU48(view, 27, clampU48(usage.inputBytes));
  putU48(view, 33, clampU48(usage.outputBytes));
  if (result.output) {
    invariant(result.output.length === CID_BYTES, 'the CID of an output has 36 bytes');
    bytes.set(result.output, OUTPUT_AT);
  }
  return bytes;
}

/** Undefined when the bytes are no leaf. */
export function decodeUnitLeaf(bytes: Bytes): UnitResult | undefined {
  if (bytes.length !== UNIT_LEAF_BYTES) return undefined;
  const view = new DataView(bytes.buffer, bytes.byteOffset, bytes.byteLength);
  const exit = EXIT_CLASSES[view.getUint8(4)];
  if (exit === undefined) return undefined;
  const output = bytes.slice(OUTPUT_AT);
  const hasOutput = output.some((byte) => byte !== 0);
  if (hasOutput !== (exit === 'ok')) return undefined;
  return {
    unit: view.getUint32(0),
    exit,
    charge: view.getBigUint64(5),
    usage: {
      cpuMs: view.getUint32(13),
      wallMs: view.getUint32(17),
      peakMemoryBytes: readU48(view, 21),
      inputBytes: readU48(view, 27),
      outputBytes: readU48(view, 33),
    },
    ...(hasOutput && { output }),
  };
}

/** The leaves of a batch as one run of bytes. */
export const joinUnitLeaves = (leaves: readonly Bytes[]): Bytes => concatBytes(...leaves);

export function splitUnitLeaves(leaves: Bytes): Bytes[] | undefined {
  if (leaves.length % UNIT_LEAF_BYTES !== 0) return undefined;
  const found: Bytes[] = [];
  for (let at = 0; at < leaves.length; at += UNIT_LEAF_BYTES)
    found.push(leaves.subarray(at, at + UNIT_LEAF_BYTES));
  return found;
}

/** RFC 9162 leaf hashes: `verifyInclusion` shows that one unit is in a batch. */
export const unitLeafHashes = (leaves: readonly Bytes[]): string[] =>
  leaves.map((leaf) => logLeafHash(leaf));

/** RFC 9162 root over the leaves in unit order: what a batch's delivery signs. */
export const unitsRoot = (leaves: readonly Bytes[]): string => logRootOf(leaves);
