/** Orders of many tasks: where they stand, and their batches. */
import { REPLICAS_MAX, TASKS_MAX, signedBatchDelivery, unitSet, withheldUnits } from '#contracts';
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
  u64,
  uint,
} from '#libs/kernel';

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
