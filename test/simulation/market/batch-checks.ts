/**
 * Invariants of batches: no unit is paid twice (I2), what is paid is what was accepted, and what was
 * accepted is paid (I3), with its results in storage.
 */
import { batchDeliveryHash, ordersEvents, readEvent, unitsOf } from '#contracts';
import type { Receipt } from '#libs/ledger';
import { type Market, type StoredRow, decodeRow } from '#libs/market';
import type { Replicas } from './replica-checks.ts';
import { Uptime } from './uptime.ts';
import type { World } from './world.ts';

/** Of market and chain both, between the acceptance of a batch and its order's `completeBy`. */
const ENOUGH_UPTIME_MS = 4_000;

interface Accepted {
  readonly delivery: string;
  readonly charge: bigint;
  readonly atUs: number;
}

export interface BatchChecksOptions {
  readonly world: World;
  readonly hasResult: (cid: string, maxBytes: number) => boolean;
  readonly completeByUs: (order: string) => number | undefined;
}

export class BatchChecks {
  readonly #options: BatchChecksOptions;
  /** Order → its units that were paid. */
  readonly #paidUnits = new Map<string, Set<number>>();
  /** Order and fence → the delivery of a batch whose acceptance a provider was told. */
  readonly #accepted = new Map<string, Accepted>();
  /** Order and fence → the delivery of a batch that the chain got. */
  readonly #told = new Map<string, string>();
  /** Order and fence → what was paid. */
  readonly #settled = new Map<string, bigint>();
  readonly #uptime = new Uptime();

  constructor(options: BatchChecksOptions) {
    this.#options = options;
  }

  #check(holds: boolean, name: string, text: () => string): void {
    this.#options.world.check(holds, name, text);
  }

  marketSeen(isChainUp: boolean): void {
    this.#uptime.seen(this.#options.world.nowUs, isChainUp);
  }

  chainEvent(event: Receipt['events'][number]): void {
    const told = readEvent(ordersEvents.unitsDelivered, event);
    if (told) this.#told.set(`${told.order}/${told.fence}`, told.delivery);
    const settled = readEvent(ordersEvents.unitsSettled, event);
    if (!settled) return;
    const { order, fence, units, delivery, paid } = settled;
    const known = this.#paidUnits.get(order) ?? new Set<number>();
    this.#paidUnits.set(order, known);
    for (const unit of unitsOf(units)) {
      this.#check(!known.has(unit), 'I2', () => `unit ${unit} of ${order} paid twice`);
      known.add(unit);
    }
    const key = `${order}/${fence}`;
    const accepted = this.#accepted.get(key);
    this.#check(
      accepted === undefined || accepted.delivery === delivery || units.length === 0,
      'I3',
      () => `batch ${fence} of ${order}: another delivery is paid than was accepted`,
    );
    if (paid > 0n) this.#settled.set(key, paid);
  }

  /** A provider was told that a batch counts. */
  accepted(lease: string, market: Market | undefined): void {
    for (const batches of market?.batchesOf.values() ?? [])
      for (const batch of batches.values()) {
        if (batch.lease !== lease || batch.state !== 'delivered' || !batch.delivery) continue;
        const { delivery } = batch.delivery;
        this.#accepted.set(`${batch.order}/${batch.fence}`, {
          delivery: batchDeliveryHash(delivery),
          charge: delivery.charge,
          atUs: this.#options.world.nowUs,
        });
      }
  }

  /** Everything is quiet. */
  final(rows: ReadonlyMap<string, StoredRow>, replicas: Replicas): void {
    for (const [key, accepted] of this.#accepted)
      // Of replicas the odd ones are taken back once others have answered.
      this.#checkPaid(key, { ...accepted, charge: accepted.charge - replicas.takenBack(key) });
    for (const [key, stored] of rows) if (key.startsWith('units/')) this.#checkResults(stored);
  }

  /** What was accepted is paid, unless market or chain were away for all the time there was. */
  #checkPaid(key: string, { delivery, charge, atUs }: Accepted): void {
    // Nobody owes anything to a provider that told the chain something else.
    if ((this.#told.get(key) ?? delivery) !== delivery) return;
    const paid = this.#settled.get(key) ?? 0n;
    const untilUs = this.#options.completeByUs(key.split('/')[0] as string) ?? Infinity;
    const hadMs = this.#uptime.betweenMs(atUs, untilUs);
    const isExcused = paid === 0n && hadMs < ENOUGH_UPTIME_MS;
    if (paid !== charge && isExcused) this.#options.world.count('batch unpaid after an outage');
    this.#check(
      paid === charge || isExcused,
      'I3',
      () => `batch ${key} was accepted for ${charge}, paid ${paid} though there were ${hadMs} ms`,
    );
  }

  /** What is paid of a batch has its results in storage. */
  #checkResults(stored: StoredRow): void {
    const { order, fence, state, delivery } = decodeRow('units', stored.bytes);
    const results = delivery?.delivery.results;
    if (results === undefined || state !== 'delivered') return;
    if (!this.#settled.has(`${order}/${fence}`)) return;
    this.#check(
      this.#options.hasResult(results, Infinity),
      'results',
      () => `batch ${fence} of ${order} was paid without results`,
    );
  }
}
