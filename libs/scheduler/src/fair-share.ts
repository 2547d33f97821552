/**
 * Weighted dominant resource fairness with quotas: who is served next, who may borrow, who must give
 * back. A tenant's dominant share is the largest part it holds of any one resource, over its weight.
 * Source: Ghodsi et al., "Dominant Resource Fairness", NSDI 2011.
 */
import { schedulerError } from './errors.ts';

/** Amounts by resource, in the order the fair share was made with. */
export type Amounts = readonly number[];

export interface Tenant {
  readonly name: string;
  /** Twice the weight, twice the share. */
  readonly weight: number;
  /** What it may always have. More is borrowed and can be taken back. */
  readonly quota: Amounts;
}

interface Account {
  readonly tenant: Tenant;
  readonly held: number[];
}

/** Answer of the quota gate. */
export type GateAnswer =
  | { readonly kind: 'own' }
  /** Free capacity beyond its quota, for as long as nobody entitled wants it. */
  | { readonly kind: 'borrow' }
  /** Capacity is held by borrowers: what these tenants hold beyond their quota must come back. */
  | { readonly kind: 'reclaim'; readonly from: readonly string[] }
  /** Nothing free and nothing it may claim. */
  | { readonly kind: 'wait' };

const isAmount = (value: number): boolean => Number.isFinite(value) && value >= 0;

/** Who holds what of one cell's capacity. Mutable; the caller says what was taken and given back. */
export class FairShare {
  #capacity: Amounts;
  readonly #accounts = new Map<string, Account>();
  readonly #held: number[];

  /** @throws SeeleError SCHEDULER_POLICY_INVALID when quotas together exceed the capacity, or make no sense */
  constructor(capacity: Amounts, tenants: readonly Tenant[]) {
    this.#capacity = capacity;
    this.#held = capacity.map(() => 0);
    const promised = capacity.map(() => 0);
    for (const tenant of tenants) {
      for (const [i, amount] of this.#add(tenant).quota.entries()) promised[i]! += amount;
    }
    if (!capacity.every(isAmount) || promised.some((amount, i) => amount > capacity[i]!))
      throw schedulerError(
        'SCHEDULER_POLICY_INVALID',
        `quotas add up to ${promised.join()}, capacity is ${capacity.join()}`,
      );
  }

  #add(tenant: Tenant): Tenant {
    const { name, weight, quota } = tenant;
    const isRight = weight > 0 && Number.isFinite(weight) && quota.length === this.#capacity.length;
    if (!isRight || !quota.every(isAmount) || this.#accounts.has(name))
      throw schedulerError(
        'SCHEDULER_POLICY_INVALID',
        `tenant ${name} has weight ${weight} and quota ${quota.join()}`,
      );
    this.#accounts.set(name, { tenant, held: quota.map(() => 0) });
    return tenant;
  }

  /** The capacity changed: machines came or went. What is held stays held, even above it. */
  setCapacity(capacity: Amounts): void {
    if (capacity.length !== this.#capacity.length || !capacity.every(isAmount))
      throw schedulerError('SCHEDULER_POLICY_INVALID', `capacity ${capacity.join()}`);
    this.#capacity = capacity;
  }

  /** What the tenant may always have from now on. */
  setTerms({ name, weight, quota }: Tenant): void {
    const held = this.#accounts.get(name)?.held ?? quota.map(() => 0);
    this.#accounts.delete(name);
    this.#add({ name, weight, quota });
    this.#accounts.get(name)?.held.splice(0, held.length, ...held);
  }

  /** Takes in a tenant that comes by itself: no quota, everything it holds is borrowed. */
  admit(name: string, weight = 1): void {
    if (!this.#accounts.has(name)) this.#add({ name, weight, quota: this.#capacity.map(() => 0) });
  }

  /** Forgets a tenant that holds nothing. */
  forget(name: string): void {
    if (this.#accounts.get(name)?.held.every((amount) => amount === 0)) this.#accounts.delete(name);
  }

  /** True when this much more stays within what the tenant may always have. */
  isWithinQuota(name: string, wanted: Amounts): boolean {
    const { tenant, held } = this.#account(name);
    return held.every((amount, i) => amount + wanted[i]! <= tenant.quota[i]!);
  }

  #account(name: string): Account {
    const account = this.#accounts.get(name);
    if (account) return account;
    throw schedulerError('SCHEDULER_POLICY_INVALID', `tenant ${name} is not known here`);
  }

  /** Largest part of any resource that the tenant holds, over its weight. */
  dominantShare(name: string): number {
    const { tenant, held } = this.#account(name);
    let share = 0;
    for (const [i, amount] of held.entries())
      if (this.#capacity[i]! > 0) share = Math.max(share, amount / this.#capacity[i]!);
    return share / tenant.weight;
  }

  /** Who is served next of those that want something: the smallest dominant share, then the name. */
  next(wanting: readonly string[]): string | undefined {
    let best: string | undefined;
    let least = Infinity;
    for (const name of wanting) {
      const share = this.dominantShare(name);
      if (share > least || (share === least && best !== undefined && name >= best)) continue;
      best = name;
      least = share;
    }
    return best;
  }

  /** May the tenant have this much more now? Changes nothing. */
  gate(name: string, wanted: Amounts): GateAnswer {
    const isOwn = this.isWithinQuota(name, wanted);
    const isFree = wanted.every((amount, i) => this.#held[i]! + amount <= this.#capacity[i]!);
    if (isFree) return { kind: isOwn ? 'own' : 'borrow' };
    return isOwn ? this.#reclaim(name, wanted) : { kind: 'wait' };
  }

  /** Borrowers with the largest dominant share first, until what they borrow covers what is missing. */
  #reclaim(name: string, wanted: Amounts): GateAnswer {
    const missing = wanted.map((amount, i) => this.#held[i]! + amount - this.#capacity[i]!);
    const from: string[] = [];
    const borrowers = [...this.#accounts.keys()]
      .filter((other) => other !== name)
      .toSorted((a, b) => this.dominantShare(b) - this.dominantShare(a) || (a < b ? -1 : 1));
    for (const other of borrowers) {
      if (missing.every((amount) => amount <= 0)) break;
      const { tenant, held } = this.#account(other);
      const borrowed = held.map((amount, i) => Math.max(0, amount - tenant.quota[i]!));
      if (!borrowed.some((amount, i) => amount > 0 && missing[i]! > 0)) continue;
      for (const [i, amount] of borrowed.entries()) missing[i]! -= amount;
      from.push(other);
    }
    return { kind: 'reclaim', from };
  }

  /** The tenant got this much. @throws SeeleError SCHEDULER_BINDING_INVALID beyond the capacity */
  take(name: string, amounts: Amounts): void {
    const { held } = this.#account(name);
    if (
      amounts.some((amount, i) => !isAmount(amount) || this.#held[i]! + amount > this.#capacity[i]!)
    )
      throw schedulerError('SCHEDULER_BINDING_INVALID', `${name} takes ${amounts.join()}`);
    for (const [i, amount] of amounts.entries()) {
      held[i]! += amount;
      this.#held[i]! += amount;
    }
  }

  /** As `take`, whatever the capacity says: machines may have gone since this was agreed. */
  hold(name: string, amounts: Amounts): void {
    const { held } = this.#account(name);
    if (!amounts.every(isAmount))
      throw schedulerError('SCHEDULER_BINDING_INVALID', `${name} holds ${amounts.join()}`);
    for (const [i, amount] of amounts.entries()) {
      held[i]! += amount;
      this.#held[i]! += amount;
    }
  }

  /** The tenant gave this much back. @throws SeeleError SCHEDULER_BINDING_INVALID beyond what it holds */
  give(name: string, amounts: Amounts): void {
    const { held } = this.#account(name);
    if (amounts.some((amount, i) => !isAmount(amount) || amount > held[i]!))
      throw schedulerError('SCHEDULER_BINDING_INVALID', `${name} gives back ${amounts.join()}`);
    for (const [i, amount] of amounts.entries()) {
      held[i]! -= amount;
      this.#held[i]! -= amount;
    }
  }
}

/** Jain's index of these shares: 1 when all are equal, 1/n when one has everything; 1 for none. */
export function jainIndex(shares: readonly number[]): number {
  let sum = 0;
  let squares = 0;
  for (const share of shares) {
    sum += share;
    squares += share * share;
  }
  return squares === 0 ? 1 : (sum * sum) / (shares.length * squares);
}
