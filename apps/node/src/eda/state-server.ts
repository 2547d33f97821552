/**
 * Serves the state of this node to those that would rather copy it than execute every block, and says
 * where consensus went on after a height: what a header does not certify, so several are asked for it.
 *
 *   u8 kind (0: snapshot question of libs/net, 1: hash of the base after a height, u64) | question
 */
import { decodeBase } from '#libs/eda';
import {
  type Bytes,
  type Clock,
  type CodecValue,
  type KeyValueStore,
  byteString,
  decodeWith,
  encodeWith,
  kernelError,
  record,
} from '#libs/kernel';
import { type Chain, STATE_LAYOUT, certifiedHeader, storedHead } from '#libs/ledger';
import {
  ANCHOR_MAX_BYTES,
  NODE_PROTOCOLS,
  type Transport,
  createNodeTimers,
  createRequests,
  createSnapshotServer,
  decodeQuestion,
} from '#libs/net';
import { BASE_KEY, baseHashKey } from './wire.ts';

export const SNAPSHOT_QUESTION = 0;
export const BASE_QUESTION = 1;
/** A newer state is offered when the chain has gone on by so much. */
const OFFER_EVERY_BLOCKS = 256;
/** As long as a state that nobody asks about is kept. */
const OFFER_AGE_MS = 600_000;

/** What makes a copied state a place to go on from. */
const anchorShape = record({
  /** With everything that certifies it from the genesis on. */
  head: certifiedHeader,
  /** Where consensus goes on. */
  base: byteString(ANCHOR_MAX_BYTES),
});
export type Anchor = CodecValue<typeof anchorShape>;
/** @throws KERNEL_CBOR_INVALID, KERNEL_CBOR_LIMIT, KERNEL_SHAPE */
export const decodeAnchor = (bytes: Bytes): Anchor =>
  decodeWith(anchorShape, bytes, { maxBytes: ANCHOR_MAX_BYTES });

export function baseQuestion(height: number): Bytes {
  const question = new Uint8Array(9);
  question[0] = BASE_QUESTION;
  new DataView(question.buffer).setBigUint64(1, BigInt(height));
  return question;
}

/** @throws KERNEL_SHAPE */
function readHeight(question: Bytes): number {
  if (question.length !== 9)
    throw kernelError('KERNEL_SHAPE', `a height where ${question.length} bytes came`);
  return Number(new DataView(question.buffer, question.byteOffset).getBigUint64(1));
}

export function serveStates({
  chain,
  store,
  transport,
  clock,
}: {
  readonly chain: Chain;
  readonly store: KeyValueStore;
  readonly transport: Transport;
  readonly clock: Clock;
}): { close(): void } {
  const timers = createNodeTimers(clock);
  const server = createSnapshotServer({ layout: STATE_LAYOUT, timers, idleMs: OFFER_AGE_MS });
  let offered = { height: 0, atMs: Number.NEGATIVE_INFINITY };

  /** Nothing is frozen before somebody asks. */
  const offerNow = (): void => {
    const snapshot = chain.snapshot();
    const head = storedHead(snapshot);
    const base = snapshot.get(BASE_KEY);
    const height = head?.header.height ?? 0;
    const nowMs = clock.monotonicMs();
    const isNew =
      height >= offered.height + OFFER_EVERY_BLOCKS || nowMs > offered.atMs + OFFER_AGE_MS;
    if (!head || !base || height === 0 || !isNew || decodeBase(base).slot !== height) {
      snapshot.close();
      return;
    }
    offered = { height, atMs: nowMs };
    const anchor = encodeWith(anchorShape, { head, base });
    server.offer({ height, root: head.header.stateRoot, anchor }, snapshot);
  };

  const requests = createRequests({
    transport,
    protocol: NODE_PROTOCOLS.snapshot.id,
    timers,
    answer(_peer, question) {
      if (question[0] === BASE_QUESTION) return store.get(baseHashKey(readHeight(question)));
      const content = question.subarray(1);
      if (decodeQuestion(content).kind === 'offers') offerNow();
      return server.answer(content);
    },
  });
  return {
    close() {
      requests.close();
      server.close();
    },
  };
}
