/**
 * What a provider's agent and the market say to each other: canonical CBOR frames, one message each,
 * on one WebSocket. The agent proves its key by signing the market's challenge; after that the
 * connection speaks for that provider. Log batches and deliveries carry signatures of their own,
 * because they outlive the connection.
 */
import {
  bool,
  type Bytes,
  type CodecValue,
  byteString,
  cid,
  decodeWith,
  encodeWith,
  float,
  hash32,
  hexBytes,
  list,
  oneOf,
  optional,
  record,
  text,
  u64,
  uint,
  variant,
} from '#libs/kernel';
import { eventBatch, logPosition } from '#libs/audit';
import { publicKey, signedBatchDelivery, signedDelivery, unitSet } from '#contracts';
import { type JobKind, isolationLevel, jobKind } from './manifest.ts';
import { savePointRef } from './agent/entries.ts';
import { domainName, levelName } from './placement/terms.ts';

export const AGENT_HELLO_DOMAIN = 'seele/agent/1';
export const AGENT_FRAME_MAX_BYTES = 1024 * 1024;
export const AGENT_PROTOCOL_VERSION = 1;

/** Something that must fail inside a sandbox slot, tried there by the provider. */
const probeVerdict = record({ attempt: text(40), refused: bool, seen: text(120) });

/** What stands behind `isolation`: probed by the provider, signed with its offer, not attested. */
export const isolationProbe = record({
  /** `J` no compilers and no WebAssembly in slots, `M` metered engine only; nothing between. */
  flags: text(8),
  /** Lowest layer that does not hold, and what was seen. */
  failing: optional(record({ layer: text(40), evidence: text(300) })),
  verdicts: list(probeVerdict, 16),
  v8: text(40),
  /** SHA-256 over Node and the slot's code. */
  codeHash: hash32,
});
export type IsolationProbe = CodecValue<typeof isolationProbe>;

/** What a machine offers; also the signed descriptor whose CID stands in contract `resources`. */
export const providerOffer = record({
  provider: hash32,
  name: text(100),
  domain: domainName,
  level: levelName,
  /** Where the machine stands, as its owner says: lower-case letters, digits, dashes. */
  region: optional(text(40)),
  slots: uint(4096),
  cores: uint(4096),
  memoryBytes: uint(),
  diskBytes: uint(),
  architecture: text(20),
  kernel: text(200),
  node: text(40),
  /** Single-core score of the built-in benchmark, operations per second. */
  benchmarkScore: uint(),
  isolation: isolationLevel,
  probe: optional(isolationProbe),
  /** Kinds of job that run here, tried at start; `js` alone where nothing is said. */
  kinds: optional(list(jobKind, 3)),
  /** Price of one core-second in smallest units. */
  pricePerCoreSecond: u64,
  /** Price of one GiB-second of memory limit in smallest units. */
  pricePerGibSecond: u64,
});
export type ProviderOffer = CodecValue<typeof providerOffer>;

export const kindsOf = ({ kinds }: ProviderOffer): readonly JobKind[] => kinds ?? ['js'];

export const agentMessage = variant({
  /** Answer to `challenge`: signature over {nonce, market, offer} in AGENT_HELLO_DOMAIN. */
  hello: record({
    version: uint(),
    publicKey,
    nonce: hexBytes(32),
    offer: providerOffer,
    signature: byteString(96),
    /** Leases this agent still works on, so that a reconnect loses nothing. */
    leases: list(record({ lease: hash32, fence: uint() }), 4096),
    /** True while it only finishes what it has; absent means false. */
    draining: optional(bool),
  }),
  /** Free slots and the leases being worked on; extends each lease. */
  heartbeat: record({ freeSlots: uint(), leases: list(hash32, 4096), draining: optional(bool) }),
  /** The agent has the lease on disk and begins. */
  accept: record({ lease: hash32 }),
  /** The agent will not run it; the market binds it elsewhere. */
  decline: record({ lease: hash32, code: text(64), reason: text(500) }),
  /** Log entries made under the lease, in order; acknowledged when durable. */
  events: record({ lease: hash32, batch: eventBatch }),
  progress: record({ lease: hash32, share: float, note: text(200) }),
  /** Work done (well or not); acknowledged when durable; re-sent until then. */
  deliver: record({ lease: hash32, delivery: signedDelivery }),
  /**
   * Units of a batch that are done: all of them so far, so a later message replaces an earlier one.
   * `leaves` are theirs in unit order (`encodeUnitLeaf`). With `isLast` the agent holds no more of it;
   * units that it never names are bound again. Acknowledged when durable; the last one re-sent until then.
   */
  deliverUnits: record({
    lease: hash32,
    delivery: signedBatchDelivery,
    leaves: byteString(64 * 1024),
    isLast: bool,
  }),
});
export type AgentMessage = CodecValue<typeof agentMessage>;

/** Inputs that other orders made, as the job's log has them. */
export const madeInputs = list(record({ name: text(100), cid, sizeBytes: uint() }), 64);
export type MadeInputs = CodecValue<typeof madeInputs>;

export const marketMessage = variant({
  challenge: record({ version: uint(), nonce: hexBytes(32), market: hash32, chain: hash32 }),
  /** `timeUs`: the market's clock, by which the agent judges what is late and dates its entries. */
  welcome: record({ heartbeatMs: uint(), leaseMs: uint(), timeUs: optional(uint()) }),
  lease: record({
    lease: hash32,
    order: hash32,
    fence: uint(),
    manifest: cid,
    /** Price agreed for the whole task; the delivery may charge less, never more. */
    price: u64,
    /** Where the job's log stands; the agent continues it from here. */
    log: logPosition,
    completeByUs: uint(),
    /** What the guest saved under an earlier lease: the work goes on from there. */
    savePoint: optional(savePointRef),
    /** What the manifest's `from` came to. */
    inputs: optional(madeInputs),
  }),
  /** A batch of units of one order, for one slot: each unit in a fresh context. */
  leaseUnits: record({
    lease: hash32,
    order: hash32,
    fence: uint(),
    manifest: cid,
    units: unitSet,
    /** Most that one unit may be charged. */
    unitPrice: u64,
    completeByUs: uint(),
    inputs: optional(madeInputs),
    /** The list of the tasks' inputs, where another order makes them. */
    taskInputs: optional(cid),
  }),
  cancel: record({ lease: hash32, reason: text(500) }),
  /** Durable up to this log position. */
  eventsSaved: record({ lease: hash32, log: logPosition }),
  /** The delivery is durable (or superseded: `accepted` false with a reason); forget the lease. */
  delivered: record({ lease: hash32, accepted: oneOf('yes', 'no'), reason: optional(text(500)) }),
  /** So many units of the batch are durable; when `isLast` was, `delivered` follows instead. */
  unitsSaved: record({ lease: hash32, units: uint() }),
  refuse: record({ code: text(64), reason: text(500) }),
});
export type MarketMessage = CodecValue<typeof marketMessage>;

const limits = { maxBytes: AGENT_FRAME_MAX_BYTES, maxDepth: 12 };

export const encodeAgentMessage = (m: AgentMessage): Bytes => encodeWith(agentMessage, m);
export const encodeMarketMessage = (m: MarketMessage): Bytes => encodeWith(marketMessage, m);
/** @throws KERNEL_CBOR_INVALID, KERNEL_CBOR_LIMIT, KERNEL_SHAPE */
export const decodeAgentMessage = (b: Bytes): AgentMessage => decodeWith(agentMessage, b, limits);
/** @throws KERNEL_CBOR_INVALID, KERNEL_CBOR_LIMIT, KERNEL_SHAPE */
export const decodeMarketMessage = (b: Bytes): MarketMessage =>
  decodeWith(marketMessage, b, limits);
