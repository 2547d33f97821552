/** One order: what was asked, where its work and its money stand, and what is checked about it. */
import { ORDER_STATES, REPLICAS_MAX, TASKS_MAX, signedDelivery, signedOrder } from '#contracts';
import { logPosition } from '#libs/audit';
import {
  bool,
  byteString,
  cid,
  type CodecValue,
  hash32,
  list,
  oneOf,
  optional,
  record,
  text,
  u64,
  uint,
} from '#libs/kernel';
import { savePointRef } from '../agent/entries.ts';
import { isolationLevel, jobKind, jobLimits, tier } from '../manifest.ts';
import { forecast, inputRef, placementTerms } from '../placement/terms.ts';
import { arrayProgress } from './array-rows.ts';
import { auditState, batchAudit, replayState } from './check-states.ts';

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

/** Batches of one order that are audited; of more none is drawn. */
export const AUDITED_BATCHES_MAX = 1024;

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
  /** Of many tasks: the same of some of its batches. */
  audits: optional(list(batchAudit, AUDITED_BATCHES_MAX)),
  /** An order of the market itself: it does this one (or tasks of this batch of it) again, by none of those to `avoid`. */
  auditOf: optional(hash32),
  auditFence: optional(uint()),
  avoid: optional(list(hash32, 2)),
  /** Paid into the market's prepaid balance when it is placed. */
  topUp: optional(u64),
});
export type OrderRow = CodecValue<typeof orderRow>;
