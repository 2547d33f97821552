/**
 * Executes final cuts one after the other: transactions in the order of the cut, each at most once, with
 * the time of the cut; signs the result, waits until weight Q has signed the same, stores the block.
 * What a peer has stored already is taken over instead when this node lags.
 */
import {
  type BlsSigner,
  type Body,
  type Certificate as CommitCertificate,
  type EdaBase,
  type EraParameters,
  type SealedBlock,
  type ValidatorSet,
  ZERO_HASH,
  advanceBase,
  encodeBase,
} from '#libs/eda';
import type { Roots } from '#libs/eda';
import { type Signer, sha256, verifySignature } from '#libs/crypto';
import { type Bytes, type KeyValueWrite, hexToBytes, invariant } from '#libs/kernel';
import {
  type Block,
  type Certificate,
  type Chain,
  type CommittedBlock,
  type Execution,
  type Header,
  type TransactionEnvelope,
  CERTIFICATE_DOMAIN,
  entriesRoot,
  headerHash,
  isHashSignedBySet,
  ledgerError,
} from '#libs/ledger';
import { declareFailpoints, failpoint } from '#libs/platform';
import type { Payloads } from './payloads.ts';
import type { StrengthBook } from './strength-book.ts';
import { type Awaited, Results, collectorsOf } from './results.ts';
import { type ToldCertificate, ToldCertificates } from './told-certificates.ts';
import {
  BASE_KEY,
  type ResultMessage,
  SYNC_ITEMS_MAX,
  baseHashKey,
  cutKey,
  encodeCut,
} from './wire.ts';

declareFailpoints(
  'node.execute.before',
  'node.execute.after',
  'node.result.before-send',
  'node.result.certified',
);

/** Heights for which this node can vouch where consensus goes on: an hour at full pace. */
const BASE_HASHES = 18_000;
/** A certificate that has not come together after so long is asked for again. */
const AGAIN_MS = 500;
/** Asks without saying anything. */
const NO_SIGNATURE = new Uint8Array(0);

export interface ExecutorOptions {
  readonly chain: Chain;
  readonly base: EdaBase;
  readonly eraUs: number;
  readonly signer: Signer;
  /** Its BLS keys, one of which large sets name. */
  readonly bls: readonly BlsSigner[];
  readonly payloads: Payloads;
  readonly strengths: StrengthBook;
  /** Tells consensus what a cut gave, before its block is stored. */
  readonly onExecuted: (slot: number, roots: Roots) => void;
  /** State fixed the validators and parameters of an era to come. */
  readonly onSet: (era: number, set: ValidatorSet, changed: EraParameters) => void;
  /** To these peers; to all without. */
  readonly say: (message: ResultMessage, to?: readonly string[]) => void;
  /** A peer gave a block or certificate that is not of the cut of this height; no honest one does. */
  readonly onLie: (peer: string, height: number) => void;
  readonly onBlock: (block: CommittedBlock, execution: Execution | undefined) => void;
}

/** What a peer gave. */
interface SyncedBlock {
  readonly block: Block;
  readonly peer: string;
}

interface DecidedCut {
  readonly body: Body;
  readonly commit: CommitCertificate;
}

/** An execution whose certificate has not come together here. */
interface Waiting {
  readonly awaited: Awaited;
  readonly cut: DecidedCut;
  /** What this node signed. */
  readonly signature: Bytes | undefined;
  /** From a peer, and found good. */
  certificate?: Certificate;
  /** Weight Q stands behind another header: this node is wrong. */
  isOther?: boolean;
}

export function rootsOf({ stateRoot, receiptsRoot }: Header): Roots {
  return { stateRoot, receiptsRoot, outboxRoot: ZERO_HASH };
}

export class Executor {
  readonly #options: ExecutorOptions;
  readonly #cuts = new Map<number, DecidedCut>();
  readonly #ready = new Map<number, readonly SealedBlock[]>();
  readonly #synced = new Map<number, SyncedBlock>();
  readonly #results = new Results(verifySignature);
  readonly #told = new ToldCertificates();
  #waiting: Waiting | undefined;
  #base: EdaBase;
  #wake: (() => void) | undefined;
  #isStopping = false;

  constructor(options: ExecutorOptions) {
    this.#options = options;
    this.#base = options.base;
  }

  /** Consensus as of the last stored block. */
  get base(): EdaBase {
    return this.#base;
  }

  get #height(): number {
    return this.#options.chain.head.header.height;
  }

  /** Cuts that are final and not stored yet, in order. */
  get unstored(): readonly DecidedCut[] {
    return [...this.#cuts.values()].filter(({ body }) => body.slot > this.#height);
  }

  blocksOf(slot: number): readonly SealedBlock[] {
    return this.#ready.get(slot) ?? [];
  }

  decided(body: Body, commit: CommitCertificate): void {
    this.#cuts.set(body.slot, { body, commit });
    this.#stir();
  }

  ready(slot: number, blocks: readonly SealedBlock[]): void {
    this.#ready.set(slot, blocks);
    this.#stir();
  }

  /** A block that weight Q is said to have certified, from a peer; the first one of a height is looked at. */
  synced(block: Block, peer: string): void {
    const { height } = block.header;
    const ahead = height - this.#height;
    if (ahead < 1 || ahead > SYNC_ITEMS_MAX || this.#synced.has(height)) return;
    this.#synced.set(height, { block, peer });
    this.#stir();
  }

  hear(peer: string, height: number, hash: string, signature: Bytes): void {
    this.#results.hear(peer, height, { hash, signature }, this.#height);
    this.#stir();
  }

  /** @throws LEDGER_CERTIFICATE_INVALID: whoever says so is not to be heard */
  hearCertificate(peer: string, height: number, told: ToldCertificate): void {
    const { chain } = this.#options;
    const waiting = this.#waiting;
    if (waiting?.awaited.height === height) {
      if (!this.#isTaken(waiting, told))
        throw ledgerError('LEDGER_CERTIFICATE_INVALID', `block ${height} is not certified`);
    } else if (chain.validators(chain.era).indexOf(peer) >= 0)
      this.#told.keep(peer, height - this.#height, height, told);
    this.#stir();
  }

  /**
   * Takes what weight Q signed over this result; false when it did not sign. What it signed over another hash
   * may be of another height, told again: who tells it is not named, and the block itself shows what it is.
   */
  #isTaken(waiting: Waiting, { hash, certificate }: ToldCertificate): boolean {
    const { awaited, certificate: known } = waiting;
    if (known) return true;
    if (certificate.kind !== 'eda' || certificate.era !== awaited.era) return false;
    const { era, votes, aggregate } = certificate;
    const signatures = { votes, ...(aggregate && { aggregate }) };
    if (!isHashSignedBySet(awaited.set, hash, signatures, verifySignature)) return false;
    if (hash === awaited.hash) waiting.certificate = { kind: 'eda', era, ...signatures };
    return true;
  }

  /** What came before this node could tell. */
  #lookBack(waiting: Waiting): void {
    const { height } = waiting.awaited;
    for (const told of this.#told.take(height))
      if (!this.#isTaken(waiting, told)) this.#refuse(height, told.peer);
    const synced = this.#synced.get(height);
    if (!synced) return;
    const { header, certificate } = synced.block;
    const hash = headerHash(header);
    if (!this.#isGenuine(waiting.cut, synced.block)) this.#refuse(height, synced.peer);
    else if (hash === waiting.awaited.hash) this.#isTaken(waiting, { hash, certificate });
    else waiting.isOther = true;
  }

  #stir(): void {
    this.#wake?.();
  }

  /** Something new, or `ms` have passed. */
  async #news(ms?: number): Promise<void> {
    await new Promise<void>((resolve) => {
      const timer = ms === undefined ? undefined : setTimeout(resolve, ms);
      this.#wake = () => {
        clearTimeout(timer);
        resolve();
      };
      if (this.#isStopping) this.#wake();
    });
    this.#wake = undefined;
  }

  stop(): void {
    this.#isStopping = true;
    this.#stir();
  }

  /** Until `stop`. @throws what ends the process */
  async run(): Promise<void> {
    while (!this.#isStopping) {
      const next = this.#height + 1;
      const cut = this.#cuts.get(next);
      const synced = this.#synced.get(next);
      const blocks = this.#ready.get(next);
      if (cut && synced && !this.#isGenuine(cut, synced.block)) this.#refuse(next, synced.peer);
      else if (cut && synced) await this.#takeOver(cut, synced.block);
      else if (cut && blocks) await this.#execute(cut, blocks);
      else await this.#news();
    }
  }

  #also(cut: DecidedCut, base: EdaBase): KeyValueWrite[] {
    const strengths = this.#options.strengths.takeWrites();
    const handover = this.#options.chain.handover();
    const { slot } = cut.body;
    const encoded = encodeBase(base);
    return [
      { key: cutKey(slot), value: encodeCut(cut) },
      { key: BASE_KEY, value: encoded },
      { key: baseHashKey(slot), value: sha256(encoded) },
      { key: baseHashKey(Math.max(0, slot - BASE_HASHES)), value: null },
      ...strengths,
      ...(handover ? [handover] : []),
    ];
  }

  #baseAfter({ body, commit }: DecidedCut): EdaBase {
    const { eraUs, chain, onSet } = this.#options;
    const base = advanceBase(this.#base, body, commit.hash, eraUs);
    // Fixed by the state before this cut: contracts write nothing nearer than two eras ahead.
    const next = base.era + 1;
    if (base.era > this.#base.era) onSet(next, chain.validators(next), chain.eraParameters(next));
    return base;
  }

  /** What a peer gave is the result of this cut; anything else is forgotten, and asked of another. */
  #isGenuine({ commit }: DecidedCut, { header, certificate, transactions }: Block): boolean {
    return (
      header.decision === commit.hash &&
      this.#options.chain.isCertified(header, certificate) &&
      entriesRoot(transactions) === header.transactionsRoot
    );
  }

  /** Nothing of what this peer gave is looked at any more. */
  #refuse(height: number, peer: string): void {
    for (const [at, synced] of this.#synced) if (synced.peer === peer) this.#synced.delete(at);
    this.#options.onLie(peer, height);
  }

  async #takeOver(cut: DecidedCut, block: Block): Promise<void> {
    const base = this.#baseAfter(cut);
    const stored = await this.#options.chain.apply(block, this.#also(cut, base));
    this.#options.onExecuted(cut.body.slot, rootsOf(block.header));
    this.#done(stored, undefined, base);
  }

  #done(block: CommittedBlock, execution: Execution | undefined, base: EdaBase): void {
    const { era } = this.#options.chain;
    invariant(base.era === era, `consensus is in era ${base.era}, the state in ${era}`);
    this.#base = base;
    const { height } = block.header;
    this.#cuts.delete(height);
    this.#ready.delete(height);
    for (const known of this.#synced.keys()) if (known <= height) this.#synced.delete(known);
    this.#results.forgetUpTo(height);
    this.#told.forgetUpTo(height);
    this.#waiting = undefined;
    this.#options.onBlock(block, execution);
  }

  /** Each transaction once, where it stands first; what cannot run is left out by the chain. */
  #transactions(blocks: readonly SealedBlock[]): TransactionEnvelope[] {
    const found = new Map<string, TransactionEnvelope>();
    for (const { payload } of blocks)
      for (const envelope of this.#options.payloads.transactionsOf(payload))
        if (!found.has(envelope.id)) found.set(envelope.id, envelope);
    return [...found.values()];
  }

  async #execute(cut: DecidedCut, blocks: readonly SealedBlock[]): Promise<void> {
    const { chain, signer, onExecuted, say } = this.#options;
    const { body, commit } = cut;
    failpoint('node.execute.before');
    const execution = chain.execute(
      {
        height: body.slot,
        parent: chain.head.hash,
        timeUs: body.timeUs,
        transactions: this.#transactions(blocks),
        decision: commit.hash,
      },
      'skip',
    );
    failpoint('node.execute.after');
    const base = this.#baseAfter(cut);
    const { headerHash: hash, header } = execution;
    onExecuted(body.slot, rootsOf(header));
    const set = chain.validators(body.era);
    const signature = this.#sign(set, hash);
    failpoint('node.result.before-send');
    if (signature) {
      const to = collectorsOf(set, this.#base.eraBeacon, body.slot, 0);
      say({ kind: 'vote', height: body.slot, hash, signature }, to);
      this.#results.hear(signer.publicKey, body.slot, { hash, signature }, this.#height);
    }
    const awaited = { height: body.slot, hash, era: body.era, set };
    const certificate = await this.#certificate({ awaited, cut, signature });
    if (!certificate) return;
    failpoint('node.result.certified');
    const block = await chain.commit(execution, certificate, this.#also(cut, base));
    this.#done(block, execution, base);
  }

  /** By the key that the set counts; undefined in a large set that names none of this node's keys. */
  #sign(set: ValidatorSet, headerHash: string): Bytes | undefined {
    const { signer, bls } = this.#options;
    const hash = hexToBytes(headerHash) as Bytes;
    if (!set.isLarge) return signer.sign(CERTIFICATE_DOMAIN, hash);
    const key = set.validators[set.indexOf(signer.publicKey)]?.bls;
    return bls.find(({ publicKey }) => publicKey === key)?.sign(CERTIFICATE_DOMAIN, hash);
  }

  /** Waits until weight Q has signed; undefined when the node stops. */
  async #certificate(waiting: Waiting): Promise<Certificate | undefined> {
    const { say } = this.#options;
    const { awaited, signature } = waiting;
    const { height, hash, set } = awaited;
    this.#waiting = waiting;
    let askAtMs = performance.now() + AGAIN_MS;
    for (let turn = 0; !this.#isStopping;) {
      const { certificate, otherWeight } = this.#results.weigh(awaited);
      if (certificate) {
        // Others are told a sum; single signatures they have heard as well.
        if (set.isLarge) say({ kind: 'certified', height, hash, certificate });
        return certificate;
      }
      this.#lookBack(waiting);
      if (waiting.certificate) return waiting.certificate;
      if (waiting.isOther === true || otherWeight > set.lying)
        throw ledgerError(
          'LEDGER_DIVERGED',
          `block ${height}: validators of weight ${waiting.isOther === true ? set.quorum : otherWeight} got another result from the same cut`,
        );
      await this.#news(askAtMs - performance.now());
      // News of other heights, or of no worth, puts asking off no further.
      if (performance.now() < askAtMs) continue;
      askAtMs = performance.now() + AGAIN_MS;
      turn += 1;
      const to = collectorsOf(set, this.#base.eraBeacon, height, turn);
      say({ kind: 'again', height, hash, signature: signature ?? NO_SIGNATURE }, to);
    }
    return undefined;
  }
}
