/**
 * What `docs/contracts.md` says about money and orders, written a second time over plain objects and
 * on purpose unlike the contract: it keeps sums instead of records and decides with one `if` each.
 */
export interface ModelOrder {
  readonly id: string;
  readonly consumer: string;
  readonly market: string;
  readonly cap: bigint;
  readonly placeByUs: number;
  readonly completeByUs: number;
  readonly ownChain: boolean;
  readonly signedBy: string;
}

export type Step =
  | { readonly kind: 'transfer'; readonly by: string; readonly to: string; readonly amount: bigint }
  | { readonly kind: 'deposit' | 'request'; readonly by: string; readonly amount: bigint }
  | { readonly kind: 'unrequest' | 'withdraw'; readonly by: string }
  | { readonly kind: 'place'; readonly by: string; readonly order: ModelOrder }
  | {
      readonly kind: 'bind';
      readonly by: string;
      readonly order: ModelOrder;
      readonly provider: string;
      readonly price: bigint;
      readonly fence: number;
    }
  | {
      readonly kind: 'deliver';
      readonly by: string;
      readonly order: ModelOrder;
      readonly provider: string;
      readonly signedBy: string;
      readonly fence: number;
      readonly charge: bigint;
      readonly ownChain: boolean;
    }
  | {
      readonly kind: 'settle' | 'reject';
      readonly by: string;
      readonly order: ModelOrder;
      readonly fence: number;
    }
  | { readonly kind: 'cancel' | 'refund'; readonly by: string; readonly order: ModelOrder };

export type Stage = 'placed' | 'bound' | 'delivered' | 'settled' | 'refunded' | 'cancelled';

interface Live {
  stage: Stage;
  fence: number;
  provider?: string | undefined;
  price: bigint;
  charge: bigint;
  deliveredAtUs: number;
  paid: bigint;
  returned: bigint;
}

export interface ModelTimes {
  readonly withdrawalDelayUs: number;
  readonly settleWindowUs: number;
  readonly deliveryGraceUs: number;
  readonly maxDurationUs: number;
}

type OrderStep = Exclude<
  Step,
  { kind: 'transfer' | 'deposit' | 'request' | 'unrequest' | 'withdraw' | 'place' }
>;

export class OrdersModel {
  readonly tokens = new Map<string, bigint>();
  readonly prepaid = new Map<string, bigint>();
  readonly asked = new Map<string, { amount: bigint; atUs: number }>();
  readonly live = new Map<string, Live>();
  readonly #times: ModelTimes;

  constructor(times: ModelTimes, people: readonly string[], each: bigint) {
    this.#times = times;
    for (const name of people) this.tokens.set(name, each);
  }

  #add(purse: Map<string, bigint>, name: string, amount: bigint): void {
    purse.set(name, (purse.get(name) ?? 0n) + amount);
  }

  /** Does the step and says whether it was allowed. */
  step(step: Step, nowUs: number): boolean {
    switch (step.kind) {
      case 'transfer':
        if (step.amount === 0n || step.amount > (this.tokens.get(step.by) ?? 0n)) return false;
        this.#add(this.tokens, step.by, -step.amount);
        this.#add(this.tokens, step.to, step.amount);
        return true;
      case 'deposit':
        if (step.amount === 0n || step.amount > (this.tokens.get(step.by) ?? 0n)) return false;
        this.#add(this.tokens, step.by, -step.amount);
        this.#add(this.prepaid, step.by, step.amount);
        return true;
      case 'request':
        if (step.amount === 0n || step.amount > (this.prepaid.get(step.by) ?? 0n)) return false;
        this.asked.set(step.by, {
          amount: step.amount,
          atUs: nowUs + this.#times.withdrawalDelayUs,
        });
        return true;
      case 'unrequest':
        return this.asked.delete(step.by);
      case 'withdraw':
        return this.#withdraw(step.by, nowUs);
      case 'place':
        return this.#place(step.by, step.order, nowUs);
      default: {
        const live = this.live.get(step.order.id);
        return live !== undefined && this.#move(live, step, nowUs);
      }
    }
  }

  #withdraw(by: string, nowUs: number): boolean {
    const asked = this.asked.get(by);
    if (!asked || nowUs < asked.atUs) return false;
    const left = this.prepaid.get(by) ?? 0n;
    const amount = asked.amount > left ? left : asked.amount;
    this.asked.delete(by);
    this.#add(this.prepaid, by, -amount);
    this.#add(this.tokens, by, amount);
    return true;
  }

  #place(by: string, order: ModelOrder, nowUs: number): boolean {
    if (this.live.has(order.id) || by !== order.market || !order.ownChain) return false;
    if (order.signedBy !== order.consumer) return false;
    if (nowUs > order.placeByUs || order.placeByUs > order.completeByUs) return false;
    if (nowUs >= order.completeByUs) return false;
    if (order.completeByUs - nowUs > this.#times.maxDurationUs) return false;
    if (order.cap > (this.prepaid.get(order.consumer) ?? 0n)) return false;
    this.#add(this.prepaid, order.consumer, -order.cap);
    this.live.set(order.id, {
      stage: 'placed',
      fence: 0,
      price: 0n,
      charge: 0n,
      deliveredAtUs: 0,
      paid: 0n,
      returned: 0n,
    });
    return true;
  }

  #end(live: Live, order: ModelOrder, stage: Stage, pay: bigint): true {
    live.stage = stage;
    live.paid = pay;
    live.returned = order.cap - pay;
    this.#add(this.prepaid, order.consumer, live.returned);
    if (pay > 0n) this.#add(this.tokens, live.provider as string, pay);
    return true;
  }

  #move(live: Live, step: OrderStep, nowUs: number): boolean {
    const { order, by } = step;
    const { deliveryGraceUs, settleWindowUs } = this.#times;
    const unbound = live.stage === 'placed';
    const bound = live.stage === 'bound';
    const windowOver = nowUs >= live.deliveredAtUs + settleWindowUs;
    switch (step.kind) {
      case 'bind':
        if (by !== order.market || !(unbound || bound)) return false;
        if (step.fence <= live.fence || step.price > order.cap) return false;
        if (nowUs >= order.completeByUs) return false;
        live.stage = 'bound';
        live.fence = step.fence;
        live.provider = step.provider;
        live.price = step.price;
        return true;
      case 'deliver':
        if (!bound || !step.ownChain || step.fence !== live.fence) return false;
        if (step.provider !== live.provider || step.signedBy !== live.provider) return false;
        if (step.charge > live.price || nowUs >= order.completeByUs + deliveryGraceUs) return false;
        live.stage = 'delivered';
        live.charge = step.charge;
        live.deliveredAtUs = nowUs;
        return true;
      case 'settle':
        if (live.stage !== 'delivered' || step.fence !== live.fence) return false;
        if (by !== order.market && by !== order.consumer && !windowOver) return false;
        return this.#end(live, order, 'settled', live.charge);
      case 'reject':
        if (live.stage !== 'delivered' || step.fence !== live.fence) return false;
        if (by !== order.market || windowOver) return false;
        live.provider = undefined;
        live.stage = 'placed';
        return nowUs < order.completeByUs || this.#end(live, order, 'refunded', 0n);
      case 'cancel':
        if (!(by === order.market && (unbound || bound)) && !(by === order.consumer && unbound))
          return false;
        return this.#end(live, order, 'cancelled', 0n);
      case 'refund':
        if (unbound && nowUs >= order.completeByUs) return this.#end(live, order, 'refunded', 0n);
        if (bound && nowUs >= order.completeByUs + deliveryGraceUs)
          return this.#end(live, order, 'refunded', 0n);
        return false;
    }
  }
}
