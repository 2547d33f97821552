/**
 * What the market keeps. State is split into rows so that one database transaction makes an event
 * durable; every row is canonical CBOR with a version, and reading the rows back gives the state.
 *
 * Tables: `order` (one per order, rewritten at each step), `batch` (the jobs' signed log entries,
 * append-only), `units` and `leaves` (one each per batch of an order of many tasks), `leaf` and `checkpoint` (the operator's
 * log and its signed roots), `provider`, `transaction` (calls on their way to the chain, deleted when it
 * answered), `meta` (one row), `learned` (what runs have taught: times, slowdowns, how quotes ended).
 */
import { trustRecord } from '../verification/trust.ts';
import { eventBatch, logPosition } from '#libs/audit';
import { logFrontier } from '#libs/merkle';
import {
  ORDER_STATES,
  REPLICAS_MAX,
  TASKS_MAX,
  disputedClaim,
  signedBatchDelivery,
  signedDelivery,
  signedOrder,
  unitSet,
  withheldUnits,
} from '#contracts';
import {
  bool,
  type Bytes,
  type Codec,
  type CodecValue,
  byteString,
  cid,
  decodeWith,
  encodeWith,
  hash32,
  list,
  oneOf,
  optional,
  record,
  text,
  u64,
  uint,
  variant,
} from '#libs/kernel';
import { savePointRef } from '../agent/entries.ts';
import { providerOffer } from '../agent-protocol.ts';
import { isolationLevel, jobKind, jobLimits, tier } from '../manifest.ts';
import { forecast, inputRef, learnedRow, placementTerms } from '../placement/terms.ts';

export const ROW_VERSION = 1;

/** What an order asks of a machine: the part of its manifest that binding and pricing need. */
export const jobNeeds = record({
  name: text(200),
  code: cid,
  /** `js` where nothing is said. */
  kind: optional(jobKind),
  limits: jobLimits,
  minIsolation: isolationLevel,
  tier,
  cores: uint(1024),
  memoryBytes: uint(),
  diskBytes: uint(),
  inputBytes: uint(),
  /** What it reads, for whoever holds it already; absent in older rows. */
  inputs: optional(list(inputRef, 64)),
  placement: optional(placementTerms),
  /** Its manifest names a validator program. */
  hasValidator: optional(bool),
  /** Of an order of many tasks. */
  tasks: optional(uint(TASKS_MAX)),
  /** How the replicas of its tasks decide; absent without replicas. */
  replicas: optional(record({ most: uint(REPLICAS_MAX), isAdaptive: bool })),
});
export type JobNeeds = CodecValue<typeof jobNeeds>;

/**
 * Where the work stands: `queued` (wants a provider), `leased` (a provider has it), `checking` (a
 * delivery came, its result is being looked at), `done` (delivery accepted, never to be repeated),
 * `failed` (given up), `cancelled` (by the consumer), `rejected` (the chain would not take it). An order
 * of many tasks is `running` while units are to be done, or `paused` while its consumer's money covers no
 * more of them; then `done` or `failed`. An order that reads results of others is `blocked` until they
 * are there.
 */
export const WORK_STATES = [
  'queued',
  'leased',
  'checking',
  'done',
  'failed',
  'cancelled',
  'rejected',
  'running',
  'paused',
  'blocked',
] as const;
export const workState = oneOf(...WORK_STATES);
export type WorkState = CodecValue<typeof workState>;

/** Something is still to be done, or waited for. */
export const UNFINISHED: ReadonlySet<WorkState> = new Set<WorkState>([
  'queued',
  'leased',
  'checking',
  'running',
  'paused',
  'blocked',
]);

/**
 * More grants than any order has. An order taken over from the chain goes on so far above its last known
 * fence, so that no lease anybody may still hold is ever current again.
 */
export const FENCE_STEP = 1_000_000;

/** A grant of one order to one provider; the fence rises with every grant of the same order. */
export const lease = record({
  lease: hash32,
  provider: hash32,
  fence: uint(),
  price: u64,
  /** The offer's prices when it was granted: what the bill is checked against. */
  pricePerCoreSecond: u64,
  pricePerGibSecond: u64,
  state: oneOf('offered', 'working'),
  grantedAtUs: uint(),
});
export type Lease = CodecValue<typeof lease>;

/** What final blocks said about an order, newest first to overwrite. */
export const chainView = record({
  /** `none` until a block placed it. */
  state: oneOf('none', ...ORDER_STATES),
  /** Height of the block that last moved it, and of the one that placed it. */
  height: uint(),
  placedHeight: uint(),
  /** Fence of the binding the chain has; 0 while unbound. */
  fence: uint(),
  /** `deliveryHash` of the delivery that the chain has under that fence. */
  delivery: optional(hash32),
  paid: u64,
  refunded: u64,
});
export type ChainView = CodecValue<typeof chainView>;

export const reason = record({ code: text(64), text: text(500) });
export type Reason = CodecValue<typeof reason>;

/** A log entry the market owes while a provider holds the baton. */
export const owedEntry = record({ kind: text(40), timeUs: uint(), data: byteString(64 * 1024) });
export type OwedEntry = CodecValue<typeof owedEntry>;

/** Units that a batch lost, to be handed out again, in ever smaller batches so that a poison unit ends up alone. */
export const unitGroup = record({
  units: list(record({ from: uint(), count: uint() }), 10_000),
  /** Batches that failed them by a provider's fault. */
  faults: uint(),
  /** Providers that failed them, to be tried last. */
  tried: list(hash32, 64),
  /** Different providers whose slots one of them ended. */
  poisoned: list(hash32, 64),
});
export type UnitGroup = CodecValue<typeof unitGroup>;

/** Where an order of many tasks stands; what its batches hold stands in their own rows. */
export const arrayProgress = record({
  tasks: uint(TASKS_MAX),
  replicas: uint(REPLICAS_MAX),
  unitPrice: u64,
  /** Units from here to `tasks` were never handed out; those of further replicas only by groups. */
  next: uint(),
  again: list(unitGroup, 4096),
  /** Units whose delivery counts, and units given up. */
  done: uint(),
  failed: uint(),
  /** Of those done, how many did not end as `ok`. */
  notOk: uint(),
  /** Sum of what accepted deliveries charge. */
  charged: u64,
  /** Units given up, and why the last of them was. */
  given: list(record({ from: uint(), count: uint() }), 10_000),
  /** Two that agree decide, and who is trusted works alone; else a majority of `replicas`. */
  isAdaptive: optional(bool),
  /** With replicas: units that nobody will do any more; `done`, `failed` and `given` then count tasks. */
  dropped: optional(list(record({ from: uint(), count: uint() }), 10_000)),
  /** Fences of batches that the chain has not settled or released, rising. */
  open: list(uint(), 4096),
  /** Document over all batches' results, once it is stored. */
  result: optional(cid),
});
export type ArrayProgress = CodecValue<typeof arrayProgress>;

/**
 * A batch of units in one provider's hands: `offered`, `working`, `checking` (its last delivery came, the
 * document with the results is being looked at), `judging` (other replicas are awaited), `delivered` (counts), `lost` (nothing of it counts).
 */
export const unitsRow = record({
  version: uint(),
  order: hash32,
  fence: uint(),
  lease: hash32,
  provider: hash32,
  units: unitSet,
  unitPrice: u64,
  pricePerCoreSecond: u64,
  pricePerGibSecond: u64,
  state: oneOf('offered', 'working', 'checking', 'judging', 'delivered', 'lost'),
  grantedAtUs: uint(),
  /** How often these units were lost before, and by whom; see `UnitGroup`. */
  faults: uint(),
  tried: list(hash32, 64),
  poisoned: list(hash32, 64),
  /** The newest delivery, of some or all of the units; its leaves are in a row of their own. */
  delivery: optional(signedBatchDelivery),
  /** With replicas or a validator: leaves of the delivery, until the order ends. */
  leaves: optional(byteString(64 * 1024)),
  /** Of an adaptive order: units in which its provider is taken at its word, unless it is found wrong. */
  alone: optional(unitSet),
  /** A validator has looked at all of it; what it rejected is among what is withheld. */
  isValidated: optional(bool),
  rejected: optional(unitSet),
  /** What of the delivery is not to be paid. */
  withheld: optional(withheldUnits),
  /** What final blocks said of it. */
  chain: oneOf('none', 'bound', 'delivered', 'settled', 'released'),
  /** `batchDeliveryHash` of what the chain has. */
  chainDelivery: optional(hash32),
  /** What that delivery is about. */
  chainUnits: optional(withheldUnits),
  /** Height of the block that bound it. */
  boundHeight: optional(uint()),
  paid: optional(u64),
  /** The units that were paid for. */
  paidUnits: optional(unitSet),
});
export type UnitsRow = CodecValue<typeof unitsRow>;

/** Leaves of the newest delivery of a batch, in unit order (`encodeUnitLeaf`). */
export const leavesRow = record({
  version: uint(),
  order: hash32,
  fence: uint(),
  leaves: byteString(64 * 1024),
});

/** An input that another order makes, and what it came to. */
export const orderSource = record({
  name: text(100),
  order: hash32,
  /** Of an order of many tasks: the output of this one; without it all, as one list. */
  task: optional(uint()),
  /** True when each task reads the output of the task of its own number. */
  isEach: optional(bool),
  /** What it results in, once it is there; of many tasks the document over all of them. */
  result: optional(cid),
  /** What the job reads. */
  cid: optional(cid),
  sizeBytes: optional(uint()),
});
export type OrderSource = CodecValue<typeof orderSource>;

/**
 * `due` until the market has run the job again; `right`, `wrong`, or `undone` when it cannot be. A wrong one
 * is disputed on the chain with the claim found, once: `isOpened`.
 */
export const replayState = record({
  state: oneOf('due', 'right', 'wrong', 'undone'),
  claim: optional(disputedClaim),
  isOpened: optional(bool),
});
export type ReplayState = CodecValue<typeof replayState>;

/**
 * `due` until other operators have done it again; `right`, `wrong` (somebody is alone with its result: `odd`
 * is the order in which), or `undone`. `orders` are the market's own, at most two.
 */
export const auditState = record({
  state: oneOf('due', 'right', 'wrong', 'undone'),
  orders: list(hash32, 2),
  odd: optional(hash32),
  isOpened: optional(bool),
});
export type AuditState = CodecValue<typeof auditState>;

export const orderRow = record({
  version: uint(),
  id: hash32,
  signed: signedOrder,
  needs: jobNeeds,
  acceptedAtUs: uint(),
  work: workState,
  reason: optional(reason),
  /** Grants so far that ended by a provider's fault. */
  faults: uint(),
  /** Highest fence ever granted. */
  fence: uint(),
  /** Raised by every binding message, so that late duplicates are recognised. */
  binding: uint(),
  /** Providers whose grants ended badly, to be tried last. */
  tried: list(hash32, 64),
  /** Different providers whose slots it ended. */
  poisoned: optional(list(hash32, 64)),
  lease: optional(lease),
  /** What was foreseen, and promised by a quote, when it was taken on. */
  forecast: optional(forecast),
  /** How often its slot was taken for other work. */
  preempted: optional(uint()),
  /** What the guest saved last, under any lease so far. */
  savePoint: optional(savePointRef),
  delivery: optional(signedDelivery),
  log: logPosition,
  owed: list(owedEntry, 64),
  /** Log length last entered into the operator's log, and the index of that leaf. */
  checkpointed: uint(),
  leaf: optional(uint()),
  chain: chainView,
  /** True from the first attempt to place it: from then on only the chain can say it is not placed. */
  sentToChain: oneOf('yes', 'no'),
  /** Set when nothing can happen to it any more. */
  endedAtUs: optional(uint()),
  /** Taken over from the chain after the rows were lost, its manifest not yet read. */
  rebuilding: optional(bool),
  /** What happened before that stands in no log any more, so there is no receipt of it. */
  logLost: optional(bool),
  /** Of many tasks; then `lease` and `delivery` are never set. */
  array: optional(arrayProgress),
  /** Inputs that are results of other orders; it is not handed out before all are there. */
  sources: optional(list(orderSource, 65)),
  /** When the last of them was there. */
  readyAtUs: optional(uint()),
  /** Orders on the longest way of inputs that leads to it; absent without any. */
  depth: optional(uint()),
  /** Size of the accepted result, as storage has it. */
  resultBytes: optional(uint()),
  /** Its result is run again, or was: what came of that. */
  replay: optional(replayState),
  /** Its last lease began from a save point of another. */
  isResumed: optional(bool),
  /** Other operators do it again, or did. */
  audit: optional(auditState),
  /** An order of the market itself: it does this one again, by none of those to `avoid`. */
  auditOf: optional(hash32),
  avoid: optional(list(hash32, 2)),
  /** Paid into the market's prepaid balance when it is placed. */
  topUp: optional(u64),
});
export type OrderRow = CodecValue<typeof orderRow>;

export const providerRow = record({
  version: uint(),
  provider: hash32,
  publicKey: text(66),
  offer: providerOffer,
  lastSeenUs: uint(),
  completed: uint(),
  faults: uint(),
  /** What comparisons of its results came to; absent before the first. */
  trust: optional(trustRecord),
});
export type ProviderRow = CodecValue<typeof providerRow>;

/** What the market asks of the chain; turned into contract calls by `bodyOf`. */
export const marketCall = variant({
  /** With `topUp` that much is paid into its consumer's prepaid balance first: audits only. */
  place: record({ order: signedOrder, topUp: optional(u64) }),
  bind: record({ order: hash32, provider: hash32, price: u64, fence: uint() }),
  deliver: record({ delivery: signedDelivery }),
  settle: record({ order: hash32, fence: uint() }),
  reject: record({ order: hash32, fence: uint(), reason: text(64) }),
  cancel: record({ order: hash32 }),
  refund: record({ order: hash32 }),
  anchor: record({ size: uint(), root: hash32 }),
  bindUnits: record({
    order: hash32,
    provider: hash32,
    unitPrice: u64,
    fence: uint(),
    units: unitSet,
  }),
  /** Hands the delivery in and settles it, both or neither; only the latter when the chain has it. */
  payUnits: record({
    delivery: signedBatchDelivery,
    isDelivered: bool,
    withheld: optional(withheldUnits),
  }),
  /** A delivery that somebody relayed and that does not count. */
  refuseUnits: record({ order: hash32, fence: uint(), withheld: withheldUnits, reason: text(64) }),
  releaseUnits: record({ order: hash32, fence: uint() }),
  /** Opens a dispute about an order's delivery. */
  dispute: record({ order: hash32, claim: disputedClaim }),
  /** Two others came to the same, and the provider of this one to something else. */
  convict: record({ order: hash32, others: list(hash32, 2) }),
  /** The market's part in a dispute; arguments as contract `disputes` takes them. */
  move: record({ key: text(160), method: oneOf('show', 'timeout'), args: byteString(64 * 1024) }),
});
export type MarketCall = CodecValue<typeof marketCall>;

/** A call on its way to the chain. The body is rebuilt from it bit by bit, so a retry is a no-op. */
export const transactionRow = record({
  version: uint(),
  /** Idempotency key: one key is executed at most once with effect. */
  key: text(120),
  order: optional(hash32),
  call: marketCall,
  nonce: uint(),
  validUntilUs: uint(),
  id: hash32,
});
export type TransactionRow = CodecValue<typeof transactionRow>;

/** One leaf of the operator's log. */
export const leafRow = record({
  version: uint(),
  index: uint(),
  job: hash32,
  log: logPosition,
});
export type LeafRow = CodecValue<typeof leafRow>;

/** A root of the operator's log that the chain has. */
export const checkpointRow = record({
  version: uint(),
  size: uint(),
  root: hash32,
  transaction: hash32,
  height: uint(),
});
export type CheckpointRow = CodecValue<typeof checkpointRow>;

export const metaRow = record({
  version: uint(),
  /** Last block taken in. */
  height: uint(),
  chainTimeUs: uint(),
  /** The operator's log, and how many of its leaves the newest anchored root covers. */
  operatorLog: logFrontier,
  anchoredLeaves: uint(),
  /** Rows were lost: up to this height orders are taken over from the chain. */
  rebuildTo: optional(uint()),
  /** Leaves at the beginning of the operator's log that stand for one that was lost. */
  lostLeaves: optional(uint()),
});
export type MetaRow = CodecValue<typeof metaRow>;

export const ROW_CODECS = {
  order: orderRow,
  batch: eventBatch,
  leaf: leafRow,
  checkpoint: checkpointRow,
  provider: providerRow,
  transaction: transactionRow,
  units: unitsRow,
  leaves: leavesRow,
  meta: metaRow,
  learned: learnedRow,
} as const;

export type Table = keyof typeof ROW_CODECS;
export type RowOf<T extends Table> = CodecValue<(typeof ROW_CODECS)[T]>;

/** A stored row as the database has it. */
export interface StoredRow {
  readonly table: Table;
  readonly id: string;
  readonly bytes: Bytes;
}

export function encodeRow<T extends Table>(table: T, row: RowOf<T>): Bytes {
  return encodeWith(ROW_CODECS[table] as unknown as Codec<RowOf<T>>, row);
}

/** @throws KERNEL_CBOR_INVALID, KERNEL_CBOR_LIMIT, KERNEL_SHAPE */
export function decodeRow<T extends Table>(table: T, bytes: Bytes): RowOf<T> {
  return decodeWith(ROW_CODECS[table] as unknown as Codec<RowOf<T>>, bytes, {
    maxBytes: 32 * 1024 * 1024,
  });
}

/** Row id of a log batch: sorts by job, then by position. */
export const batchId = (job: string, firstSeq: number): string =>
  `${job}/${String(firstSeq).padStart(10, '0')}`;

/** Row id of a batch of units: sorts by order, then by fence. */
export const unitsId = (order: string, fence: number): string =>
  `${order}/${String(fence).padStart(10, '0')}`;

/** Row id of a numbered row (leaf, checkpoint): sorts by number. */
export const numberId = (n: number): string => String(n).padStart(12, '0');

/** Row id of the one `meta` row. */
export const META_ID = 'market';
