/**
 * The documents that move an order: what a consumer signs, what a provider signs, and the record the
 * chain keeps. Everyone who touches an order (contract, market, provider, auditor) uses these shapes.
 */
import {
  type Bytes,
  type CodecValue,
  cid,
  encodeWith,
  hash32,
  hexBytes,
  byteString,
  oneOf,
  optional,
  record,
  u64,
  uint,
} from '#libs/kernel';
import { hashOf } from '#libs/crypto';

/** Signing domains: a signature made for one purpose is worthless for another. */
export const ORDER_DOMAIN = 'seele/order/1';
export const DELIVERY_DOMAIN = 'seele/delivery/1';

/** Tagged public key: key type byte (01 = ed25519) and key. */
export const publicKey = hexBytes(33);

/** Many tasks under one order (docs/contracts.md): each unit is bound, delivered and paid in a batch. */
export const arrayTerms = record({
  /** 1–10 000. */
  tasks: uint(10_000),
  /** At most so many units of each task may be bound; 1 unless the market repeats work to check it. */
  replicas: uint(16),
  /** Most that one unit may cost. */
  unitPrice: u64,
});
export type ArrayTerms = CodecValue<typeof arrayTerms>;

/** An offer to pay: "run this manifest; this market may bind and settle; at most this price". */
export const order = record({
  chain: hash32,
  consumer: hash32,
  market: hash32,
  /** Chosen by the consumer; makes the order id unique and resubmission idempotent. */
  salt: hexBytes(16),
  manifest: cid,
  priceCap: u64,
  /** The order may be placed until then (µs). */
  placeByUs: uint(),
  /** Undelivered by then, anyone may have it refunded (µs). */
  completeByUs: uint(),
  /** Absent: one task, held whole at placing. Present: money is held batch by batch. */
  array: optional(arrayTerms),
});
export type Order = CodecValue<typeof order>;

/** What the consumer signs, in ORDER_DOMAIN. */
export const orderBytes = (value: Order): Bytes => encodeWith(order, value);

/** Id of an order: hash of its canonical bytes in the signing domain. */
export const orderId = (value: Order): string => hashOf(ORDER_DOMAIN, orderBytes(value));

export const signedOrder = record({ order, publicKey, signature: byteString(96) });
export type SignedOrder = CodecValue<typeof signedOrder>;

/** How a task ended, from host facts only, never from what the guest said. */
export const EXIT_CLASSES = [
  'ok',
  'guest-error',
  'wall-limit',
  'cpu-limit',
  'memory-limit',
  'output-limit',
  'log-limit',
  'host-call-limit',
  'fuel-limit',
  'crash',
  'refused',
] as const;
export const exitClass = oneOf(...EXIT_CLASSES);
export type ExitClass = CodecValue<typeof exitClass>;

export const usage = record({
  cpuMs: uint(),
  wallMs: uint(),
  peakMemoryBytes: uint(),
  inputBytes: uint(),
  outputBytes: uint(),
});
export type Usage = CodecValue<typeof usage>;

/** What a run in the metered engine comes to: the same on every machine that has this engine. */
export const meteredRun = record({
  /** Version of the engine, `JOB_VM_VERSIONS` of libs/vm. */
  engine: hash32,
  fuel: u64,
  /** How many checkpoints were taken. */
  checkpoints: uint(4096),
  /** RFC 9162 root over them; they themselves stand in the job's log. */
  checkpointsRoot: hash32,
  /** Hash chain over the output as it was written, and its length: checked without the output. */
  outputChain: hash32,
  outputBytes: uint(),
});
export type MeteredRun = CodecValue<typeof meteredRun>;

/** What a provider states when its work is done, signed with the bound provider's key. */
export const delivery = record({
  chain: hash32,
  order: hash32,
  provider: hash32,
  /** Fencing token of the lease under which the work was done; an older one is refused. */
  fence: uint(),
  exit: exitClass,
  /** Output; absent unless `exit` is `ok`. */
  result: optional(cid),
  usage,
  /** For jobs of kind `wasm` and `verifiable`. */
  metered: optional(meteredRun),
  /** What the provider asks for, at most the bound price. */
  charge: u64,
  /** Length and head hash of the job's event log when the provider handed it back. */
  logLength: uint(),
  logHead: hash32,
});
export type Delivery = CodecValue<typeof delivery>;

/** What the provider signs, in DELIVERY_DOMAIN. */
export const deliveryBytes = (value: Delivery): Bytes => encodeWith(delivery, value);

export const signedDelivery = record({ delivery, publicKey, signature: byteString(96) });
export type SignedDelivery = CodecValue<typeof signedDelivery>;

export const ORDER_STATES = [
  'placed',
  'bound',
  'delivered',
  'settled',
  'refunded',
  'cancelled',
] as const;
export const orderState = oneOf(...ORDER_STATES);
export type OrderState = CodecValue<typeof orderState>;

/** What the chain sums up of an order's batches. */
export const arrayRecord = record({
  /** Batches that are bound or delivered. */
  open: uint(),
  /** Units that were paid. */
  settled: uint(),
  /** `settledHead` over everything that was paid, in that order; absent before the first. */
  head: optional(hash32),
});
export type ArrayRecord = CodecValue<typeof arrayRecord>;

/**
 * The chain's record of an order, at key `order/<id, 32 bytes>` of contract `orders`. Never deleted.
 * `provider`, `price` and `boundAtUs` stand from binding on; a rejected delivery takes them away again.
 */
export const orderRecord = record({
  order,
  state: orderState,
  /** Still held for this order; zero once it ended. escrow + paid + refunded = priceCap,
   * except that an order of many tasks is held batch by batch: there escrow + paid ≤ priceCap. */
  escrow: u64,
  paid: u64,
  refunded: u64,
  placedAtUs: uint(),
  provider: optional(hash32),
  price: optional(u64),
  fence: uint(),
  boundAtUs: optional(uint()),
  delivery: optional(delivery),
  deliveredAtUs: optional(uint()),
  /** How many deliveries the market rejected. */
  rejections: uint(),
  endedAtUs: optional(uint()),
  /** Of an order of many tasks only. Its `fence` is the newest batch's. */
  array: optional(arrayRecord),
});
export type OrderRecord = CodecValue<typeof orderRecord>;
