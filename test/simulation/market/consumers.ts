/**
 * Who orders work: honest consumers, who sometimes repeat themselves, cancel or lose an answer, and
 * hostile ones, who try everything that must be refused.
 */
import { ORDER_DOMAIN, type Order, type SignedOrder, orderBytes, orderId } from '#contracts';
import type { Signer } from '#libs/crypto';
import type { SeededRandomness } from '#libs/kernel';
import { type Manifest, type Reply, manifestCid } from '#libs/market';
import type { Invariants } from './invariants.ts';
import type { MarketProcess } from './market-process.ts';
import { type JobScript, manifestOf, randomScript } from './scripts.ts';
import type { World } from './world.ts';

export interface ConsumerOptions {
  readonly world: World;
  readonly chain: string;
  readonly marketAccount: string;
  readonly market: MarketProcess;
  readonly invariants: Invariants;
  readonly consumers: readonly Signer[];
  /** The last so many of them are hostile. */
  readonly hostile: number;
  readonly orders: number;
  /** Virtual time in which orders come. */
  readonly spreadMs: number;
  /** Orders in peace, which nothing may keep from being done and paid. */
  readonly patient: Signer;
  readonly peaceAtMs: number;
  /** Asks the chain itself for the money back, without the market. */
  readonly refund: (order: string) => void;
  readonly remember: (manifest: Manifest, script: JobScript) => void;
}

interface Intent {
  readonly signed: SignedOrder;
  readonly manifest: Manifest;
  tries: number;
  /** Never cancelled. */
  readonly isSteady?: boolean;
}

const SECOND_US = 1_000_000;
const ANSWER_MS = 3000;
const TRIES_MAX = 12;
const PEACEFUL = 3;
const TIERS = ['A', 'A', 'B', 'B', 'C'] as const;

/** Refusals that are the load's or the moment's doing: the same order may be taken later. */
const PASSING: ReadonlySet<string> = new Set([
  'MARKET_OVERLOADED',
  'MARKET_NOTHING_FITS',
  'MARKET_TOO_FEW_OPERATORS',
]);

export class Consumers {
  readonly #options: ConsumerOptions;
  readonly #random: SeededRandomness;
  readonly #accepted: Intent[] = [];
  /** Orders somebody may still submit. */
  #open = 0;

  constructor(options: ConsumerOptions) {
    this.#options = options;
    this.#random = options.world.random.fork('consumers');
    const { world, orders, spreadMs, peaceAtMs } = options;
    for (let i = 0; i < PEACEFUL; i++) {
      this.#open += 1;
      world.after(peaceAtMs + 500 * i, 'order in peace', () => this.#orderInPeace());
    }
    for (let i = 0; i < orders; i++) {
      this.#open += 1;
      world.after(200 + this.#random.float() * spreadMs, 'order', () => this.#order());
    }
  }

  /** True when nobody will order any more. */
  get areDone(): boolean {
    return this.#open === 0;
  }

  #order(): void {
    const { consumers, hostile } = this.#options;
    const index = this.#random.below(consumers.length);
    const consumer = consumers[index] as Signer;
    const whole = randomScript(this.#random);
    const many = this.#random.chance(0.25) ? 1 + this.#random.below(450) : undefined;
    const tier = this.#random.pick(TIERS);
    // Tier C is an order of tasks, be it one, that several operators check.
    const tasks = tier === 'C' ? (many ?? 1) : many;
    // Tasks of an array are small, so that a batch of them costs about as much as a job.
    const limits = { ...whole.limits, wallMs: 100, cpuMs: 100 };
    const script = tasks === undefined ? whole : { ...whole, limits, tasks };
    const manifest = {
      ...manifestOf(script, this.#random, tier),
      ...(tasks !== undefined && { array: arrayOf(tasks, tier, this.#random) }),
    };
    this.#options.remember(manifest, script);
    const order = this.#newOrder(consumer, manifest);
    const isHostile = index >= consumers.length - hostile;
    if (isHostile && this.#random.chance(0.6)) return this.#attack(consumer, order, manifest);
    this.#submit({ signed: sign(consumer, order), manifest, tries: 0 });
  }

  #orderInPeace(): void {
    const { world, patient, remember, invariants } = this.#options;
    const script = { ...randomScript(this.#random), ending: 'ok', runMs: 100 } as const;
    const manifest: Manifest = {
      ...manifestOf(script, this.#random, this.#random.pick(['A', 'B'])),
      minIsolation: 'S0',
    };
    remember(manifest, script);
    const order: Order = {
      ...this.#newOrder(patient, manifest),
      priceCap: 100_000n,
      placeByUs: world.nowUs + 30 * SECOND_US,
      completeByUs: world.nowUs + 60 * SECOND_US,
    };
    invariants.mustBePaid(orderId(order));
    this.#submit({ signed: sign(patient, order), manifest, tries: 0, isSteady: true });
  }

  #newOrder(consumer: Signer, manifest: Manifest): Order {
    const { world, chain, marketAccount } = this.#options;
    const random = this.#random;
    const { array } = manifest;
    const unitPrice = BigInt(array ? 1_000 + random.below(3_500) : 40_000 + random.below(100_000));
    return {
      ...(array && { array: { tasks: array.tasks, replicas: array.replicas, unitPrice } }),
      chain,
      consumer: consumer.account,
      market: marketAccount,
      salt: Buffer.from(random.bytes(16)).toString('hex'),
      manifest: manifestCid(manifest),
      priceCap: unitPrice * BigInt((array?.tasks ?? 1) * (array?.replicas ?? 1)),
      placeByUs: world.nowUs + (0.5 + random.below(6)) * SECOND_US,
      completeByUs: world.nowUs + (7 + random.below(24)) * SECOND_US,
    };
  }

  #submit(intent: Intent): void {
    const { world, market, invariants } = this.#options;
    const id = orderId(intent.signed.order);
    intent.tries += 1;
    let isAnswered = false;
    const answer = (reply: Reply): void => {
      if (isAnswered || world.fault('answer to the consumer lost', 0.03)) return;
      isAnswered = true;
      this.#answered(intent, reply);
    };
    const send = (): void =>
      market.submit(
        { kind: 'submitOrder', order: intent.signed, manifest: intent.manifest },
        answer,
      );
    if (!world.fault('request lost', 0.02)) world.after(world.between(1, 10), 'submit', send);
    if (world.fault('request sent twice', 0.05)) world.after(world.between(1, 50), 'submit', send);
    invariants.knownOrder(id, intent.signed);
    world.after(ANSWER_MS, 'no answer', () => {
      if (isAnswered) return;
      isAnswered = true;
      if (intent.tries < TRIES_MAX) this.#submit(intent);
      else this.#open -= 1;
    });
  }

  #answered(intent: Intent, reply: Reply): void {
    const { world, market } = this.#options;
    if (reply.is === 'refused') {
      world.count(`refused ${reply.code}`);
      if (PASSING.has(reply.code) && intent.tries < TRIES_MAX)
        world.after(1000, 'try again', () => this.#submit(intent));
      else this.#open -= 1;
      return;
    }
    if (reply.is !== 'order') return;
    world.count(reply.repeated ? 'order repeated' : 'order accepted');
    this.#open -= 1;
    this.#accepted.push(intent);
    const { consumer, completeByUs } = intent.signed.order;
    const leftMs = (completeByUs - world.nowUs) / 1000;
    const refund = (): void => this.#options.refund(reply.view.id);
    for (const laterMs of [1, 5001, 10_000]) world.after(leftMs + laterMs, 'refund', refund);
    const cancel = (): void =>
      market.cancel(reply.view.id, consumer, ({ is }) => world.count(`cancel ${is}`));
    if (!intent.isSteady && this.#random.chance(0.08))
      world.after(this.#random.below(2000), 'cancel', cancel);
  }

  /** Each must be refused, or answered with what stands already. */
  #attack(consumer: Signer, order: Order, manifest: Manifest): void {
    const { world, market } = this.#options;
    this.#open -= 1;
    const earlier = this.#accepted.length > 0 ? this.#random.pick(this.#accepted) : undefined;
    const attacks: readonly [string, SignedOrder][] = [
      ['MARKET_ORDER_SIGNATURE', { ...sign(consumer, order), signature: new Uint8Array(32) }],
      ['MARKET_ORDER_SIGNATURE', { ...sign(consumer, order), order: { ...order, priceCap: 1n } }],
      ['MARKET_ORDER_FOREIGN', sign(consumer, { ...order, chain: '00'.repeat(32) })],
      ['MARKET_ORDER_FOREIGN', sign(consumer, { ...order, market: consumer.account })],
      ['MARKET_ORDER_EXPIRED', sign(consumer, { ...order, placeByUs: world.nowUs - 1 })],
      ['MARKET_ORDER_DATES', sign(consumer, { ...order, completeByUs: order.placeByUs + 1e15 })],
      ['MARKET_MANIFEST_MISMATCH', sign(consumer, { ...order, manifest: 'bafkqaaa' })],
      ['MARKET_CAP_TOO_LOW', sign(consumer, { ...order, priceCap: 1n })],
      ['MARKET_BALANCE_TOO_LOW', sign(consumer, dearer(order))],
      ...(earlier ? [['', earlier.signed] as [string, SignedOrder]] : []),
    ];
    const [expected, signed] = this.#random.pick(attacks);
    const submission = {
      kind: 'submitOrder',
      order: signed,
      manifest: expected === '' && earlier ? earlier.manifest : manifest,
    } as const;
    market.submit(submission, (reply) => {
      const isRefused = reply.is === 'refused';
      world.count(isRefused ? `refused ${reply.code}` : 'attack answered');
      // A market without providers may say so first.
      const isRight = isRefused
        ? reply.code === expected || PASSING.has(reply.code)
        : expected === '' && reply.is === 'order' && reply.repeated;
      const got = isRefused ? reply.code : reply.is;
      world.check(isRight || expected === '', 'admission', () => `${expected} wanted, got ${got}`);
    });
  }
}

/**
 * More than anybody has. Of many tasks only the first batch must be covered, so there each task is dear:
 * a high cap alone is rightly taken on, since money is held batch by batch.
 */
function dearer(order: Order): Order {
  const much = 10n ** 15n;
  const { array } = order;
  if (!array) return { ...order, priceCap: much };
  const priceCap = much * BigInt(array.tasks * array.replicas);
  return { ...order, array: { ...array, unitPrice: much }, priceCap };
}

/** Of two that agree or of a majority; without tier C sometimes one operator's word, mostly. */
function arrayOf(tasks: number, tier: Manifest['tier'], random: SeededRandomness) {
  if (tier !== 'C') return { tasks, replicas: 1 };
  const check = random.pick(['adaptive', 'adaptive', 'majority'] as const);
  return { tasks, replicas: check === 'adaptive' ? 5 : 3, check };
}

function sign(signer: Signer, order: Order): SignedOrder {
  const signature = signer.sign(ORDER_DOMAIN, orderBytes(order));
  return { order, publicKey: signer.publicKey, signature };
}
