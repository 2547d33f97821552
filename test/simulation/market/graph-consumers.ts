/**
 * Consumers whose orders read each other's results: they submit whole graphs, some of them twice or with a
 * lost answer, cancel one of their orders now and then, and try graphs that must be refused.
 */
import { ORDER_DOMAIN, type Order, type SignedOrder, orderBytes, orderId } from '#contracts';
import type { Signer } from '#libs/crypto';
import type { SeededRandomness } from '#libs/kernel';
import {
  type Manifest,
  type OrderInput,
  type Reply,
  type Submission,
  manifestCid,
} from '#libs/market';
import type { ConsumerOptions } from './consumers.ts';
import { manifestOf, randomScript } from './scripts.ts';

const SECOND_US = 1_000_000;
const ANSWER_MS = 3000;
const TRIES_MAX = 12;
const ORDERS_MAX = 5;
const PASSING: ReadonlySet<string> = new Set([
  'MARKET_OVERLOADED',
  'MARKET_NOTHING_FITS',
  // A market that was down long leaves too little time for the last of a graph.
  'MARKET_DEADLINE',
]);

interface Made extends Submission {
  readonly id: string;
  readonly tasks: number | undefined;
}

export class GraphConsumers {
  readonly #options: ConsumerOptions;
  readonly #random: SeededRandomness;
  #open = 0;

  constructor(options: ConsumerOptions, graphs: number) {
    this.#options = options;
    this.#random = options.world.random.fork('graphs');
    const { world, spreadMs, peaceAtMs } = options;
    for (let i = 0; i < graphs; i++) {
      this.#open += 1;
      const run = (): void => this.#graph();
      world.after(200 + this.#random.float() * spreadMs, 'graph', run);
    }
    this.#open += 1;
    world.after(peaceAtMs + 700, 'graph in peace', () => this.#graphInPeace());
  }

  /** True when nobody will order any more. */
  get areDone(): boolean {
    return this.#open === 0;
  }

  #graph(): void {
    const { consumers, world } = this.#options;
    const random = this.#random;
    const consumer = random.pick(consumers);
    const orders: Made[] = [];
    const count = 2 + random.below(ORDERS_MAX - 1);
    for (let i = 0; i < count; i++) orders.push(this.#order(consumer, orders));
    if (random.chance(0.15)) return this.#attack(consumer, orders);
    this.#submit(orders, 0);
    if (random.chance(0.2)) {
      const { id } = random.pick(orders);
      const cancel = (): void =>
        this.#options.market.cancel(id, consumer.account, ({ is }) =>
          world.count(`cancel in a graph ${is}`),
        );
      world.after(random.below(4000), 'cancel', cancel);
    }
  }

  /** One that reads some of those before it. */
  #order(consumer: Signer, before: readonly Made[], isSteady = false): Made {
    const random = this.#random;
    const whole = { ...randomScript(random), runMs: 20 + random.below(300) };
    const good = { ...whole, ending: random.chance(0.85) ? ('ok' as const) : whole.ending };
    const tasks = !isSteady && random.chance(0.25) ? 1 + random.below(40) : undefined;
    const small = { ...good.limits, wallMs: 100, cpuMs: 100 };
    const script = isSteady
      ? { ...good, ending: 'ok' as const, runMs: 100 }
      : tasks === undefined
        ? good
        : { ...good, limits: small, tasks };
    const from = this.#reads(before);
    const taskInput = this.#each(before, tasks);
    const manifest: Manifest = {
      ...manifestOf(script, random, random.pick(['A', 'B'])),
      ...(isSteady && { minIsolation: 'S0' }),
      ...(from.length > 0 && { from }),
      ...(tasks !== undefined && {
        array: { tasks, replicas: 1, ...(taskInput && { taskInput }) },
      }),
    };
    this.#options.remember(manifest, script);
    const order = this.#terms(consumer, manifest, isSteady);
    return { order: sign(consumer, order), manifest, id: orderId(order), tasks };
  }

  #reads(before: readonly Made[]): OrderInput[] {
    const random = this.#random;
    const count = before.length === 0 ? 0 : 1 + random.below(Math.min(3, before.length));
    const makers = new Set(Array.from({ length: count }, () => random.pick(before)));
    return [...makers].map(({ id, tasks }, i) => ({
      ...{ name: `in${i}`, order: id },
      ...(tasks !== undefined && random.chance(0.5) && { task: random.below(tasks) }),
    }));
  }

  #each(before: readonly Made[], tasks: number | undefined) {
    const like = before.find((one) => tasks !== undefined && one.tasks === tasks);
    return like && { name: 'each', order: like.id };
  }

  #terms(consumer: Signer, manifest: Manifest, isSteady: boolean): Order {
    const { world, chain, marketAccount } = this.#options;
    const random = this.#random;
    const { array } = manifest;
    const unitPrice = BigInt(array ? 1_000 + random.below(3_500) : 60_000 + random.below(80_000));
    const priceCap = isSteady ? 100_000n : unitPrice * BigInt(array?.tasks ?? 1);
    const leftS = isSteady ? 60 : 12 + random.below(24);
    return {
      ...(array && { array: { tasks: array.tasks, replicas: array.replicas, unitPrice } }),
      ...{ chain, consumer: consumer.account, market: marketAccount, priceCap },
      salt: Buffer.from(random.bytes(16)).toString('hex'),
      manifest: manifestCid(manifest),
      placeByUs: world.nowUs + (isSteady ? 30 : 2 + random.below(8)) * SECOND_US,
      completeByUs: world.nowUs + leftS * SECOND_US,
    };
  }

  /** Nothing may keep these from being done, one after the other. */
  #graphInPeace(): void {
    const { patient, invariants } = this.#options;
    const orders: Made[] = [];
    for (let i = 0; i < 3; i++) orders.push(this.#order(patient, orders, true));
    for (const { id } of orders) invariants.mustBePaid(id);
    this.#submit(orders, 0);
  }

  #submit(orders: readonly Made[], tries: number): void {
    const { world, market, invariants } = this.#options;
    let isAnswered = false;
    const again = (delayMs: number): void =>
      tries + 1 < TRIES_MAX
        ? world.after(delayMs, 'graph again', () => this.#submit(orders, tries + 1))
        : void (this.#open -= 1);
    const answer = (reply: Reply): void => {
      if (isAnswered || world.fault('answer to the consumer lost', 0.05)) return;
      isAnswered = true;
      if (reply.is === 'orders') {
        world.count(reply.repeated ? 'graph repeated' : 'graph accepted');
        this.#open -= 1;
      } else if (reply.is === 'refused') {
        world.count(`refused ${reply.code}`);
        if (PASSING.has(reply.code)) again(1000);
        else this.#open -= 1;
      }
    };
    const send = (): void => market.submitGraph(orders, answer);
    if (!world.fault('request lost', 0.02)) world.after(world.between(1, 10), 'submit', send);
    if (world.fault('request sent twice', 0.1)) world.after(world.between(1, 50), 'submit', send);
    for (const { id, order } of orders) invariants.knownOrder(id, order);
    world.after(ANSWER_MS, 'no answer', () => {
      if (isAnswered) return;
      isAnswered = true;
      again(0);
    });
  }

  /** Each must be refused whole: afterwards none of its orders is there. */
  #attack(consumer: Signer, orders: readonly Made[]): void {
    const { world, market, patient, consumers } = this.#options;
    this.#open -= 1;
    const [first] = orders as [Made];
    const other = consumers.find(({ account }) => account !== consumer.account) ?? patient;
    const reading = (order: string, change: Partial<OrderInput> = {}, by = consumer): Made => {
      const from = [{ name: 'x', order, ...change }];
      const manifest = { ...first.manifest, from };
      delete (manifest as { array?: unknown }).array;
      const terms = this.#terms(by, manifest, true);
      return { order: sign(by, terms), manifest, id: orderId(terms), tasks: undefined };
    };
    const attacks: readonly [string, readonly Made[]][] = [
      ['MARKET_INPUT_UNKNOWN', [reading('00'.repeat(32))]],
      ['MARKET_INPUT_UNKNOWN', [reading(first.id), first]],
      ['MARKET_INPUT_SHAPE', [first, reading(first.id, { task: first.tasks ?? 0 })]],
      ['MARKET_INPUT_FOREIGN', [first, reading(first.id, {}, other)]],
      ['MARKET_GRAPH_LIMIT', []],
    ];
    const [expected, sent] = this.#random.pick(attacks);
    market.submitGraph(sent, (reply) => {
      const got = reply.is === 'refused' ? reply.code : reply.is;
      world.count(`refused ${got}`);
      // What comes first may be refused for the moment's reasons.
      const isRight = reply.is === 'refused' && (got === expected || reply.at === 0);
      world.check(isRight, 'admission', () => `${expected} wanted, got ${got}`);
      const isThere = sent.some(({ id }) => market.market?.orders.has(id));
      world.check(!isThere, 'admission', () => 'a part of a refused graph was taken');
    });
  }
}

function sign(signer: Signer, order: Order): SignedOrder {
  const signature = signer.sign(ORDER_DOMAIN, orderBytes(order));
  return { order, publicKey: signer.publicKey, signature };
}
