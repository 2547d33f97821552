/**
 * The kinds of log entries that only the market writes, and their fields. Any other kind is the
 * provider's to choose; the auditor checks who wrote it and in which order, not what it says.
 */
import { exitClass, unitSet } from '#contracts';
import { bool, cid, float, hash32, list, optional, record, text, u64, uint } from '#libs/kernel';

const why = record({ code: text(64), reason: text(500) });
const batch = { provider: hash32, fence: uint() };

/** Parts of the objective for one provider: the smallest total wins. */
const score = record({
  ...{ provider: hash32, cost: float, time: float, risk: float, packing: float, total: float },
});

/** What a provider was chosen from. Logs written before there were cells have the first four only. */
const choiceInputs = record({
  considered: uint(),
  candidates: uint(),
  left: list(record({ code: text(20), providers: uint() }), 24),
  because: text(300),
  cell: optional(text(40)),
  /** Cells there were, how many were entered before no other could win, machines looked at there. */
  cells: optional(uint()),
  visited: optional(uint()),
  looked: optional(uint()),
  winner: optional(score),
  /** Second among those looked at. */
  runnerUp: optional(score),
  /** Foreseen run time with its interval. */
  prediction: optional(
    record({ ...{ expectedMs: uint(), lowMs: uint(), highMs: uint() }, isCalibrated: bool }),
  ),
  /** Dominant share of the account, and how many accounts and orders waited. */
  tenant: optional(record({ share: float, accounts: uint(), waiting: uint() })),
});

export const MARKET_ENTRIES = {
  /** The order was valid and covered; the market will see it through. */
  accepted: record({ consumer: hash32, manifest: cid, priceCap: u64, completeByUs: uint() }),
  /** The market lost its records and goes on from the chain's: this state, at this height. */
  rebuilt: record({ height: uint(), state: text(20), fence: uint() }),
  /** Final block in which the chain took the price cap into escrow. */
  placed: record({ height: uint() }),
  /** A provider has the job, and with it the log, under this fence. */
  leased: record({
    ...{ lease: hash32, provider: hash32, fence: uint(), price: u64 },
    /** What the choice was made from. */
    inputs: optional(choiceInputs),
  }),
  /** An input that another order makes is there: that order's result, and what the job reads of it. */
  input: record({
    ...{ name: text(100), order: hash32, task: optional(uint()) },
    ...{ result: cid, cid, sizeBytes: uint() },
  }),
  bound: record({ height: uint(), provider: hash32, fence: uint() }),
  /** The grant ended without an accepted delivery; the fence is dead. */
  lost: record({ provider: hash32, fence: uint(), code: text(64), reason: text(500) }),
  /** The delivery counts: durable, checked, never to be repeated. */
  delivered: record({
    provider: hash32,
    fence: uint(),
    exit: exitClass,
    result: optional(cid),
    charge: u64,
  }),
  /** The market gave up, or the consumer did; the money goes back. */
  failed: why,
  cancelled: why,
  rejected: why,
  /** How the order ended on the chain. */
  settled: record({
    ...{ height: uint(), provider: hash32, paid: u64, refunded: u64 },
    /** Chance with which that block's hash drew it to be done again; the draw follows from both. */
    checkPerMillion: optional(uint()),
  }),
  refunded: record({ height: uint(), refunded: u64, how: text(20) }),

  /** Of an order of many tasks: these units are with a provider, under this fence. */
  'units-leased': record({ ...batch, lease: hash32, units: unitSet, unitPrice: u64 }),
  /** These units count: durable, checked, never to be repeated. `root` is over their leaves. */
  'units-delivered': record({
    ...batch,
    ...{ units: unitSet, root: hash32, charge: u64 },
    results: optional(cid),
  }),
  /** Units that a batch did not deliver, or that do not count; they are bound again or given up. */
  'units-lost': record({ ...batch, units: unitSet, code: text(64), reason: text(500) }),
  'units-given-up': record({ units: unitSet, code: text(64), reason: text(500) }),
  'units-settled': record({
    ...batch,
    ...{ height: uint(), paid: u64, refunded: u64, checkPerMillion: optional(uint()) },
  }),
  /** How results are checked and what came of it, in words; of single units where they are named. */
  checked: record({
    ...{ code: text(64), reason: text(500) },
    ...{ provider: optional(hash32), units: optional(unitSet) },
  }),
  /** The consumer's money covers no more units; `resumed` when it does again. */
  paused: record({ code: text(64), reason: text(500) }),
  resumed: record({}),
} as const;

export type MarketEntryKind = keyof typeof MARKET_ENTRIES;

/** Only the market may state these; a provider's batch with one of them is refused. */
export const isMarketKind = (kind: string): kind is MarketEntryKind =>
  Object.hasOwn(MARKET_ENTRIES, kind);
