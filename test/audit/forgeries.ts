/**
 * Ways to forge a receipt. Each takes honest parts and returns what a forger would hand in; a verifier
 * has to refuse them all. Forgers hold every key they could: a stranger's, and in some the provider's
 * or the market's own.
 */
import { DELIVERY_DOMAIN, ORDER_DOMAIN, deliveryBytes, orderBytes } from '#contracts';
import {
  type EventBatch,
  type EventEntry,
  LOG_BEGIN,
  type ReceiptParts,
  appendEntry,
  createLogWriter,
  signBatch,
} from '#libs/audit';
import type { Signer } from '#libs/crypto';
import { type Bytes, hexToBytes, utf8 } from '#libs/kernel';
import { type StateProof, headerHash } from '#libs/ledger';
import type { ReceiptWorld } from './receipt-world.ts';

export interface Forgery {
  readonly name: string;
  readonly parts: ReceiptParts;
}

type SignerOf = (batch: EventBatch, index: number) => Signer;

const entriesIn = (parts: ReceiptParts): EventEntry[] =>
  parts.batches.flatMap(({ entries }) => [...entries]);

/** Chains entries anew from the beginning and signs them in batches of the honest lengths. */
function resigned(
  parts: ReceiptParts,
  entries: readonly EventEntry[],
  signerOf: SignerOf,
): ReceiptParts {
  let position = LOG_BEGIN;
  const chained = entries.map((entry) => {
    const next = appendEntry(entry.job, position, entry);
    ({ position } = next);
    return next.entry;
  });
  const batches: EventBatch[] = [];
  let from = 0;
  for (const [index, batch] of parts.batches.entries()) {
    const part = chained.slice(from, from + batch.entries.length);
    from += batch.entries.length;
    if (part.length > 0) batches.push(signBatch(signerOf(batch, index), part));
  }
  return { ...parts, batches };
}

/** Signs a batch with the key of whoever signed it honestly, where the forger has it. */
const ownKeys =
  (...keys: readonly Signer[]): SignerOf =>
  ({ publicKey }) =>
    keys.find((key) => key.publicKey === publicKey) ?? (keys[0] as Signer);

const edited = (entry: EventEntry, at: number): EventEntry =>
  at % 2 === 0 ? { ...entry, timeUs: entry.timeUs + 1 } : { ...entry, data: utf8('forged') };

function* forgeEntries(world: ReceiptWorld, parts: ReceiptParts): Generator<Forgery> {
  const { market, provider, otherProvider, stranger } = world;
  const entries = entriesIn(parts);
  const collusion = ownKeys(market, provider, otherProvider);
  for (const [at, entry] of entries.entries()) {
    const changed = entries.with(at, edited(entry, at));
    const dropped = entries.toSpliced(at, 1);
    const inPlace = parts.batches.map((batch) => ({
      ...batch,
      entries: batch.entries.map((e) => (e === entry ? edited(entry, at) : e)),
    }));
    yield { name: `entry ${at} edited`, parts: { ...parts, batches: inPlace } };
    yield { name: `entry ${at} edited, stranger`, parts: resigned(parts, changed, () => stranger) };
    yield { name: `entry ${at} edited, provider`, parts: resigned(parts, changed, () => provider) };
    yield { name: `entry ${at} edited, market`, parts: resigned(parts, changed, () => market) };
    yield { name: `entry ${at} edited, all keys`, parts: resigned(parts, changed, collusion) };
    yield {
      name: `entry ${at} dropped, stranger`,
      parts: resigned(parts, dropped, () => stranger),
    };
    yield { name: `entry ${at} dropped, all keys`, parts: resigned(parts, dropped, collusion) };
    const next = entries[at + 1];
    if (!next) continue;
    const swapped = entries.with(at, next).with(at + 1, entry);
    yield { name: `entries ${at}, ${at + 1} swapped`, parts: resigned(parts, swapped, collusion) };
  }
}

function* forgeBatches(
  world: ReceiptWorld,
  parts: ReceiptParts,
  other: ReceiptParts,
): Generator<Forgery> {
  const { batches } = parts;
  for (const [at, batch] of batches.entries()) {
    yield { name: `batch ${at} dropped`, parts: { ...parts, batches: batches.toSpliced(at, 1) } };
    yield {
      name: `batch ${at} twice`,
      parts: { ...parts, batches: batches.toSpliced(at, 0, batch) },
    };
    const foreign = other.batches[at];
    if (foreign)
      yield {
        name: `batch ${at} of another job`,
        parts: { ...parts, batches: batches.with(at, foreign) },
      };
    const stolen = signBatch(world.stranger, batch.entries);
    yield {
      name: `batch ${at} signed by a stranger`,
      parts: { ...parts, batches: batches.with(at, stolen) },
    };
    const claimed = { ...stolen, publicKey: batch.publicKey };
    yield {
      name: `batch ${at} signed by a stranger under the honest key’s name`,
      parts: { ...parts, batches: batches.with(at, claimed) },
    };
    const after = batches[at + 1];
    if (after)
      yield {
        name: `batches ${at}, ${at + 1} swapped`,
        parts: { ...parts, batches: batches.with(at, after).with(at + 1, batch) },
      };
  }
  const ends = parts.checkpoints.slice(0, -1);
  yield {
    name: 'end cut off with its checkpoint and anchor',
    parts: {
      ...parts,
      batches: batches.slice(0, -1),
      checkpoints: ends,
      anchors: parts.anchors.slice(0, -1),
      consistency: parts.consistency.slice(0, -1),
    },
  };
  yield { name: 'log of another job', parts: { ...parts, batches: other.batches } };
  yield { name: 'no log', parts: { ...parts, batches: [] } };
  yield { name: 'a provider back after losing its lease', parts: lateProvider(world, parts) };
}

/** The provider whose lease was lost appends to the end of the log. */
function lateProvider(world: ReceiptWorld, parts: ReceiptParts): ReceiptParts {
  const entries = entriesIn(parts);
  const last = entries.at(-1) as EventEntry;
  const { position } = appendEntry(last.job, { length: last.seq, head: last.prev }, last);
  const writer = createLogWriter(last.job, position);
  writer.append({ kind: 'log', timeUs: last.timeUs, data: utf8('') });
  const batch = writer.sign(world.otherProvider) as EventBatch;
  return { ...parts, batches: [...parts.batches, batch] };
}

/** A header of the forger's own, certified with the forger's key. */
function recertified(proof: StateProof, forger: Signer): StateProof {
  const header = { ...proof.header, timeUs: proof.header.timeUs + 1 };
  const hash = hexToBytes(headerHash(header)) as Bytes;
  const signature = forger.sign('seele/certificate/1', hash);
  return { ...proof, header, certificate: { kind: 'solo', signature } };
}

function* forgeProofs(
  world: ReceiptWorld,
  parts: ReceiptParts,
  other: ReceiptParts,
): Generator<Forgery> {
  const { anchors, checkpoints, consistency, orderProof } = parts;
  const [first, second] = anchors as readonly [StateProof, StateProof];
  const swappedAnchors = [second, first, ...anchors.slice(2)];
  yield { name: 'record of another order', parts: { ...parts, orderProof: other.orderProof } };
  yield { name: 'an anchor for the record', parts: { ...parts, orderProof: first } };
  yield { name: 'anchors swapped', parts: { ...parts, anchors: swappedAnchors } };
  yield { name: 'anchor missing', parts: { ...parts, anchors: anchors.slice(1) } };
  yield { name: 'consistency missing', parts: { ...parts, consistency: [] } };
  yield {
    name: 'consistency empty',
    parts: { ...parts, consistency: consistency.map(() => []) },
  };
  yield {
    name: 'value changed under its proof',
    parts: { ...parts, orderProof: { ...orderProof, ...(first.value && { value: first.value }) } },
  };
  yield {
    name: 'checkpoints missing',
    parts: { ...parts, checkpoints: [], anchors: [], consistency: [] },
  };
  yield { name: 'checkpoints of another job', parts: { ...parts, checkpoints: other.checkpoints } };
  yield {
    name: 'checkpoints reversed',
    parts: { ...parts, checkpoints: checkpoints.toReversed() },
  };
  const forged = recertified(orderProof, world.stranger);
  yield { name: 'block certified by a stranger', parts: { ...parts, orderProof: forged } };
  const ordering = { kind: 'solo', sequencer: world.stranger.publicKey } as const;
  yield {
    name: 'chain of a stranger',
    parts: { ...parts, genesis: { ...parts.genesis, ordering }, orderProof: forged },
  };
}

function* forgeDocuments(
  world: ReceiptWorld,
  parts: ReceiptParts,
  other: ReceiptParts,
): Generator<Forgery> {
  const { stranger, consumer, provider } = world;
  const { order } = parts.order;
  const richer = { ...order, priceCap: order.priceCap + 1n };
  for (const [who, signer] of Object.entries({ stranger, consumer }))
    yield {
      name: `order changed, signed by ${who}`,
      parts: {
        ...parts,
        order: {
          order: richer,
          publicKey: signer.publicKey,
          signature: signer.sign(ORDER_DOMAIN, orderBytes(richer)),
        },
      },
    };
  yield { name: 'another order', parts: { ...parts, order: other.order } };
  yield { name: 'another manifest', parts: { ...parts, manifest: utf8('another') } };
  const { delivery: _, ...undelivered } = parts;
  yield { name: 'delivery left out', parts: undelivered };
  if (other.delivery)
    yield { name: 'delivery of another job', parts: { ...parts, delivery: other.delivery } };
  if (!parts.delivery) return;
  const { delivery } = parts.delivery;
  const changes = { charge: delivery.charge + 1n, fence: 1, exit: 'crash', logLength: 2 } as const;
  for (const [field, value] of Object.entries(changes))
    for (const [who, signer] of Object.entries({ stranger, provider })) {
      const changed = { ...delivery, [field]: value };
      const signature = signer.sign(DELIVERY_DOMAIN, deliveryBytes(changed));
      yield {
        name: `delivery with another ${field}, signed by ${who}`,
        parts: {
          ...parts,
          delivery: { delivery: changed, publicKey: signer.publicKey, signature },
        },
      };
    }
}

/** Every forgery of a receipt; `other` is an honest job of the same market. */
export function* forgeriesOf(
  world: ReceiptWorld,
  parts: ReceiptParts,
  other: ReceiptParts,
): Generator<Forgery> {
  yield* forgeEntries(world, parts);
  yield* forgeBatches(world, parts, other);
  yield* forgeProofs(world, parts, other);
  yield* forgeDocuments(world, parts, other);
}
