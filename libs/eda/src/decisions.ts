/** What was decided and what is still to be executed; the beacon that follows from it. */
import { sha256 } from '#libs/crypto';
import { type Bytes, concatBytes } from '#libs/kernel';
import type { BlockName, Body, CutEntry, SealedBlock } from './messages.ts';
import type { EdaEffect, Roots } from './types.ts';

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

  constructor(genesis: Decided, roots: Roots, beacon: Bytes) {
    this.last = genesis;
    this.executed = { slot: genesis.slot, roots };
    this.#beacon = beacon;
    this.eraBeacon = beacon;
  }

  add(body: Body, hash: string): void {
    this.last = { slot: body.slot, hash, timeUs: body.timeUs, entries: body.entries };
    this.#unready.push(this.last);
    this.#beacon = sha256(concatBytes(this.#beacon, body.vrf));
  }

  enterEra(): void {
    this.eraBeacon = this.#beacon;
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
      out.push({ kind: 'ready', slot: next.slot, blocks });
    }
  }

  /** Blocks that the oldest waiting cut lacks. */
  missing(held: ReadonlyMap<string, SealedBlock>): readonly BlockName[] {
    return this.#unready[0]?.entries.filter(({ hash }) => !held.has(hash)) ?? [];
  }
}
