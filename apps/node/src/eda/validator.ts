/**
 * A validator in one process: consensus, execution, catching up and the waiting list, wired to a
 * transport. To the node around it, it is a producer of blocks.
 */
import type { Signer } from '#libs/crypto';
import {
  type EdaBase,
  type JournalRecord,
  createAuthenticator,
  decodeMessage,
  genesisBase,
  decodeBase,
} from '#libs/eda';
import type { Bytes, Clock, KeyValueStore } from '#libs/kernel';
import {
  type Chain,
  type CommittedBlock,
  type EdaOrdering,
  type Execution,
  type Mempool,
  type Producer,
  edaParameters,
  genesisValidators,
} from '#libs/ledger';
import { NODE_PROTOCOLS, type Transport } from '#libs/net';
import type { Logger } from '#libs/platform';
import type { SignaturePool } from '../signature-pool.ts';
import { createAccuser } from './accuser.ts';
import { BlockSync } from './block-sync.ts';
import { Consensus } from './consensus.ts';
import { Executor, rootsOf } from './executor.ts';
import { Forwarder } from './forwarder.ts';
import type { JournalFile } from './journal-file.ts';
import { createPayloads } from './payloads.ts';
import {
  BASE_KEY,
  type SyncItem,
  decodeResult,
  encodeResult,
  decodeStrength,
  strengthKey,
} from './wire.ts';

/** Transactions of one block; an author has at most eight unordered blocks. */
const BLOCK_TRANSACTIONS = 2_000;
const BLOCK_BYTES = 512 * 1024;
const LOOK_MS = 250;
const CHECKPOINTS_LOOKED_AT = 8;
/** Reasons for which a transaction that was left out of a block goes on waiting. */
const MAY_COME_LATER = new Set([
  'LEDGER_BLOCK_FULL',
  'LEDGER_NONCE_GAP',
  'LEDGER_TRANSACTION_EARLY',
  'LEDGER_FUEL_PRICE',
]);

export interface ValidatorOptions {
  readonly chain: Chain;
  readonly ordering: EdaOrdering;
  readonly mempool: Mempool;
  readonly store: KeyValueStore;
  readonly signer: Signer;
  readonly seed: Bytes;
  readonly journal: JournalFile;
  readonly records: readonly JournalRecord[];
  readonly transport: Transport;
  /** Votes of this key may be forgotten: it watches until that is harmless. */
  readonly journalLost: boolean;
  readonly signatures: SignaturePool;
  readonly clock: Clock;
  readonly logger: Logger;
}

export interface ValidatorStatus {
  readonly slot: number;
  readonly view: number;
  readonly era: number;
  readonly peers: readonly string[];
  readonly validators: readonly { readonly publicKey: string; readonly weight: number }[];
  readonly quorum: number;
  readonly seenHeight: number;
}

/** Where consensus goes on: what the store holds beside the last block. */
export function storedBase(store: KeyValueStore, chain: Chain, eraUs: number): EdaBase {
  const bytes = store.get(BASE_KEY);
  return bytes ? decodeBase(bytes) : genesisBase(chain.id, chain.genesis.timeUs, eraUs);
}

export class ValidatorProducer implements Producer {
  readonly #options: ValidatorOptions;
  readonly #consensus: Consensus;
  readonly #executor: Executor;
  readonly #sync: BlockSync;
  readonly #forwarder: Forwarder;
  readonly #payloads;
  readonly #deltaUs: number;
  readonly #timer: ReturnType<typeof setInterval>;
  readonly #running: Promise<void>;
  /** Transactions in own blocks that are not executed yet. */
  readonly #taken = new Map<string, Bytes>();
  #blocks: CommittedBlock[] = [];
  #failure: { readonly error: unknown } | undefined;
  #wake: (() => void) | undefined;
  #isStopping = false;
  #authoredAtUs = Number.NEGATIVE_INFINITY;

  constructor(options: ValidatorOptions) {
    this.#options = options;
    const { chain, ordering, signer, seed, transport, signatures, store, clock } = options;
    const parameters = edaParameters(ordering);
    this.#deltaUs = parameters.deltaUs;
    this.#payloads = createPayloads(signatures);
    const base = storedBase(store, chain, parameters.eraUs);
    const rootsAt = (height: number) => {
      const stored = chain.header(height);
      if (!stored) throw new RangeError(`header ${height} is missing`);
      return rootsOf(stored.header);
    };
    const nowUs = monotonicUs(clock);
    const accuse = createAccuser(options);
    this.#consensus = new Consensus({
      config: {
        chain: chain.id,
        publicKey: signer.publicKey,
        auth: createAuthenticator({ signer, seed, payloadRoot: this.#payloads.rootOf }),
        parameters,
        genesisTimeUs: chain.genesis.timeUs,
        genesisSet: genesisValidators(ordering),
        genesisRoots: rootsAt(0),
        base,
        baseRoots: rootsAt(base.slot),
        journalLost: options.journalLost,
        sets: [base.era - 1, base.era, base.era + 1]
          .filter((era) => era > Math.floor(chain.genesis.timeUs / parameters.eraUs))
          .map((era) => ({ era, set: chain.validators(era) })),
      },
      journal: options.journal,
      records: options.records,
      transport,
      nowUs,
      nextPayload: (atUs) => this.#nextPayload(atUs),
      onDecided: (body, commit) => this.#executor.decided(body, commit),
      onReady: (slot, blocks) => this.#executor.ready(slot, blocks),
      onStrength: (slot, weight) => this.#executor.strength(slot, weight),
      onEvidence: (evidence) => {
        accuse(evidence, clock.nowUs());
        this.#consensus.stir();
      },
      onRecovered: (slot) => options.logger.warn({ slot }, 'this validator votes again'),
      onExpired: ({ payload }) => this.#release(payload),
      unstored: () =>
        this.#executor.unstored.map((cut) => ({
          ...cut,
          blocks: this.#executor.blocksOf(cut.body.slot),
        })),
    });
    this.#executor = new Executor({
      chain,
      base,
      eraUs: parameters.eraUs,
      signer,
      payloads: this.#payloads,
      onExecuted: (slot, roots) => this.#consensus.executed(slot, roots),
      onSet: (era, set) => {
        this.#consensus.install({ kind: 'set', era, set });
        transport.review();
      },
      say: (message) => transport.broadcast(NODE_PROTOCOLS.results.id, encodeResult(message)),
      onBlock: (block, execution) => this.#onBlock(block, execution),
    });
    this.#sync = new BlockSync({
      chain,
      store,
      transport,
      clock,
      onItem: (item, peer) => this.#onSynced(item, peer),
    });
    this.#forwarder = new Forwarder({
      mempool: options.mempool,
      transport,
      signatures,
      nowUs: () => clock.nowUs(),
      validators: () => transport.peers().filter((peer) => this.#isValidator(peer)),
      onAdmitted: () => this.#consensus.stir(),
    });
    this.#listen();
    this.#timer = setInterval(() => {
      this.#sync.look();
      this.#passOn();
      options.mempool.expire(clock.nowUs());
    }, LOOK_MS);
    this.#running = Promise.all([this.#consensus.run(), this.#executor.run()])
      .then(() => undefined)
      .catch((error: unknown) => {
        this.#failure = { error };
        this.#wake?.();
      });
  }

  status(): ValidatorStatus {
    const { chain, transport } = this.#options;
    const { slot, view, era } = this.#consensus.node;
    const { validators, quorum } = chain.validators(era);
    const { seenHeight } = this.#sync;
    return { slot, view, era, peers: transport.peers(), validators, quorum, seenHeight };
  }

  /**
   * Weight that may lie without undoing a height (docs/consensus.md), as known by now. Attested are the
   * cuts at checkpoints, and with each all before it; 0 until the first after the height is stored.
   */
  strengthOf(height: number): number {
    const [start, end] = [strengthKey(height), strengthKey(Number.MAX_SAFE_INTEGER)];
    let weight = 0;
    for (const [, value] of this.#options.store.range({ start, end, limit: CHECKPOINTS_LOOKED_AT }))
      weight = Math.max(weight, decodeStrength(value));
    return weight;
  }

  #isValidator(publicKey: string): boolean {
    return this.#options.chain.validators(this.#consensus.node.era).indexOf(publicKey) >= 0;
  }

  /** A node that makes no blocks leaves that to the others. */
  #passOn(): void {
    if (this.#isStopping || this.#options.mempool.metrics.transactions === 0) return;
    if (!this.#isValidator(this.#options.signer.publicKey)) this.#forwarder.passOn();
  }

  #listen(): void {
    const { transport, chain } = this.#options;
    transport.onMessage(NODE_PROTOCOLS.votes.id, (peer, bytes) => {
      const message = decodeMessage(bytes);
      if (message.kind === 'block') return;
      if (message.kind === 'final' && !this.#isSetKnown(message.body.era)) return;
      this.#consensus.hear(peer, message);
    });
    transport.onMessage(NODE_PROTOCOLS.blocks.id, async (peer, bytes) => {
      const message = decodeMessage(bytes);
      if (message.kind !== 'block') return;
      if (await this.#payloads.check(message.payload)) this.#consensus.hear(peer, message);
    });
    transport.onMessage(NODE_PROTOCOLS.results.id, (peer, bytes) => this.#onResult(peer, bytes));
    transport.onPeer(({ kind, peer }) => {
      if (kind !== 'up') return;
      const status = encodeResult({ kind: 'status', height: chain.head.header.height });
      transport.send(peer, NODE_PROTOCOLS.results.id, status);
    });
  }

  #onResult(peer: string, bytes: Bytes): void {
    const { chain, transport } = this.#options;
    const message = decodeResult(bytes);
    const { height } = message;
    if (message.kind === 'status') return this.#sync.heard(peer, height);
    if (message.kind === 'certified')
      return this.#executor.hearCertificate(height, message.hash, message.certificate);
    this.#sync.heard(peer, height - 1);
    this.#executor.hear(peer, height, message.hash, message.signature);
    const stored = message.kind === 'again' ? chain.header(height) : undefined;
    if (!stored) return;
    const { certificate } = stored;
    const answer = { kind: 'certified', height, hash: message.hash, certificate } as const;
    transport.send(peer, NODE_PROTOCOLS.results.id, encodeResult(answer));
  }

  /**
   * Only executed state fixes sets: cuts of an era are taken over once the era before is executed, or a
   * node that was away would enter an era with the wrong set.
   */
  #isSetKnown(era: number): boolean {
    return era <= this.#executor.base.era;
  }

  #onSynced({ cut, block }: SyncItem, peer: string): void {
    if (cut.body.slot !== block.header.height) return;
    this.#executor.synced(block);
    if (this.#isSetKnown(cut.body.era))
      this.#consensus.hear(peer, { kind: 'final', body: cut.body, certificate: cut.commit });
  }

  // Blocks of this node.

  #nextPayload(nowUs: number): { payload: Bytes; count: number } | undefined {
    const { mempool } = this.#options;
    if (nowUs < this.#authoredAtUs + this.#deltaUs) return undefined;
    if (mempool.metrics.transactions <= this.#taken.size) return undefined;
    const chosen = mempool.select(this.#options.clock.nowUs(), {
      isTaken: (id) => this.#taken.has(id),
      transactions: BLOCK_TRANSACTIONS,
      bytes: BLOCK_BYTES,
    });
    if (chosen.length === 0) return undefined;
    this.#authoredAtUs = nowUs;
    const payload = this.#payloads.make(chosen);
    for (const { id } of chosen) this.#taken.set(id, payload);
    return { payload, count: chosen.length };
  }

  /** What became of an own block is known: its transactions may be taken again if they still wait. */
  #release(payload: Bytes): void {
    for (const { id } of this.#payloads.transactionsOf(payload)) this.#taken.delete(id);
  }

  #onBlock(block: CommittedBlock, execution: Execution | undefined): void {
    const { mempool } = this.#options;
    mempool.afterBlock(block.transactions);
    for (const { id } of block.transactions) this.#taken.delete(id);
    for (const { transaction, reason } of execution?.dropped ?? []) {
      this.#taken.delete(transaction.id);
      if (mempool.has(transaction.id) && !MAY_COME_LATER.has(reason.code))
        mempool.drop(transaction.id, reason);
    }
    // Executed by others' blocks, expired, or in a block that came with its result: not on its way any more.
    for (const id of this.#taken.keys())
      if (execution === undefined || !mempool.has(id)) this.#taken.delete(id);
    this.#blocks.push(block);
    this.#sync.moved();
    this.#wake?.();
  }

  // The producer.

  submitted(): void {
    this.#passOn();
    this.#consensus.stir();
  }

  async step(): Promise<CommittedBlock | undefined> {
    while (this.#blocks.length === 0 && !this.#isStopping) {
      if (this.#failure) throw this.#failure.error;
      await new Promise<void>((resolve) => {
        this.#wake = resolve;
      });
      this.#wake = undefined;
    }
    if (this.#failure) throw this.#failure.error;
    return this.#blocks.shift();
  }

  async stop(): Promise<void> {
    this.#isStopping = true;
    clearInterval(this.#timer);
    this.#consensus.stop();
    this.#executor.stop();
    this.#wake?.();
    await this.#running;
    await this.#options.transport.close();
    await this.#options.journal.close();
  }
}

/** Monotonic µs, set once to wall time. */
function monotonicUs(clock: Clock): () => number {
  const startUs = clock.nowUs();
  const startMs = clock.monotonicMs();
  return () => startUs + Math.floor((clock.monotonicMs() - startMs) * 1000);
}
