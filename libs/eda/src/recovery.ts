/**
 * What a validator does whose journal was lost: it observes, and signs nothing until no vote it may
 * have sent can still count.
 *
 * It asks all for their last final slot. Let S be the slot it was in when it lost its journal. S − 1
 * was final, so weight Q sent COMMITs in it, and among answers of weight Q is an honest one of these:
 * it held S − 2 final. With F the highest answer, S ≤ F + 2: once F + 2 is final here, nothing is left
 * in which this node could contradict itself. An answer counts when its slot is final here too, so
 * claims that are made up hold nobody up.
 */
import type { MessageOf } from './messages.ts';
import type { EraRoster, Roster } from './roster.ts';
import type { EdaEffect } from './types.ts';

const ASK_DELTAS = 4;

export class Recovery {
  readonly #chain: string;
  readonly #claims = new Map<number, number>();
  #isOver: boolean;
  #isNew = false;
  #isNoted = false;
  #boundSlot: number | undefined;
  #askAtUs = Number.NEGATIVE_INFINITY;

  constructor(chain: string, isNeeded: boolean) {
    this.#chain = chain;
    this.#isOver = !isNeeded;
  }

  get isOver(): boolean {
    return this.#isOver;
  }

  /** The chain has not begun: nothing was ever signed in it. */
  get isNew(): boolean {
    return this.#isNew;
  }

  /** The host has found that out (see `EdaEvent`); nothing has to be waited for. */
  begin(lastSlot: number): void {
    this.#isNew = !this.#isOver && lastSlot === 0;
  }

  /** From the journal: it was begun, or over, before a restart. */
  resume(isOver: boolean): void {
    this.#isOver = isOver;
    this.#isNoted = true;
  }

  /** Writes down that it began, asks until enough have answered. */
  wake(nowUs: number, deltaUs: number, out: EdaEffect[]): void {
    if (this.#isOver) return;
    if (!this.#isNoted)
      out.push({ kind: 'journal', record: { kind: 'recovery', isOver: false, era: 0 } });
    this.#isNoted = true;
    if (this.#boundSlot !== undefined || nowUs < this.#askAtUs) return;
    this.#askAtUs = nowUs + ASK_DELTAS * deltaUs;
    out.push({ kind: 'broadcast', message: { kind: 'recall', chain: this.#chain } });
  }

  /** Answers who asks; takes answers. `peer` is the transport's name of the neighbour. */
  onMessage(
    peer: string,
    message: MessageOf<'recall' | 'recalled'>,
    lastSlot: number,
    roster: Roster,
    out: EdaEffect[],
  ): void {
    const { chain, kind } = message;
    if (chain !== this.#chain || peer === '') return;
    if (kind === 'recall')
      out.push({ kind: 'send', to: peer, message: { kind: 'recalled', chain, slot: lastSlot } });
    else if (!this.#isOver) this.#hear(roster.numberOf(peer), message.slot);
  }

  /** The first answer stands: later ones run ahead of what is final here. */
  #hear(peer: number, slot: number): void {
    if (!this.#claims.has(peer)) this.#claims.set(peer, slot);
  }

  /** Looks whether it is over, now that `lastSlot` is final; true once. */
  settle(lastSlot: number, current: EraRoster): boolean {
    if (this.#isOver) return false;
    if (this.#isNew) {
      this.#isOver = true;
      return true;
    }
    if (this.#boundSlot === undefined) {
      let weight = 0;
      let highest = 0;
      for (const [peer, slot] of this.#claims) {
        if (slot > lastSlot) continue;
        weight += current.weightOf(peer);
        highest = Math.max(highest, slot);
      }
      if (weight < current.set.quorum) return false;
      this.#boundSlot = highest;
    }
    this.#isOver = lastSlot >= this.#boundSlot + 2;
    return this.#isOver;
  }
}
