/**
 * What `docs/contracts.md` says about orders of many tasks, written a second time, unit by unit: who has
 * each unit, what each batch holds, and where the money is. It shares no rule with the contract.
 */
export interface ModelArray {
  readonly id: string;
  readonly consumer: string;
  readonly market: string;
  readonly cap: bigint;
  readonly tasks: number;
  readonly replicas: number;
  readonly unitPrice: bigint;
  readonly completeByUs: number;
}

/** As a caller writes it: ascending or not. */
export type Ranges = readonly { readonly from: number; readonly count: number }[];

interface About {
  readonly by: string;
  readonly order: ModelArray;
}

export type BatchStep =
  | (About & { readonly kind: 'place' | 'cancel' | 'refund' })
  | (About & {
      readonly kind: 'bindUnits';
      readonly provider: string;
      readonly price: bigint;
      readonly fence: number;
      readonly units: Ranges;
    })
  | (About & {
      readonly kind: 'deliverUnits';
      readonly provider: string;
      readonly signedBy: string;
      readonly ownChain: boolean;
      readonly fence: number;
      readonly units: Ranges;
      readonly charge: bigint;
    })
  | (About & {
      readonly kind: 'settleUnits';
      readonly fence: number;
      readonly withheld?: { readonly units: Ranges; readonly charge: bigint };
    })
  | (About & { readonly kind: 'releaseUnits'; readonly fence: number })
  /** What goes for an order of one task only. */
  | (About & { readonly kind: 'bind'; readonly provider: string; readonly fence: number });

export interface ModelBatch {
  readonly fence: number;
  readonly provider: string;
  readonly price: bigint;
  readonly units: readonly number[];
  readonly held: bigint;
  delivered?: { readonly units: readonly number[]; readonly charge: bigint; readonly atUs: number };
}

export interface LiveArray {
  stage: 'placed' | 'settled' | 'refunded' | 'cancelled';
  highestFence: number;
  readonly open: Map<number, ModelBatch>;
  readonly paidUnits: Set<number>;
  paid: bigint;
  returned: bigint;
}

export interface BatchTimes {
  readonly settleWindowUs: number;
  readonly deliveryGraceUs: number;
}

const MOST_UNITS = 200;

/** The units, when the ranges are written as they must be. */
export function listed(ranges: Ranges, total: number): number[] | undefined {
  const units = ranges.flatMap(({ from, count }) =>
    Array.from({ length: count }, (_, i) => from + i),
  );
  const isAscending = ranges.every(
    ({ from, count }, i) => count > 0 && from > end(ranges[i - 1], -1),
  );
  const isWithin = units.length > 0 && units.length <= MOST_UNITS && Math.max(...units) < total;
  return isAscending && isWithin ? units : undefined;
}

const end = (range: Ranges[number] | undefined, before: number): number =>
  range ? range.from + range.count : before;

export class BatchesModel {
  readonly tokens = new Map<string, bigint>();
  readonly prepaid = new Map<string, bigint>();
  readonly live = new Map<string, LiveArray>();
  readonly #times: BatchTimes;

  constructor(times: BatchTimes, people: readonly string[], each: bigint) {
    this.#times = times;
    for (const name of people) this.tokens.set(name, each);
  }

  deposit(by: string, amount: bigint): void {
    add(this.tokens, by, -amount);
    add(this.prepaid, by, amount);
  }

  /** Does the step and says whether it was allowed. */
  step(step: BatchStep, nowUs: number): boolean {
    const { order, by } = step;
    const live = this.live.get(order.id);
    if (step.kind === 'place') return live === undefined && this.#place(by, order, nowUs);
    if (live?.stage !== 'placed') return false;
    switch (step.kind) {
      case 'bindUnits':
        return this.#bind(live, step, nowUs);
      case 'deliverUnits':
        return this.#deliver(live, step, nowUs);
      case 'settleUnits':
        return this.#settle(live, step, nowUs);
      case 'releaseUnits': {
        const batch = live.open.get(step.fence);
        const isLate = nowUs >= order.completeByUs + this.#times.deliveryGraceUs;
        if (!batch || batch.delivered || (by !== order.market && !isLate)) return false;
        return this.#close(live, order, batch, [], 0n);
      }
      case 'cancel':
        return (by === order.market || by === order.consumer) && end0(live, 'cancelled');
      case 'refund':
        return nowUs >= order.completeByUs && end0(live, 'refunded');
      case 'bind':
        return false;
    }
  }

  #place(by: string, order: ModelArray, nowUs: number): boolean {
    const { tasks, replicas, unitPrice, cap, completeByUs } = order;
    if (by !== order.market || nowUs >= completeByUs) return false;
    if (tasks < 1 || replicas < 1 || unitPrice > cap) return false;
    this.live.set(order.id, {
      ...{ stage: 'placed', highestFence: 0, open: new Map(), paidUnits: new Set() },
      ...{ paid: 0n, returned: 0n },
    });
    return true;
  }

  #bind(
    live: LiveArray,
    { by, order, provider, price, fence, units: ranges }: Extract<BatchStep, { kind: 'bindUnits' }>,
    nowUs: number,
  ): boolean {
    const units = listed(ranges, order.tasks * order.replicas);
    if (by !== order.market || fence === 0 || live.open.has(fence) || !units) return false;
    if (price > order.unitPrice || nowUs >= order.completeByUs) return false;
    const taken = new Set([...live.open.values()].flatMap((batch) => batch.units));
    if (units.some((unit) => taken.has(unit) || live.paidUnits.has(unit))) return false;
    const held = price * BigInt(units.length);
    let spent = live.paid + held;
    for (const other of live.open.values()) spent += other.held;
    if (spent > order.cap || held > (this.prepaid.get(order.consumer) ?? 0n)) return false;
    add(this.prepaid, order.consumer, -held);
    live.open.set(fence, { fence, provider, price, units, held });
    live.highestFence = Math.max(live.highestFence, fence);
    return true;
  }

  #deliver(
    live: LiveArray,
    step: Extract<BatchStep, { kind: 'deliverUnits' }>,
    nowUs: number,
  ): boolean {
    const { order, provider, signedBy, ownChain, fence, charge } = step;
    const batch = live.open.get(fence);
    const units = listed(step.units, order.tasks * order.replicas);
    if (!batch || batch.delivered || !units || !ownChain) return false;
    if (provider !== batch.provider || signedBy !== batch.provider) return false;
    if (units.some((unit) => !batch.units.includes(unit))) return false;
    if (charge > batch.price * BigInt(units.length)) return false;
    if (nowUs >= order.completeByUs + this.#times.deliveryGraceUs) return false;
    batch.delivered = { units, charge, atUs: nowUs };
    return true;
  }

  #settle(
    live: LiveArray,
    { order, by, fence, withheld }: Extract<BatchStep, { kind: 'settleUnits' }>,
    nowUs: number,
  ): boolean {
    const batch = live.open.get(fence);
    if (!batch?.delivered) return false;
    const { units, charge, atUs } = batch.delivered;
    const isOver = nowUs >= atUs + this.#times.settleWindowUs;
    if (by !== order.market && by !== order.consumer && !isOver) return false;
    if (!withheld) return this.#close(live, order, batch, units, charge);
    const odd = listed(withheld.units, order.tasks * order.replicas);
    if (by !== order.market || isOver || !odd) return false;
    if (odd.some((unit) => !units.includes(unit)) || withheld.charge > charge) return false;
    const kept = units.filter((unit) => !odd.includes(unit));
    return this.#close(live, order, batch, kept, charge - withheld.charge);
  }

  #close(
    live: LiveArray,
    order: ModelArray,
    batch: ModelBatch,
    units: readonly number[],
    pay: bigint,
  ): true {
    live.open.delete(batch.fence);
    for (const unit of units) live.paidUnits.add(unit);
    live.paid += pay;
    live.returned += batch.held - pay;
    add(this.tokens, batch.provider, pay);
    add(this.prepaid, order.consumer, batch.held - pay);
    return true;
  }
}

/** Ends an order without open batches; one that paid for anything counts as settled. */
function end0(live: LiveArray, stage: 'cancelled' | 'refunded'): boolean {
  if (live.open.size > 0) return false;
  live.stage = live.paid > 0n ? 'settled' : stage;
  return true;
}

function add(purse: Map<string, bigint>, name: string, amount: bigint): void {
  purse.set(name, (purse.get(name) ?? 0n) + amount);
}
