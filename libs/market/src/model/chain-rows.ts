/** Calls on their way to the chain, and the operator's log that they anchor. */
import {
  disputedClaim,
  signedBatchDelivery,
  signedDelivery,
  signedOrder,
  unitAnswer,
  unitSet,
  withheldUnits,
} from '#contracts';
import { logPosition } from '#libs/audit';
import {
  bool,
  byteString,
  type CodecValue,
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
import { logFrontier } from '#libs/merkle';

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
  /** The same of one task of a batch. */
  convictUnits: record({
    order: hash32,
    fence: uint(),
    odd: unitAnswer,
    others: list(unitAnswer, 2),
  }),
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
