/**
 * A whole small market without its processes: the real ledger (solo ordering, in memory) with the real
 * contracts, a market's and a provider's keys, and jobs that run from order to settlement, so that
 * receipts can be made, attacked and measured.
 */
import { CID } from 'multiformats/cid';
import * as Digest from 'multiformats/hashes/digest';
import {
  DELIVERY_DOMAIN,
  type Delivery,
  ORDER_DOMAIN,
  type Order,
  auditCalls,
  auditKeys,
  deliveryBytes,
  orderBytes,
  orderId,
  ordersCalls,
  ordersKeys,
  systemContracts,
  tokenFees,
} from '#contracts';
import {
  type EventBatch,
  MARKET_ENTRIES,
  type LogPosition,
  type LogWriter,
  type MarketEntryKind,
  type ReceiptParts,
  createLogWriter,
  leafEntryHash,
  proveCheckpoints,
} from '#libs/audit';
import { type Signer, createSigner, sha256, verifySignature } from '#libs/crypto';
import {
  type Bytes,
  type Codec,
  createSeededRandomness,
  encodeCbor,
  encodeWith,
} from '#libs/kernel';
import {
  type OrderingPort,
  type Call,
  type Chain,
  type Genesis,
  createChain,
  createMempool,
  createProducer,
  createSoloOrdering,
  genesisId,
  signTransaction,
} from '#libs/ledger';
import type { SigningValidators } from '../support/signing-validators.ts';
import { LogTree } from '#libs/merkle';
import { createMemoryStore } from '#libs/store';

const START_US = 1_767_225_600_000_000;
const PRICE_CAP = 5_000_000_000n;
const PRICE = 4_000_000_000n;
const CHARGE = 3_210_000_000n;
const SECOND_US = 1_000_000;

export interface JobOptions {
  /** Entries the provider writes beside `started` and `finished`. */
  readonly events: number;
  /** A first provider takes the job, writes, and loses its lease. */
  readonly losesLease?: boolean;
  /**
   * `cancelled`: the market gives the job up before anything is delivered. `late`: it accepts a
   * delivery that the chain no longer takes, and the consumer gets the money back.
   */
  readonly ending?: 'settled' | 'cancelled' | 'late';
  /** The market runs the job itself, with its own key. */
  readonly marketWorks?: boolean;
  /** Anchors while the provider works. */
  readonly anchorsWhileRunning?: number;
}

const cidOf = (bytes: Bytes): string =>
  CID.createV1(0x71, Digest.create(0x12, sha256(bytes))).toString();

/** One chain and its parties. */
export class ReceiptWorld {
  readonly genesis: Genesis;
  readonly chainId: string;
  readonly consumer: Signer;
  readonly market: Signer;
  readonly provider: Signer;
  readonly otherProvider: Signer;
  readonly stranger: Signer;
  readonly #port: OrderingPort;
  readonly tree = new LogTree();
  readonly anchoredSizes: number[] = [];
  #chain: Chain | undefined;
  #submit: ((signer: Signer, call: Call) => Promise<void>) | undefined;
  #timeUs = START_US;
  #orders = 0;

  constructor(seed: number, validators?: SigningValidators) {
    const randomness = createSeededRandomness(seed);
    const signer = () => createSigner(randomness.bytes(32));
    const sequencer = signer();
    [this.consumer, this.market, this.provider] = [signer(), signer(), signer()];
    [this.otherProvider, this.stranger] = [signer(), signer()];
    this.genesis = {
      chainName: 'receipts',
      timeUs: START_US,
      ordering: validators?.ordering ?? { kind: 'solo', sequencer: sequencer.publicKey },
      parameters: {
        allocations: [this.consumer, this.market].map(({ account }) => ({
          account,
          amount: 10n ** 17n,
        })),
        settings: [],
      },
    };
    this.chainId = genesisId(this.genesis);
    this.#port = validators?.port ?? createSoloOrdering(sequencer);
  }

  get chain(): Chain {
    if (!this.#chain) throw new Error('the world is not open');
    return this.#chain;
  }

  async open(): Promise<this> {
    const chain = await createChain({
      genesis: this.genesis,
      contracts: systemContracts,
      fees: tokenFees,
      store: createMemoryStore(),
      verifySignature,
    });
    const { limits } = chain;
    const mempool = createMempool({ chain: chain.id, limits, accounts: chain });
    const producer = createProducer({ chain, mempool, ordering: this.#port });
    this.#chain = chain;
    this.#submit = async (signer, call) => {
      const timeUs = this.tick();
      const envelope = signTransaction(signer, {
        chain: chain.id,
        publicKey: signer.publicKey,
        nonce: chain.account(signer.account).nonce,
        validUntilUs: timeUs + 60 * SECOND_US,
        fuelLimit: 20_000_000n,
        fuelPrice: 1n,
        calls: [call],
      });
      const admission = mempool.add(envelope, timeUs);
      if (!admission.ok) throw admission.error;
      const block = await producer.step(timeUs);
      const receipt = block?.receipts[0];
      if (receipt?.status !== 'ok')
        throw new Error(`${call.method}: ${receipt?.status} ${receipt?.code} ${receipt?.message}`);
    };
    const amount = 10n ** 15n;
    await this.submit(
      this.consumer,
      ordersCalls.deposit({ account: this.consumer.account, amount }),
    );
    return this;
  }

  tick(): number {
    this.#timeUs += SECOND_US / 100;
    return this.#timeUs;
  }

  /** Lets time pass. */
  skip(us: number): void {
    this.#timeUs += us;
  }

  async submit(signer: Signer, call: Call): Promise<void> {
    await this.#submit?.(signer, call);
  }

  /** Writes a leaf for a job's position into the operator's log; returns its index. */
  addLeaf(job: string, log: LogPosition): number {
    return this.tree.appendLeafHash(leafEntryHash({ job, log }));
  }

  async anchor(): Promise<void> {
    const { size } = this.tree;
    await this.submit(this.market, auditCalls.anchor({ size, root: this.tree.root() }));
    this.anchoredSizes.push(size);
  }

  newOrder(manifest: Bytes): Order {
    const salt = (this.#orders++).toString(16).padStart(32, '0');
    return {
      chain: this.chainId,
      consumer: this.consumer.account,
      market: this.market.account,
      salt,
      manifest: cidOf(manifest),
      priceCap: PRICE_CAP,
      placeByUs: this.#timeUs + 60 * SECOND_US,
      completeByUs: this.#timeUs + 3600 * SECOND_US,
    };
  }

  /** Runs one job to its end and gathers the parts of its receipt. */
  async runJob(options: JobOptions): Promise<ReceiptParts> {
    return new Job(this, options).run();
  }
}

/** One job on its way through the world. */
class Job {
  readonly #world: ReceiptWorld;
  readonly #options: JobOptions;
  readonly #manifest: Bytes;
  readonly #order: Order;
  readonly #id: string;
  readonly #batches: EventBatch[] = [];
  readonly #leaves: { index: number; log: LogPosition }[] = [];
  #writer: LogWriter;

  constructor(world: ReceiptWorld, options: JobOptions) {
    this.#world = world;
    this.#options = options;
    this.#manifest = encodeCbor({ name: 'monthly statistics', params: options.events });
    this.#order = world.newOrder(this.#manifest);
    this.#id = orderId(this.#order);
    this.#writer = createLogWriter(this.#id);
  }

  #state<K extends MarketEntryKind>(kind: K, data: object): void {
    const codec = MARKET_ENTRIES[kind] as Codec<unknown>;
    this.#writer.append({ kind, timeUs: this.#world.tick(), data: encodeWith(codec, data) });
  }

  #say(kind: string, data: object): void {
    this.#writer.append({ kind, timeUs: this.#world.tick(), data: encodeCbor(data as never) });
  }

  #sign(signer: Signer): void {
    for (let batch = this.#writer.sign(signer); batch; batch = this.#writer.sign(signer))
      this.#batches.push(batch);
  }

  async #anchor(): Promise<void> {
    const world = this.#world;
    world.addLeaf('ab'.repeat(32), { length: world.tree.size + 1, head: 'cd'.repeat(32) });
    const log = this.#writer.position;
    this.#leaves.push({ index: world.addLeaf(this.#id, log), log });
    await world.anchor();
  }

  async #lease(provider: Signer, fence: number): Promise<void> {
    const lease = fence.toString(16).padStart(64, '0');
    const { account } = provider;
    this.#state('leased', { lease, provider: account, fence, price: PRICE });
    this.#sign(this.#world.market);
    const call = ordersCalls.bind({ order: this.#id, provider: account, price: PRICE, fence });
    await this.#world.submit(this.#world.market, call);
  }

  async #work(provider: Signer): Promise<void> {
    this.#say('started', { isolation: 'S1' });
    const anchors = this.#options.anchorsWhileRunning ?? 1;
    for (let part = 0; part < anchors; part++) {
      const share = Math.ceil(this.#options.events / anchors);
      for (let i = 0; i < share; i++) this.#say('log', { lines: [{ text: `line ${part}.${i}` }] });
      this.#sign(provider);
      await this.#anchor();
    }
    this.#say('finished', { exit: 'ok' });
    this.#sign(provider);
  }

  async #deliver(provider: Signer, fence: number): Promise<ReceiptParts['delivery']> {
    const { length: logLength, head: logHead } = this.#writer.position;
    const delivery: Delivery = {
      chain: this.#world.chainId,
      order: this.#id,
      provider: provider.account,
      fence,
      exit: 'ok',
      result: cidOf(encodeCbor({ mean: 12 })),
      usage: { cpuMs: 90, wallMs: 120, peakMemoryBytes: 1 << 24, inputBytes: 9, outputBytes: 5 },
      charge: CHARGE,
      logLength,
      logHead,
    };
    const signature = provider.sign(DELIVERY_DOMAIN, deliveryBytes(delivery));
    const signed = { delivery, publicKey: provider.publicKey, signature };
    if (this.#options.ending !== 'late')
      await this.#world.submit(this.#world.market, ordersCalls.deliver(signed));
    return signed;
  }

  async run(): Promise<ReceiptParts> {
    const world = this.#world;
    const { consumer, market, chain } = world;
    const { priceCap, completeByUs, manifest } = this.#order;
    const signature = consumer.sign(ORDER_DOMAIN, orderBytes(this.#order));
    const order = { order: this.#order, publicKey: consumer.publicKey, signature };
    this.#state('accepted', { consumer: consumer.account, manifest, priceCap, completeByUs });
    await world.submit(market, ordersCalls.place(order));
    this.#state('placed', { height: chain.head.header.height });
    let fence = 1;
    if (this.#options.losesLease) {
      await this.#lease(world.otherProvider, fence);
      this.#say('started', { isolation: 'S1' });
      this.#sign(world.otherProvider);
      const provider = world.otherProvider.account;
      this.#state('lost', { provider, fence, code: 'silent', reason: 'no heartbeat' });
      fence++;
    }
    const delivery = await this.#finish(fence);
    this.#sign(market);
    await this.#anchor();
    return this.#parts(order, delivery);
  }

  async #finish(fence: number): Promise<ReceiptParts['delivery']> {
    const { market, chain } = this.#world;
    const provider = this.#options.marketWorks ? market : this.#world.provider;
    if (this.#options.ending === 'cancelled') {
      this.#state('cancelled', { code: 'consumer', reason: 'not wanted any more' });
      await this.#world.submit(market, ordersCalls.cancel({ order: this.#id }));
      const { height } = chain.head.header;
      this.#state('refunded', { height, refunded: PRICE_CAP, how: 'cancelled' });
      return undefined;
    }
    await this.#lease(provider, fence);
    await this.#work(provider);
    const delivery = await this.#deliver(provider, fence);
    const { account } = provider;
    this.#state('bound', { height: chain.head.header.height, provider: account, fence });
    const accepted = { exit: 'ok', result: delivery?.delivery.result, charge: CHARGE };
    this.#state('delivered', { provider: account, fence, ...accepted });
    if (this.#options.ending === 'late') {
      this.#world.skip(2 * 3600 * SECOND_US);
      await this.#world.submit(market, ordersCalls.refund({ order: this.#id }));
      const { height } = chain.head.header;
      this.#state('refunded', { height, refunded: PRICE_CAP, how: 'refunded' });
      return delivery;
    }
    await this.#world.submit(market, ordersCalls.settle({ order: this.#id, fence }));
    const sums = { paid: CHARGE, refunded: PRICE_CAP - CHARGE };
    this.#state('settled', { height: chain.head.header.height, provider: account, ...sums });
    return delivery;
  }

  #parts(order: ReceiptParts['order'], delivery: ReceiptParts['delivery']): ReceiptParts {
    const { chain, genesis, market, tree, anchoredSizes } = this.#world;
    const proofs = proveCheckpoints(tree, this.#leaves, anchoredSizes);
    const { checkpoints, sizes, consistency } = proofs;
    return {
      genesis,
      order,
      manifest: this.#manifest,
      batches: this.#batches,
      checkpoints,
      anchors: sizes.map((size) => chain.prove('audit', auditKeys.anchor(market.account, size))),
      consistency,
      orderProof: chain.prove('orders', ordersKeys.order(this.#id)),
      ...(delivery && { delivery }),
    };
  }
}

/** @param validators of an EDA chain; without them one sequencer orders */
export async function openReceiptWorld(
  seed = 1,
  validators?: SigningValidators,
): Promise<ReceiptWorld> {
  return new ReceiptWorld(seed, validators).open();
}
