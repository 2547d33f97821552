/** NEWVIEWs of one slot: who is in which view, and with what justification. */
import type { NewView, Sealed } from './messages.ts';
import type { ValidatorSet } from './validator-set.ts';

const KEPT_PER_VALIDATOR = 8;

export class NewViews {
  readonly #set: ValidatorSet;
  /** By validator, then view. */
  readonly #kept = new Map<number, Map<number, Sealed<NewView>>>();

  constructor(set: ValidatorSet) {
    this.#set = set;
  }

  get(from: number, view: number): Sealed<NewView> | undefined {
    return this.#kept.get(from)?.get(view);
  }

  /** All that is kept of a validator. */
  of(from: number): Iterable<Sealed<NewView>> {
    return this.#kept.get(from)?.values() ?? [];
  }

  /** Keeps the first of a validator and view. */
  add(sealed: Sealed<NewView>): void {
    const byView = this.#kept.get(sealed.from) ?? new Map<number, Sealed<NewView>>();
    this.#kept.set(sealed.from, byView);
    if (!byView.has(sealed.message.view)) byView.set(sealed.message.view, sealed);
    if (byView.size > KEPT_PER_VALIDATOR) byView.delete(Math.min(...byView.keys()));
  }

  #weight(from: number): number {
    return this.#set.weights[from] ?? 0;
  }

  /** The highest view above `view` that weight above r is in or beyond; undefined when there is none. */
  joinable(view: number): number | undefined {
    const highest: { view: number; weight: number }[] = [];
    for (const [from, byView] of this.#kept)
      highest.push({ view: Math.max(...byView.keys()), weight: this.#weight(from) });
    highest.sort((a, b) => b.view - a.view);
    let weight = 0;
    for (const entry of highest) {
      weight += entry.weight;
      if (entry.view <= view) return undefined;
      if (weight > this.#set.lying) return entry.view;
    }
    return undefined;
  }

  /** Weight that is in `view` or beyond. */
  weightFrom(view: number): number {
    let weight = 0;
    for (const [from, byView] of this.#kept)
      if (Math.max(...byView.keys()) >= view) weight += this.#weight(from);
    return weight;
  }

  /** NEWVIEWs for exactly this view, of weight `needed`; undefined while there is less. */
  justification(view: number, needed: number): readonly Sealed<NewView>[] | undefined {
    const chosen: Sealed<NewView>[] = [];
    let weight = 0;
    for (const byView of this.#kept.values()) {
      const newView = byView.get(view);
      if (!newView) continue;
      chosen.push(newView);
      weight += this.#weight(newView.from);
      if (weight >= needed) return chosen;
    }
    return undefined;
  }
}
