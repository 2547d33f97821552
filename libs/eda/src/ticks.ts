/** Who was heard when: connection, clock differences, and validators that say two things at once. */
import { equalBytes } from '#libs/kernel';
import type { Committee } from './committee.ts';
import { type Sealed, type Tick, signedBytes } from './messages.ts';
import type { EraRoster } from './roster.ts';

const FRESH_DELTAS = 2;
/** Sampled ticks: as many as an estimate of who is connected needs. */
const SAMPLED_FRESH_DELTAS = 4;
const SAMPLED_SHARE = 7 / 8;
const KEPT = 4;
/** Farther from the own axis than this, a tick is neither fresh nor a measure of the clock. */
const WILD_US = 5_000_000;

interface Heard {
  k: number;
  atUs: number;
  errorUs: number;
  readonly ticks: Sealed<Tick>[];
}

export class Ticks {
  readonly #seat: { readonly me: number };
  readonly #deltaUs: number;
  readonly #heard = new Map<number, Heard>();
  #busyAtUs = Number.NEGATIVE_INFINITY;

  constructor(seat: { readonly me: number }, deltaUs: number) {
    this.#seat = seat;
    this.#deltaUs = deltaUs;
  }

  /** This very tick, signature and all, was heard before: others pass ticks on. */
  knows(peer: number, { message, signature }: Sealed<Tick>): boolean {
    const same = this.#heard.get(peer)?.ticks.find(({ message: { k } }) => k === message.k);
    if (!same || !equalBytes(same.signature, signature)) return false;
    return equalBytes(signedBytes('tick', same.message), signedBytes('tick', message));
  }

  /** Takes a tick: `new`, `old` (seen or overtaken), or the other tick the peer signed for this k. */
  hear(
    peer: number,
    tick: Sealed<Tick>,
    axisUs: number,
    nowUs: number,
  ): 'new' | 'old' | Sealed<Tick> {
    const { k, axis, entries } = tick.message;
    if (entries.length > 0) this.#busyAtUs = nowUs;
    const heard = this.#heard.get(peer) ?? { k: -1, atUs: 0, errorUs: 0, ticks: [] };
    this.#heard.set(peer, heard);
    const same = heard.ticks.find(({ message }) => message.k === k);
    if (same) return isSameTick(same, tick) ? 'old' : same;
    heard.ticks.push(tick);
    if (heard.ticks.length > KEPT) heard.ticks.shift();
    if (k <= heard.k || Math.abs(axis - axisUs) > WILD_US) return 'old';
    heard.k = k;
    heard.atUs = nowUs;
    heard.errorUs = axis + Math.floor(this.#deltaUs / 2) - axisUs;
    return 'new';
  }

  /**
   * The last tick of some other validator, for a third one to compare with what it heard itself: how two
   * ticks of one number come together when each was told to some only. Chosen by a signature of this node,
   * so that nobody knows beforehand which one it is and who compares. `to` is absent when there is no third.
   */
  drawn(
    current: EraRoster,
    signature: Uint8Array,
  ):
    | { readonly about: number; readonly to: number | undefined; readonly tick: Sealed<Tick> }
    | undefined {
    const { peers } = current;
    const draw = (at: number) => (signature[at] ?? 0) * 256 + (signature[at + 1] ?? 0);
    const about = peers[draw(0) % peers.length] as number;
    const to = peers[draw(2) % peers.length] as number;
    const tick = this.#heard.get(about)?.ticks.at(-1);
    return tick && { about, to: to === about || to === this.#seat.me ? undefined : to, tick };
  }

  #isFresh(heard: Heard, nowUs: number, deltas: number = FRESH_DELTAS): boolean {
    return nowUs - heard.atUs <= deltas * this.#deltaUs;
  }

  /**
   * Fresh ticks of weight Q are held, one's own counted. Of sampled ticks each stands for those that had
   * no seat lately; an eighth below Q is what such an estimate may err.
   */
  isConnected(current: EraRoster, nowUs: number, committee?: Committee): boolean {
    const deltas = committee ? SAMPLED_FRESH_DELTAS : FRESH_DELTAS;
    let weight = current.weightOf(this.#seat.me);
    for (const [peer, heard] of this.#heard) {
      const own = current.weightOf(peer);
      if (own === 0 || peer === this.#seat.me || !this.#isFresh(heard, nowUs, deltas)) continue;
      weight += committee ? own / committee.presence(own, deltas) : own;
    }
    return weight >= current.set.quorum * (committee ? SAMPLED_SHARE : 1);
  }

  /** Some validator had open blocks a moment ago. */
  isBusy(nowUs: number): boolean {
    return nowUs - this.#busyAtUs <= 8 * this.#deltaUs;
  }

  /** How far the axes of others are ahead of one's own. */
  errors(current: EraRoster, nowUs: number, burned: ReadonlySet<number>) {
    const errors = [0];
    const weights = [current.weightOf(this.#seat.me)];
    for (const [peer, heard] of this.#heard) {
      const weight = current.weightOf(peer);
      if (peer === this.#seat.me || weight === 0 || burned.has(peer)) continue;
      if (!this.#isFresh(heard, nowUs)) continue;
      errors.push(heard.errorUs);
      weights.push(weight);
    }
    return { errors, weights };
  }
}

function isSameTick(a: Sealed<Tick>, b: Sealed<Tick>): boolean {
  if (a === b || a.message === b.message) return true;
  return equalBytes(signedBytes('tick', a.message), signedBytes('tick', b.message));
}
