/**
 * A new or far-behind node copies the state of a certified height from validators, before its chain is
 * opened, and goes on by blocks from there. The tree is proven by the header and the header from the
 * genesis; where consensus goes on must be vouched for by validators of more weight than may lie. When
 * nobody offers a state the node executes every block.
 */
import { type Signer, sha256, verifySignature } from '#libs/crypto';
import { type ValidatorSet, decodeBase } from '#libs/eda';
import {
  type Bytes,
  type Clock,
  type KeyValueStore,
  bytesToHex,
  concatBytes,
  hasCode,
  isSeeleError,
} from '#libs/kernel';
import {
  type EdaOrdering,
  type Genesis,
  STATE_LAYOUT,
  adoptionWrites,
  certifiedBy,
  genesisId,
  genesisValidators,
  stateLeafOf,
} from '#libs/ledger';
import {
  NODE_PROTOCOLS,
  type SnapshotOffer,
  type Transport,
  copySnapshot,
  createNodeTimers,
  createRequests,
  createTcpTransport,
  decodeAnswer,
  decodeQuestion,
  encodeAnswer,
  encodeQuestion,
} from '#libs/net';
import { type Logger, createSystemRandomness, declareFailpoints, failpoint } from '#libs/platform';
import { readListen, readPeers } from './peers.ts';
import { type Anchor, SNAPSHOT_QUESTION, baseQuestion, decodeAnchor } from './state-server.ts';
import { BASE_KEY, COPY_KEY, JOURNAL_KEY, PROTOCOLS, baseHashKey } from './wire.ts';

declareFailpoints('node.copy.before-begin', 'node.copy.progress');

/** Cuts are at least so far apart, so a clock tells how many blocks can have been missed. */
const CUT_MIN_US = 200_000;
/** How long nobody may offer anything. */
const LOOK_MS = 10_000;
const LOOK_AGAIN_MS = 250;
const GIVE_UP_MS = 60_000;
const TOLD_EVERY_MS = 5_000;
const EMPTIED_AT_ONCE = 10_000;
/** The number of no journal: the one that is there counts as lost. */
const NO_JOURNAL = new Uint8Array(16);

export interface StateCopyOptions {
  readonly store: KeyValueStore;
  readonly genesis: Genesis;
  readonly ordering: EdaOrdering;
  readonly signer: Signer;
  readonly listen: string;
  readonly advertised?: string;
  readonly peers: string;
  /** A node that lacks so many blocks copies the state; 0: never. */
  readonly behind: number;
  readonly clock: Clock;
  readonly logger: Logger;
}

/** A copy was begun and not ended: what the store holds is no chain. */
export const isCopyBegun = (store: KeyValueStore): boolean => store.get(COPY_KEY) !== undefined;

/** Whether a head of this time may be that many blocks behind. */
export const mayBeBehind = (headTimeUs: number, nowUs: number, behind: number): boolean =>
  behind > 0 && nowUs - headTimeUs >= behind * CUT_MIN_US;

class StateCopy {
  readonly #options: StateCopyOptions;
  readonly #transport: Transport;
  readonly #timers;
  readonly #requests;
  /** Anchors whose header is final on this chain, by height and root. */
  readonly #vouched = new Map<string, Anchor>();

  constructor(options: StateCopyOptions, transport: Transport) {
    this.#options = options;
    this.#transport = transport;
    this.#timers = createNodeTimers(options.clock);
    this.#requests = createRequests({
      transport,
      protocol: NODE_PROTOCOLS.snapshot.id,
      timers: this.#timers,
      answer: () => undefined,
    });
  }

  close(): void {
    this.#requests.close();
  }

  /** Waits for validators to say what they have; true when one is far enough ahead. */
  async isWorthwhile(minHeight: number): Promise<boolean> {
    const { clock, ordering } = this.#options;
    const set = genesisValidators(ordering);
    const sinceMs = clock.monotonicMs();
    for (;;) {
      const peers = this.#transport.peers();
      const offers = await Promise.all(peers.map((peer) => this.#offersOf(peer)));
      let weight = 0;
      for (const [i, offered] of offers.entries()) {
        if (!offered) continue;
        if (offered.some(({ height }) => height >= minHeight)) return true;
        const index = set.indexOf(peers[i] as string);
        weight += index < 0 ? 0 : (set.weights[index] as number);
      }
      // One of them is honest and has nothing of the kind.
      if (weight > set.lying || clock.monotonicMs() > sinceMs + LOOK_MS) return false;
      await new Promise<void>((resolve) => void this.#timers.after(LOOK_AGAIN_MS, resolve));
    }
  }

  async #offersOf(peer: string): Promise<readonly SnapshotOffer[] | undefined> {
    try {
      const question = concatBytes(
        Uint8Array.of(SNAPSHOT_QUESTION),
        encodeQuestion({ kind: 'offers' }),
      );
      const answer = decodeAnswer(await this.#requests.ask(peer, question));
      return answer.kind === 'offers' ? answer.offers : undefined;
    } catch (error) {
      if (!isSeeleError(error)) throw error;
      return undefined;
    }
  }

  /** Copies, and makes the store begin there. @throws NET_SYNC_FAILED */
  async run(minHeight: number): Promise<number> {
    const { store, logger, clock } = this.#options;
    let toldAtMs = Number.NEGATIVE_INFINITY;
    const offer = await copySnapshot({
      store,
      layout: STATE_LAYOUT,
      progressKey: COPY_KEY,
      leafOf: stateLeafOf,
      isCertified: (of) => this.#vouched.has(nameOf(of)),
      minHeight,
      giveUpMs: GIVE_UP_MS,
      timers: this.#timers,
      peers: () => this.#transport.peers(),
      ask: (peer, question) => this.#ask(peer, question),
      accuse: (peer, why) => {
        logger.warn({ peer, why }, 'a peer sent a false state: asking another');
        this.#transport.hangUp(peer, 'misbehaved');
      },
      onProgress: ({ leaves, entries }) => {
        failpoint('node.copy.progress');
        if (clock.monotonicMs() < toldAtMs + TOLD_EVERY_MS) return;
        toldAtMs = clock.monotonicMs();
        logger.info({ leaves, entries }, 'copying the state');
      },
    });
    const { head, base } = this.#vouched.get(nameOf(offer)) as Anchor;
    failpoint('node.copy.before-begin');
    await store.commit([
      ...adoptionWrites(head),
      { key: BASE_KEY, value: base },
      { key: baseHashKey(offer.height), value: sha256(base) },
      { key: COPY_KEY, value: null },
    ]);
    return offer.height;
  }

  /** Offers go on to the copy only when they are places to go on from. */
  async #ask(peer: string, question: Bytes): Promise<Bytes> {
    const whole = concatBytes(Uint8Array.of(SNAPSHOT_QUESTION), question);
    const answer = await this.#requests.ask(peer, whole);
    if (decodeQuestion(question).kind !== 'offers') return answer;
    const offered = decodeAnswer(answer);
    if (offered.kind !== 'offers') return answer;
    const offers: SnapshotOffer[] = [];
    for (const offer of offered.offers) {
      const verdict = await this.#judge(offer);
      if (verdict === 'good') offers.push(offer);
      // Nothing is known yet when too few have answered.
      if (verdict === 'false') offers.push({ ...offer, root: '00'.repeat(32) });
    }
    return encodeAnswer({ kind: 'offers', offers });
  }

  async #judge(offer: SnapshotOffer): Promise<'good' | 'false' | 'unknown'> {
    if (this.#vouched.has(nameOf(offer))) return 'good';
    const anchor = this.#readAnchor(offer);
    if (!anchor) return 'false';
    const set = certifiedBy(this.#options.genesis, anchor.head, verifySignature);
    if (!set) return 'false';
    const { agreeing, contradicting } = await this.#askForBase(offer.height, set, anchor.base);
    if (agreeing > set.lying) {
      this.#vouched.set(nameOf(offer), anchor);
      return 'good';
    }
    return contradicting > set.lying ? 'false' : 'unknown';
  }

  #readAnchor({ height, root, anchor: bytes }: SnapshotOffer): Anchor | undefined {
    try {
      const anchor = decodeAnchor(bytes);
      const { header } = anchor.head;
      const base = decodeBase(anchor.base);
      const isOne =
        header.height === height &&
        header.stateRoot === root &&
        base.slot === height &&
        base.hash === header.decision &&
        base.timeUs === header.timeUs;
      return isOne ? anchor : undefined;
    } catch (error) {
      if (isSeeleError(error)) return undefined;
      throw error;
    }
  }

  async #askForBase(height: number, set: ValidatorSet, base: Bytes) {
    const expected = bytesToHex(sha256(base));
    let agreeing = 0;
    let contradicting = 0;
    await Promise.all(
      this.#transport.peers().map(async (peer) => {
        const index = set.indexOf(peer);
        if (index < 0) return;
        try {
          const hash = bytesToHex(await this.#requests.ask(peer, baseQuestion(height)));
          if (hash === expected) agreeing += set.weights[index] as number;
          else contradicting += set.weights[index] as number;
        } catch (error) {
          // It is not there yet, or says nothing.
          if (!hasCode(error, 'NET_REQUEST_FAILED')) throw error;
        }
      }),
    );
    return { agreeing, contradicting };
  }
}

const nameOf = ({ height, root }: SnapshotOffer): string => `${height}/${root}`;

/**
 * Everything goes, so that the chain can begin at genesis. What this node voted counts as lost then: it
 * would vote in slots that it has voted in before.
 */
async function empty(store: KeyValueStore): Promise<void> {
  const kept = new Set([COPY_KEY, JOURNAL_KEY].map(bytesToHex));
  const range = { start: Uint8Array.of(0), end: Uint8Array.of(255), limit: EMPTIED_AT_ONCE };
  for (;;) {
    const keys = [...store.range(range)]
      .map(([key]) => key)
      .filter((key) => !kept.has(bytesToHex(key)));
    if (keys.length === 0) break;
    await store.commit(keys.map((key) => ({ key, value: null })));
  }
  await store.commit([
    { key: JOURNAL_KEY, value: NO_JOURNAL },
    { key: COPY_KEY, value: null },
  ]);
}

/**
 * Copies the state if this node is far behind, or was interrupted in a copy.
 * @param height of the chain in the store; ignored for an interrupted copy
 * @returns the height copied; `undefined` when the chain goes on by blocks; `emptied` when an
 *   interrupted copy found nobody, and the chain begins at genesis
 * @throws storage errors, NET_LISTEN, LEDGER_PEER_INVALID
 */
export async function copyState(
  options: StateCopyOptions,
  height: number,
): Promise<number | undefined | 'emptied'> {
  const { store, genesis, ordering, signer, clock, logger } = options;
  const peers = readPeers(options.peers);
  const known = new Set([
    ...peers.map(({ publicKey }) => publicKey),
    ...genesisValidators(ordering).validators.map(({ publicKey }) => publicKey),
  ]);
  const transport = createTcpTransport({
    ...readListen(options.listen),
    ...(options.advertised === undefined ? {} : { advertised: options.advertised }),
    signer,
    network: genesisId(genesis),
    protocols: PROTOCOLS,
    admit: (peer) => peer !== signer.publicKey && known.has(peer),
    clock,
    randomness: createSystemRandomness(),
  });
  const copy = new StateCopy(options, transport);
  const isBegun = isCopyBegun(store);
  try {
    await transport.listen();
    for (const { publicKey, address } of peers)
      if (publicKey !== signer.publicKey) transport.dial(publicKey, address);
    const minHeight = isBegun ? 1 : height + options.behind;
    if (!isBegun && !(await copy.isWorthwhile(minHeight))) return undefined;
    const copied = await copy.run(minHeight);
    logger.info({ height: copied }, 'the state was copied; blocks before it are not on this node');
    return copied;
  } catch (error) {
    if (!hasCode(error, 'NET_SYNC_FAILED')) throw error;
    logger.warn({ err: error }, 'no state could be copied: every block will be executed');
    if (!isCopyBegun(store)) return undefined;
    await empty(store);
    return 'emptied';
  } finally {
    copy.close();
    await transport.close();
  }
}
