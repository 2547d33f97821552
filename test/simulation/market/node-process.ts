/** The chain's node: the real ledger over a disk that can lose power, ordered by one sequencer. */
import type { SignatureVerifier, Signer } from '#libs/crypto';
import {
  decodeReceipt,
  type Block,
  type Chain,
  type CommittedBlock,
  type Genesis,
  type Mempool,
  type Producer,
  type Receipt,
  type SystemContract,
  type TransactionEnvelope,
  createChain,
  createMempool,
  createProducer,
  createSoloOrdering,
  hasValidSignature,
} from '#libs/ledger';
import { ORDERS_CONTRACT, ordersKeys, prepaid, prepaidCover, tokenFees } from '#contracts';
import { decodeWith } from '#libs/kernel';
import type { BalanceRead } from '#libs/market';
import { type SimulatedDisk, createSimulatedDisk } from '#libs/store';
import { Life, type World } from './world.ts';

export interface NodeHooks {
  /** Broken on purpose: tells everybody of a block before it is on the disk. */
  readonly publishesEarly?: boolean;
}

export interface NodeOptions {
  readonly world: World;
  readonly genesis: Genesis;
  readonly contracts: readonly SystemContract[];
  readonly sequencer: Signer;
  readonly verify: SignatureVerifier;
  readonly hooks: NodeHooks;
  /** A block is on the disk: for those who watch, not for those who take part. */
  readonly onDurable: (block: Block, receipts: readonly Receipt[]) => void;
  /** A final block, for followers. */
  readonly onBlock: (height: number) => void;
  readonly onStart: () => void;
}

const RESTART_MS = [50, 2000] as const;

export class NodeProcess {
  readonly life = new Life();
  readonly #options: NodeOptions;
  readonly #disk: SimulatedDisk;
  #chain: Chain | undefined;
  #mempool: Mempool | undefined;
  #producer: Producer | undefined;
  #isProducing = false;
  #diskHangs = false;
  #shown = 0;
  /** Blocks told early, by the broken hook. */
  readonly #early = new Map<number, { block: Block; receipts: readonly Receipt[] }>();

  constructor(options: NodeOptions) {
    this.#options = options;
    const never = new Promise<void>(() => {});
    this.#disk = createSimulatedDisk(options.world.random.fork('disk'), () =>
      this.#diskHangs ? never : Promise.resolve(),
    );
  }

  /** The chain as its disk has it; undefined while the node is down. */
  get chain(): Chain | undefined {
    return this.life.isUp ? this.#chain : undefined;
  }

  get mempool(): Mempool | undefined {
    return this.life.isUp ? this.#mempool : undefined;
  }

  async start(): Promise<void> {
    const { genesis, contracts, sequencer, verify } = this.#options;
    const chain = await createChain({
      genesis,
      contracts,
      fees: tokenFees,
      store: this.#disk.open(),
      verifySignature: verify,
    });
    const mempool = createMempool({ chain: chain.id, limits: chain.limits, accounts: chain });
    this.#chain = chain;
    this.#mempool = mempool;
    this.#producer = createProducer({ chain, mempool, ordering: createSoloOrdering(sequencer) });
    this.#isProducing = false;
    this.life.begin();
    this.#showDurable();
    this.#options.onStart();
  }

  crash(): void {
    if (!this.life.isUp) return;
    this.#options.world.count('fault node crash');
    this.#disk.crash();
    this.#stop();
  }

  #stop(): void {
    const { world } = this.#options;
    this.life.end();
    this.#early.clear();
    world.after(world.between(...RESTART_MS), 'node starts', () => this.start());
  }

  /** What the node answers to a posted transaction; undefined when nobody answers. */
  submit(
    envelope: TransactionEnvelope,
  ): { readonly ok: true } | { readonly code: string } | undefined {
    const { world, verify } = this.#options;
    if (!this.life.isUp || !this.#mempool) return undefined;
    if (!hasValidSignature(envelope, verify)) return { code: 'LEDGER_SIGNATURE' };
    const admission = this.#mempool.add(envelope, world.nowUs);
    if (!admission.ok) return { code: admission.error.code };
    this.#wake();
    return { ok: true };
  }

  #wake(): void {
    if (this.#isProducing) return;
    this.#isProducing = true;
    const { world } = this.#options;
    world.after(world.between(5, 40), 'block', () => this.#produce(), this.life.guard());
  }

  async #produce(): Promise<void> {
    const { world, hooks } = this.#options;
    this.#isProducing = false;
    if (world.fault('node crash in commit', 0.01)) return this.#crashInCommit();
    if (world.fault('node disk error', 0.003)) this.#disk.failNextCommit();
    let block: CommittedBlock | undefined;
    try {
      if (hooks.publishesEarly) await this.#publishEarly();
      block = await this.#producer?.step(world.nowUs);
    } catch (error) {
      if (!String((error as { code?: string }).code).startsWith('STORE_')) throw error;
      // The outcome is unknown: the process ends, and opening the disk again decides.
      this.#disk.crash();
      return this.#stop();
    }
    if (block) this.#showDurable();
    if (this.#mempool && this.#mempool.metrics.transactions > 0) this.#wake();
  }

  /** The power goes while a block is being written: it is there afterwards, or it is not. */
  async #crashInCommit(): Promise<void> {
    if (this.#options.hooks.publishesEarly) await this.#publishEarly();
    this.#diskHangs = true;
    void this.#producer?.step(this.#options.world.nowUs);
    for (let i = 0; i < 50; i++) await Promise.resolve();
    this.#disk.crash();
    this.#diskHangs = false;
    this.#stop();
  }

  async #publishEarly(): Promise<void> {
    const chain = this.#chain as Chain;
    const source = this.#mempool as Mempool;
    const { world, sequencer } = this.#options;
    const ordering = createSoloOrdering(sequencer);
    const cut = await ordering.nextCut(chain.head, source, world.nowUs);
    if (!cut) return;
    const { header, transactions, receipts } = chain.execute(cut, 'drop');
    if (transactions.length === 0) return;
    const certificate = await ordering.certify(header);
    const block = { header, certificate, transactions: transactions.map((t) => t.bytes) };
    this.#early.set(header.height, { block, receipts });
    this.#options.onBlock(header.height);
  }

  #showDurable(): void {
    const chain = this.#chain as Chain;
    const { height } = chain.head.header;
    while (this.#shown < height) {
      this.#shown += 1;
      const stored = this.#stored(this.#shown);
      if (stored) this.#options.onDurable(stored.block, stored.receipts);
      this.#options.onBlock(this.#shown);
    }
  }

  #stored(height: number): { block: Block; receipts: readonly Receipt[] } | undefined {
    const block = this.#chain?.block(height);
    const receipts = this.#chain?.receipts(height);
    return block && receipts && { block, receipts: receipts.map(decodeReceipt) };
  }

  /** What of an account's prepaid balance is sure until then, and at which height. */
  readBalance(account: string, untilUs: number): BalanceRead | undefined {
    const { chain } = this;
    if (!chain) return undefined;
    const bytes = chain.get(ORDERS_CONTRACT, ordersKeys.prepaid(account));
    const amount = prepaidCover(bytes && decodeWith(prepaid, bytes), untilUs);
    return { amount, height: chain.head.header.height };
  }

  /** What a follower is told of one height. */
  published(height: number): { block: Block; receipts: readonly Receipt[] } | undefined {
    if (!this.life.isUp) return undefined;
    return this.#stored(height) ?? this.#early.get(height);
  }

  /** Height of the newest block that a follower can get. */
  get publishedHeight(): number {
    const durable = this.#chain?.head.header.height ?? 0;
    return Math.max(durable, ...this.#early.keys());
  }
}
