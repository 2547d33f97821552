/** For tests: many orders through the real reducer, with providers that take so long for each. */
import { DELIVERY_DOMAIN, type Delivery, deliveryBytes } from '#contracts';
import type { Signer } from '#libs/crypto';
import type { Manifest } from '../manifest.ts';
import type { MarketEffect } from '../model/effects.ts';
import { chargeFor } from '../pricing.ts';
import { type Driver, SOME_CID, signerOf } from './driver.ts';

export interface Work {
  readonly driver: Driver;
  /** Names of the providers, as they joined. */
  readonly providers: readonly string[];
  /** How long the run of an order takes. */
  readonly runMs: (order: string) => number;
}

interface Run {
  readonly lease: string;
  readonly untilMs: number;
  readonly by: string;
}

/** Orders go in, leases are worked off in virtual time. */
export class Shift {
  readonly #work: Work;
  /** Orders that are being run: until when, and by whom. */
  readonly #running = new Map<string, Run>();

  constructor(work: Work) {
    this.#work = work;
  }

  get running(): Iterable<string> {
    return this.#running.keys();
  }

  /** Gives an order in and takes its binding out of the queue. */
  order(consumer: Signer, manifest: Manifest, priceCap = 1_000_000n): string {
    const { driver } = this.#work;
    const order = driver.order(
      manifest,
      { priceCap, completeByUs: driver.nowUs + 3.6e9 },
      consumer,
    );
    const reply = driver.submit(order, manifest, 10n ** 15n);
    if (reply.is !== 'order') throw new Error(JSON.stringify(reply));
    this.bind(reply.view.id);
    return reply.view.id;
  }

  bind(id: string): void {
    const { driver } = this.#work;
    const binding = driver.market.orders.get(id)?.binding ?? 0;
    this.take(driver.apply({ kind: 'bindingDue', request: 'q', order: id, binding }));
  }

  /** What the agents and the queue are told. */
  take(effects: readonly MarketEffect[]): void {
    const { driver, runMs } = this.#work;
    for (const effect of effects) {
      if (effect.kind === 'enqueueBinding') this.bind(effect.order);
      if (effect.kind !== 'sendAgent') continue;
      const { message, session } = effect;
      if (message.kind === 'lease') {
        const untilMs = driver.nowMs + runMs(message.order);
        this.#running.set(message.order, { lease: message.lease, untilMs, by: session });
        this.take(driver.say(session, { kind: 'accept', lease: message.lease }));
      }
      if (message.kind === 'cancel') this.#stop(message.lease);
    }
  }

  #stop(lease: string): void {
    for (const [order, run] of this.#running) if (run.lease === lease) this.#running.delete(order);
  }

  /** Lets time pass until the next run ends, and hands it in. Returns the order, or undefined for none. */
  next(): string | undefined {
    const { driver } = this.#work;
    const ends = [...this.#running].toSorted(([, a], [, b]) => a.untilMs - b.untilMs);
    const [first] = ends;
    if (!first) return undefined;
    const [order, { untilMs, by }] = first;
    this.#running.delete(order);
    this.take(driver.wait(Math.max(0, untilMs - driver.nowMs)));
    this.#deliver(order, by);
    for (const name of this.#work.providers) this.#beat(name);
    return order;
  }

  #beat(name: string): void {
    const { driver } = this.#work;
    const provider = driver.market.providers.get(signerOf(name).account);
    const leases = [...(provider?.holding ?? [])].flatMap(
      (id) => driver.market.orders.get(id)?.lease?.lease ?? [],
    );
    const freeSlots = (provider?.row.offer.slots ?? 0) - leases.length;
    this.take(driver.say(name, { kind: 'heartbeat', freeSlots, leases }));
  }

  #deliver(id: string, by: string): void {
    const { driver, runMs } = this.#work;
    const row = driver.market.orders.get(id);
    if (!row?.lease) return;
    const { lease } = row;
    const usage = { cpuMs: runMs(id), wallMs: runMs(id) };
    const delivery: Delivery = {
      ...{ chain: driver.market.config.chain, order: id, provider: lease.provider },
      ...{ fence: lease.fence, exit: 'ok', result: SOME_CID },
      usage: { ...usage, peakMemoryBytes: 1, inputBytes: 0, outputBytes: 10 },
      charge: chargeFor(lease, row.needs.limits, usage, lease.price),
      ...{ logLength: row.log.length, logHead: row.log.head },
    };
    const signer = signerOf(by);
    const signature = signer.sign(DELIVERY_DOMAIN, deliveryBytes(delivery));
    const signed = { delivery, publicKey: signer.publicKey, signature };
    this.take(driver.say(by, { kind: 'deliver', lease: lease.lease, delivery: signed }));
    const outcome = { is: 'good', sizeBytes: 10 } as const;
    const { fence } = lease;
    this.take(driver.apply({ kind: 'resultChecked', order: id, fence, outcome }));
  }
}
