/**
 * Whose turn it is: weighted dominant resource fairness between the accounts that order, over the
 * slots, cores and memory of all providers known. A quota is a share that an account may always have;
 * beyond it everything is borrowed, for as long as nobody entitled wants it.
 */
import { type Amounts, FairShare } from '#libs/scheduler';
import type { JobNeeds } from '../model/rows.ts';
import type { ProviderState } from '../state.ts';

/** What the operator grants one account; others have weight 1 and no quota. */
export interface TenantTerms {
  readonly account: string;
  readonly weight: number;
  /** Share of everything, 0 to 1. */
  readonly quota: number;
}

/** Slots, cores, memory. */
const amountsOf = ({ cores, memoryBytes }: JobNeeds, slots = 1): Amounts => [
  slots,
  slots * cores,
  slots * memoryBytes,
];

interface Held {
  readonly account: string;
  readonly amounts: Amounts;
}

export class Tenants {
  readonly #terms: ReadonlyMap<string, TenantTerms>;
  readonly #share: FairShare;
  readonly #held = new Map<string, Held>();
  readonly #capacity = [0, 0, 0];

  constructor(terms: readonly TenantTerms[]) {
    this.#terms = new Map(terms.map((one) => [one.account, one]));
    this.#share = new FairShare([...this.#capacity], []);
  }

  /** An offer took the place of another (or of nothing). */
  offered(
    before: ProviderState['row']['offer'] | undefined,
    now: ProviderState['row']['offer'],
  ): void {
    for (const [i, key] of (['slots', 'cores', 'memoryBytes'] as const).entries())
      this.#capacity[i] = (this.#capacity[i] ?? 0) + now[key] - (before?.[key] ?? 0);
    this.#share.setCapacity([...this.#capacity]);
    for (const { account, weight, quota } of this.#terms.values())
      this.#share.setTerms({
        ...{ name: account, weight },
        quota: this.#capacity.map((amount) => amount * quota),
      });
  }

  /** Of all providers known. */
  get slots(): number {
    return this.#capacity[0] ?? 0;
  }

  /** The account has this many more slots, under a key that is given back once. */
  take(key: string, account: string, needs: JobNeeds, slots = 1): void {
    if (this.#held.has(key)) return;
    const amounts = amountsOf(needs, slots);
    this.#held.set(key, { account, amounts });
    this.#share.admit(account);
    this.#share.hold(account, amounts);
  }

  giveBack(key: string): void {
    const held = this.#held.get(key);
    if (!held) return;
    this.#held.delete(key);
    this.#share.give(held.account, held.amounts);
    if (!this.#terms.has(held.account)) this.#share.forget(held.account);
  }

  /** Dominant share over its weight; 0 for who holds nothing. */
  shareOf(account: string): number {
    this.#share.admit(account);
    const share = this.#share.dominantShare(account);
    if (share === 0 && !this.#terms.has(account)) this.#share.forget(account);
    return share;
  }

  /** True while this much more is within what the account may always have. */
  isEntitled(account: string, needs: JobNeeds): boolean {
    return this.#terms.has(account) && this.#share.isWithinQuota(account, amountsOf(needs));
  }

  /** True for a tenant with a quota that borrows nothing. */
  isWithinQuota(account: string): boolean {
    return this.#terms.has(account) && this.#share.isWithinQuota(account, [0, 0, 0]);
  }

  /**
   * Who is served next: accounts below their quota first, then the smallest share, then the name.
   * @param skipped those that have nothing that fits
   */
  next(accounts: Iterable<string>, skipped: ReadonlySet<string>): string | undefined {
    let best: string | undefined;
    let least = Infinity;
    for (const account of accounts) {
      if (skipped.has(account)) continue;
      const share = this.shareOf(account);
      // What is within a quota counts as nothing against the others' borrowing.
      const { weight, quota } = this.#terms.get(account) ?? { weight: 1, quota: 0 };
      const rank = share * weight < quota ? share - 1 : share;
      if (rank > least || (rank === least && best !== undefined && account >= best)) continue;
      best = account;
      least = rank;
    }
    return best;
  }
}
