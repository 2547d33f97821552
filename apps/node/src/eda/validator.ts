/**
 * A validator in one process: consensus, execution, catching up and the waiting list, wired to a
 * transport. To the node around it, it is a producer of blocks.
 */
import type { Signer } from '#libs/crypto';
import {
  type EdaBase,
  type JournalRecord,
  blockHash,
  createAuthenticator,
  decodeMessage,
  deriveBlsSigners,
  genesisBase,
  decodeBase,
} from '#libs/eda';
import type { Bytes, Clock, KeyValueStore } from '#libs/kernel';
import {
  type Chain,
  type CommittedBlock,
  type EdaOrdering,
  type Execution,
  type FinalityProof,
  type Mempool,
  type Producer,
  edaParameters,
  findFinalityProof,
  genesisValidators,
  headerHash,
} from '#libs/ledger';
import { NODE_PROTOCOLS, type Transport } from '#libs/net';
import type { Logger } from '#libs/platform';
import type { SignaturePool } from '../signature-pool.ts';
import { createAccuser } from './accuser.ts';
import { BlockSync } from './block-sync.ts';
import { Consensus } from './consensus.ts';
import { Executor, rootsOf } from './executor.ts';
import { FinalityStages, type ObserveStage } from './finality-stages.ts';
import { Forwarder, type ForwarderCounts } from './forwarder.ts';
import type { JournalFile } from './journal-file.ts';
import { OwnBlocks } from './own-blocks.ts';
import { createPayloads } from './payloads.ts';
import { serveStates } from './state-server.ts';
import { type AttestedHeight, StrengthBook } from './strength-book.ts';
import { type Began, type Roll, RollCall, encodeBegan } from './roll-call.ts';
import {
  type TentativeBlock,
  type ValidatorStatus,
  type Voting,
  statusOf,
  tentativeOf,
} from './validator-status.ts';
import { BASE_KEY, BEGIN_KEY, type SyncItem, decodeResult, encodeResult } from './wire.ts';

const LOOK_MS = 250;
const WAITING_TOLD_LOOKS = 40;
export interface ValidatorOptions {
  readonly chain: Chain;
  readonly ordering: EdaOrdering;
  readonly mempool: Mempool;
  readonly store: KeyValueStore;
  readonly signer: Signer;
  readonly seed: Bytes;
  readonly journal: JournalFile;
  readonly journalBytes: number;
  readonly records: readonly JournalRecord[];
  readonly transport: Transport;
  /** Votes of this key may be forgotten: it watches until that is harmless. */
  readonly journalLost: boolean;
  /** Set for a directory that was empty (see `RollCall`). */
  readonly began: Began | undefined;
  readonly signatures: SignaturePool;
  readonly clock: Clock;
  readonly logger: Logger;
  /** Is told how long own blocks take for each stage. */
  readonly observeStage?: ObserveStage;
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
  readonly #roll: RollCall;
  readonly #states: { close(): void };
  readonly #payloads;
  readonly #nowUs: () => number;
  readonly #own: OwnBlocks;
  readonly #strengths: StrengthBook;
  readonly #stages: FinalityStages;
  readonly #timer: ReturnType<typeof setInterval>;
  readonly #running: Promise<void>;
  /** Hashes of blocks that arrived and whose transactions are being checked. */
  readonly #underCheck = new Set<string>();
  #blocks: CommittedBlock[] = [];
  #failure: { readonly error: unknown } | undefined;
  #wake: (() => void) | undefined;
  #isStopping = false;
  #looks = 0;

  constructor(options: ValidatorOptions) {
    this.#options = options;
    const { chain, ordering, signer, seed, transport, signatures, store, clock } = options;
    const parameters = edaParameters(ordering);
    const bls = deriveBlsSigners(seed);
    this.#payloads = createPayloads(signatures);
    this.#strengths = new StrengthBook(store);
    this.#stages = new FinalityStages(options.observeStage ?? noStage, () => clock.monotonicMs());
    const base = storedBase(store, chain, parameters.eraUs);
    const rootsAt = (height: number) => {
      const stored = chain.header(height);
      if (!stored) throw new RangeError(`header ${height} is missing`);
      return rootsOf(stored.header);
    };
    const nowUs = monotonicUs(clock);
    this.#nowUs = nowUs;
    this.#own = new OwnBlocks(options.mempool, this.#payloads, parameters.deltaUs, nowUs());
    const accuse = createAccuser(options);
    this.#consensus = new Consensus({
      config: {
        chain: chain.id,
        publicKey: signer.publicKey,
        auth: createAuthenticator({
          signer,
          seed,
          bls,
          payloadRoot: this.#payloads.rootOf,
        }),
        parameters,
        genesisTimeUs: chain.genesis.timeUs,
        genesisSet: genesisValidators(ordering),
        genesisRoots: rootsAt(0),
        base,
        baseRoots: rootsAt(base.slot),
        journalLost: options.journalLost,
        sets: [base.era - 1, base.era, base.era + 1]
          .filter((era) => era > Math.floor(chain.genesis.timeUs / parameters.eraUs))
          .map((era) => ({ era, set: chain.validators(era), ...chain.eraParameters(era) })),
      },
      journal: options.journal,
      journalBytes: options.journalBytes,
      records: options.records,
      transport,
      nowUs,
      nextPayload: (atUs) => this.#own.next(atUs, clock.nowUs()),
      onMade: (hash) => this.#stages.made(hash),
      onHandled: () => this.#noteAgreed(),
      onAvailable: (hash) => {
        this.#stages.available(hash);
        const block = this.#consensus.node.positions.held.get(hash);
        if (block) this.#own.available(block.payload);
      },
      onDecided: (body, commit) => {
        this.#stages.decided(
          body.slot,
          body.entries.map(({ hash }) => hash),
        );
        this.#executor.decided(body, commit);
      },
      onReady: (slot, blocks) => this.#executor.ready(slot, blocks),
      onStrength: (slot, weight, aggregate) => this.#strengths.note(slot, weight, aggregate),
      onEvidence: (evidence) => {
        accuse(evidence, clock.nowUs());
        this.#consensus.stir();
      },
      onRecovered: (slot) =>
        slot === 0
          ? options.logger.info('all validators are there: the chain begins')
          : options.logger.warn({ slot }, 'this validator votes again'),
      onExpired: ({ payload }) => this.#own.release(payload),
      isArriving: (hash) => this.#underCheck.has(hash),
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
      bls,
      payloads: this.#payloads,
      strengths: this.#strengths,
      onExecuted: (slot, roots) => {
        this.#stages.executed(slot);
        this.#consensus.executed(slot, roots);
      },
      onSet: (era, set, changed) => {
        this.#consensus.install({ kind: 'set', era, set, ...changed });
        transport.review();
      },
      say: (message, to) =>
        transport.broadcast(NODE_PROTOCOLS.results.id, encodeResult(message), to),
      onLie: (peer, height) => this.#onLie(peer, height),
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
      validators: () => this.#linkedValidators(),
      failing: () => chain.validators(this.#consensus.node.era).failed,
      onAdmitted: () => this.#consensus.stir(),
    });
    const all = genesisValidators(ordering).validators.map(({ publicKey }) => publicKey);
    this.#roll = new RollCall(signer.publicKey, options.journal.id, all, options.began);
    this.#states = serveStates({ chain, store, transport, clock });
    this.#listen();
    this.#timer = setInterval(() => this.#look(), LOOK_MS);
    const begins = options.began?.length ? Promise.resolve(this.#consensus.begin()) : this.#begin();
    this.#running = Promise.all([begins, this.#consensus.run(), this.#executor.run()])
      .then(() => undefined)
      .catch((error: unknown) => {
        this.#failure = { error };
        this.#wake?.();
      });
  }

  status(): ValidatorStatus {
    const { chain, transport } = this.#options;
    const { seenHeight } = this.#sync;
    const { node } = this.#consensus;
    return statusOf(node, { chain, transport, seenHeight, voting: this.#voting() });
  }

  /** Blocks that are not final, in the order of this node's own positions: what a later cut may change. */
  tentative(limit: number): readonly TentativeBlock[] {
    return tentativeOf(this.#consensus.node, this.#payloads, limit);
  }

  /** Transactions between nodes, for metrics. */
  get forwarded(): ForwarderCounts {
    return this.#forwarder.counts;
  }

  #voting(): Voting {
    if (!this.#isValidator(this.#options.signer.publicKey)) return 'no validator';
    if (!this.#consensus.node.isWatching) return 'yes';
    if (!this.#roll.isWaiting || this.#sync.seenHeight > 0) return 'watches';
    return 'waits for all validators';
  }

  /**
   * Weight that may lie without undoing a height (docs/consensus.md), as attested by now, and the height of
   * that checkpoint; undefined before the first at or after it.
   */
  strengthOf(height: number): AttestedHeight | undefined {
    return this.#strengths.of(height);
  }

  /** The same for who trusts the genesis only; undefined before weight Q attested by BLS. */
  finalityProof(height: number): FinalityProof | undefined {
    const attested = this.#strengths.of(height, true);
    if (!attested?.aggregate) return undefined;
    const { height: at, aggregate } = attested;
    return findFinalityProof(this.#options.store, height, { height: at, aggregate });
  }

  #isValidator(publicKey: string): boolean {
    return this.#options.chain.validators(this.#consensus.node.era).indexOf(publicKey) >= 0;
  }

  #linkedValidators(): readonly { readonly peer: string; readonly weight: number }[] {
    const { chain, transport } = this.#options;
    const set = chain.validators(this.#consensus.node.era);
    return transport.peers().flatMap((peer) => {
      const index = set.indexOf(peer);
      return index < 0 ? [] : [{ peer, weight: set.weights[index] as number }];
    });
  }

  /** Now and then. */
  #look(): void {
    const { mempool, clock, logger } = this.#options;
    this.#sync.look();
    this.#passOn();
    this.#giveAway();
    void this.#forwarder.adopt();
    mempool.expire(clock.nowUs());
    if (this.#looks++ % WAITING_TOLD_LOOKS !== WAITING_TOLD_LOOKS - 1) return;
    if (this.status().voting !== 'waits for all validators') return;
    const { missing } = this.#roll;
    logger.warn({ missing }, 'this validator holds nothing and waits for all to begin the chain');
  }

  /** A node that makes no blocks leaves that to the others. */
  #passOn(): void {
    if (this.#isStopping || this.#options.mempool.metrics.transactions === 0) return;
    const isMaking =
      this.#isValidator(this.#options.signer.publicKey) && !this.#own.isStuck(this.#nowUs());
    if (!isMaking) this.#forwarder.passOn();
  }

  /** In the good case everything that waits is in available blocks, and nothing is sent. */
  #giveAway(): void {
    if (this.#isStopping || this.#options.mempool.metrics.transactions === 0) return;
    if (this.#own.isExposed(this.#nowUs())) this.#forwarder.give((id) => this.#own.isSafe(id));
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
      const hash = blockHash(message.message);
      if (this.#consensus.node.positions.held.has(hash)) return;
      this.#underCheck.add(hash);
      const isValid = await this.#payloads.check(message.payload, message.message.txRoot);
      this.#underCheck.delete(hash);
      if (isValid) this.#consensus.hear(peer, message);
    });
    transport.onMessage(NODE_PROTOCOLS.results.id, (peer, bytes) => this.#onResult(peer, bytes));
    transport.onPeer(({ kind, peer }) => {
      if (kind !== 'up') return;
      const status = encodeResult({ kind: 'status', height: chain.head.header.height });
      transport.send(peer, NODE_PROTOCOLS.results.id, status);
      if (chain.head.header.height > 0) return;
      const roll = encodeResult({ kind: 'roll', ...this.#roll.sayTo(peer) });
      transport.send(peer, NODE_PROTOCOLS.results.id, roll);
    });
  }

  #onResult(peer: string, bytes: Bytes): void | Promise<void> {
    const { chain, transport } = this.#options;
    const message = decodeResult(bytes);
    if (message.kind === 'roll') return this.#onRoll(peer, message);
    const { height } = message;
    if (message.kind === 'status') return this.#sync.heard(peer, height);
    if (message.kind === 'certified') return this.#executor.hearCertificate(peer, height, message);
    this.#sync.heard(peer, height - 1);
    if (message.signature.length > 0)
      this.#executor.hear(peer, height, message.hash, message.signature);
    const stored = message.kind === 'again' ? chain.header(height) : undefined;
    if (!stored) return;
    const { certificate, header } = stored;
    const answer = { kind: 'certified', height, hash: headerHash(header), certificate } as const;
    transport.send(peer, NODE_PROTOCOLS.results.id, encodeResult(answer));
  }

  #onRoll(peer: string, roll: Roll): Promise<void> {
    this.#roll.hear(peer, roll);
    return this.#begin();
  }

  /** A truly new chain: takes the seat, once it is written down with whom. */
  async #begin(): Promise<void> {
    const began = this.#roll.conclude();
    if (!began) return;
    await this.#options.store.commit([{ key: BEGIN_KEY, value: encodeBegan(began) }]);
    this.#consensus.begin();
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
    this.#executor.synced(block, peer);
    if (this.#isSetKnown(cut.body.era))
      this.#consensus.hear(peer, { kind: 'final', body: cut.body, certificate: cut.commit });
  }

  /** Barred for a while, and what it gave is asked of another. */
  #onLie(peer: string, height: number): void {
    const { transport, logger } = this.#options;
    logger.warn({ peer, height }, 'a peer gave a block or certificate that is not of the cut');
    transport.hangUp(peer, 'misbehaved');
    this.#sync.refused(height);
  }

  /** Positions of own blocks that count as agreed on by now. */
  #noteAgreed(): void {
    const { unagreed } = this.#stages;
    if (unagreed.length === 0) return;
    for (const { name, isConverged } of this.#consensus.node.positions.open())
      if (isConverged && unagreed.includes(name.hash)) this.#stages.agreed(name.hash);
  }

  #onBlock(block: CommittedBlock, execution: Execution | undefined): void {
    this.#own.onBlock(block, execution, this.#nowUs());
    this.#stages.stored(block.header.height);
    this.#blocks.push(block);
    this.#sync.moved();
    this.#wake?.();
  }

  // The producer.

  submitted(): void {
    this.#stages.submitted();
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
    this.#forwarder.close();
    this.#states.close();
    this.#consensus.stop();
    this.#executor.stop();
    this.#wake?.();
    await this.#running;
    await this.#options.transport.close();
    await this.#options.journal.close();
  }
}

const noStage: ObserveStage = () => undefined;

/** Monotonic µs, set once to wall time. */
function monotonicUs(clock: Clock): () => number {
  const startUs = clock.nowUs();
  const startMs = clock.monotonicMs();
  return () => startUs + Math.floor((clock.monotonicMs() - startMs) * 1000);
}
