/** What was decided and what is still to be executed; the beacon that follows from it. */
import { sha256 } from '#libs/crypto';
import { type Bytes, concatBytes } from '#libs/kernel';
import type { EdaBase } from './base.ts';
import type { BlockName, Body, CutEntry, SealedBlock } from './messages.ts';
import type { EdaEffect, Roots } from './types.ts';

/** Payloads of so many executed cuts are kept for peers; older ones come from the host's store. */
const SERVED_CUTS = 16;

export interface Decided {
  readonly slot: number;
  readonly hash: string;
  readonly timeUs: number;
  readonly entries: readonly CutEntry[];
}

export class Decisions {
  last: Decided;
  executed: { readonly slot: number; readonly roots: Roots };
  /** b of the last slot; `eraBeacon` is the b at which the era began. */
  #beacon: Bytes;
  eraBeacon: Bytes;
  /** Decided slots whose blocks are not all held, in order. */
  readonly #unready: Decided[] = [];
  /** Handed out and not executed yet, by slot. */
  readonly #released = new Map<number, Decided>();

  /** Blocks of the last executed cuts, oldest first. */
  readonly #served: (readonly CutEntry[])[] = [];

  constructor({ slot, hash, timeUs, beacon, eraBeacon }: EdaBase, roots: Roots) {
    this.last = { slot, hash, timeUs, entries: [] };
    this.executed = { slot, roots };
    this.#beacon = beacon;
    this.eraBeacon = eraBeacon;
  }

  add(body: Body, hash: string): void {
    this.last = { slot: body.slot, hash, timeUs: body.timeUs, entries: body.entries };
    this.#unready.push(this.last);
    this.#beacon = sha256(concatBytes(this.#beacon, body.vrf));
  }

  enterEra(): void {
    this.eraBeacon = this.#beacon;
  }

  /** The next slot is executed, from its blocks or otherwise; forgets payloads nobody needs here. */
  markExecuted(slot: number, roots: Roots, held: Map<string, SealedBlock>): void {
    this.executed = { slot, roots };
    const waiting = this.#unready[0];
    const done = waiting?.slot === slot ? this.#unready.shift() : this.#released.get(slot);
    this.#released.delete(slot);
    if (done) this.#served.push(done.entries);
    if (this.#served.length <= SERVED_CUTS) return;
    for (const { hash } of this.#served.shift() ?? []) held.delete(hash);
  }

  /** Whether a decided cut waits for this block. */
  needs(hash: string): boolean {
    return this.#unready.some(({ entries }) => entries.some((entry) => entry.hash === hash));
  }

  /** Hands out decided slots whose blocks are all held. */
  release(held: ReadonlyMap<string, SealedBlock>, out: EdaEffect[]): void {
    for (let next = this.#unready[0]; next; next = this.#unready[0]) {
      const blocks: SealedBlock[] = [];
      for (const { hash } of next.entries) {
        const block = held.get(hash);
        if (!block) return;
        blocks.push(block);
      }
      this.#unready.shift();
      this.#released.set(next.slot, next);
      out.push({ kind: 'ready', slot: next.slot, blocks });
    }
  }

  /** Blocks that the oldest waiting cut lacks. */
  missing(held: ReadonlyMap<string, SealedBlock>): readonly BlockName[] {
    return this.#unready[0]?.entries.filter(({ hash }) => !held.has(hash)) ?? [];
  }
}
