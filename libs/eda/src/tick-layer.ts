/**
 * TICKs of this node and of others: the pace of layer A. In sets up to 64 all validators tick; in large
 * ones those with a seat in the tick's committee, and availability comes by certificates.
 */
import type { Bytes } from '#libs/kernel';
import { Availability } from './availability.ts';
import type { Axis } from './axis.ts';
import { Committee } from './committee.ts';
import type { MessageOf, Sealed, Tick } from './messages.ts';
import { type Positions, blockHash } from './positions.ts';
import type { EraRoster, Roster } from './roster.ts';
import type { Seals } from './seals.ts';
import { TickNumbers } from './tick-numbers.ts';
import { Ticks } from './ticks.ts';
import type { EdaConfig, EdaEffect } from './types.ts';

/** An idle chain ticks once a second. */
const IDLE_TICK_US = 1_000_000;
/** Share of the clock differences heard that is cut off at each side, in a sampled set. */
const SAMPLED_TRIM = 0.34;

export interface TickLayerParts {
  readonly config: EdaConfig;
  readonly roster: Roster;
  readonly seat: { readonly me: number };
  readonly seals: Seals;
  readonly axis: Axis;
  readonly positions: Positions;
}

export class TickLayer {
  readonly #parts: TickLayerParts;
  readonly numbers = new TickNumbers();
  readonly availability: Availability;
  readonly #ticks: Ticks;
  #era = 0;
  #committee: Committee | undefined;
  /** Ticks whose signature was found genuine. */
  readonly #genuine = new WeakSet<object>();

  constructor(parts: TickLayerParts) {
    this.#parts = parts;
    const { config, roster, seat, positions } = parts;
    const { deltaUs } = config.parameters;
    this.#ticks = new Ticks(seat, deltaUs);
    this.availability = new Availability({
      chain: config.chain,
      bls: config.auth.bls,
      roster,
      seat,
      deltaUs,
      isOrderable: (...place) => positions.isOrderable(...place),
      available: (name, nowUs) => positions.certify(name, nowUs),
    });
  }

  /** `beacon` is the one at which the era began: committees are drawn from it. */
  enterEra(era: number, beacon: Bytes): void {
    const { roster, config } = this.#parts;
    this.#era = era;
    const current = roster.at(era);
    const parameters = { ...config.parameters, ...current.parameters };
    this.#committee = current.set.isLarge
      ? new Committee(config.auth, { ...current, parameters }, beacon)
      : undefined;
    this.availability.enterEra(era);
  }

  /** Adds to effects of layer A what acknowledgements in a large set cause. */
  acknowledged(effects: EdaEffect[], nowUs: number): EdaEffect[] {
    effects.push(...this.availability.note(effects, blockHash, nowUs));
    return effects;
  }

  tick(k: number, axisUs: number, nowUs: number, out: EdaEffect[]): void {
    const { config, roster, seat, seals, axis, positions } = this.#parts;
    const current = roster.at(this.#era);
    const committee = this.#committee;
    if (this.#ticks.isConnected(current, nowUs, committee)) axis.connectedAt(axisUs);
    this.#followOthers(current, nowUs);
    if (committee) positions.closeSampledTick(k, current, committee);
    else positions.closeTick(k, current);
    for (const { peer, message } of positions.fetches(nowUs))
      out.push({ kind: 'send', to: roster.keyOf(peer), message });
    if (committee) this.availability.wake(nowUs, out);
    const index = current.indexOf(seat.me);
    const drawn = committee && index >= 0 ? committee.own(index, k) : undefined;
    const entries = positions.entries(k, !committee);
    const { deltaUs } = config.parameters;
    const everyTicks = Math.max(1, Math.floor(IDLE_TICK_US / deltaUs));
    const isIdle = entries.length === 0 && !this.#ticks.isBusy(nowUs);
    if (index < 0 || drawn?.seats === 0) return;
    if (isIdle && k < this.numbers.last + everyTicks) return;
    const record = this.numbers.take(k);
    if (record) out.push({ kind: 'journal', record });
    const proof = drawn && { proof: drawn.proof };
    const message: Tick = {
      chain: config.chain,
      era: this.#era,
      k,
      axis: axisUs,
      entries,
      ...proof,
    } as Tick;
    if (drawn) committee?.hear(seat.me, k, drawn.seats);
    const sealed = seals.seal('tick', message, this.#era);
    out.push({ kind: 'broadcast', message: { kind: 'tick', ...sealed } });
    if (!isIdle) this.#passOn(current, sealed.signature, out);
  }

  /** One tick of somebody to somebody else. What is passed on is checked: so most ticks are, by somebody. */
  #passOn(current: EraRoster, draw: Bytes, out: EdaEffect[]): void {
    const { roster } = this.#parts;
    const other = this.#ticks.drawn(current, draw);
    if (!other) return;
    const { about, to, tick } = other;
    if (!this.#isGenuine(tick)) return this.#mute(about);
    if (to === undefined) return;
    out.push({ kind: 'send', to: roster.keyOf(to), message: { kind: 'tick', ...tick } });
  }

  #isGenuine(tick: Sealed<Tick>): boolean {
    const isKnown = this.#genuine.has(tick);
    const isGenuine = isKnown || this.#parts.seals.isSigned('tick', tick);
    if (isGenuine && !isKnown) this.#genuine.add(tick);
    return isGenuine;
  }

  /**
   * It sent a tick over its own link that it did not sign: nothing that others can be shown, but no honest
   * validator does so. Not heard in this era, as if it were silent.
   */
  #mute(peer: number): void {
    this.#parts.positions.burned.add(peer);
  }

  #followOthers(current: EraRoster, nowUs: number): void {
    const { axis, positions } = this.#parts;
    const { errors, weights } = this.#ticks.errors(current, nowUs, positions.burned);
    const heard = weights.reduce((sum, weight) => sum + weight, 0);
    axis.follow(
      errors,
      weights,
      this.#committee ? Math.ceil(SAMPLED_TRIM * heard) : current.set.lying,
    );
  }

  /**
   * @param from the neighbour's public key, proven by its link. What a validator says over its own link needs
   * no signature to be believed; only what is passed on to others does, and is checked then.
   */
  onTick(from: string, message: MessageOf<'tick'>, nowUs: number, out: EdaEffect[]): void {
    const { config, roster, axis, positions } = this.#parts;
    const { chain, era, k, proof } = message.message;
    if (chain !== config.chain || era < this.#era - 1 || era > this.#era + 1) return;
    const set = roster.find(era)?.set;
    const publicKey = set?.validators[message.from]?.publicKey;
    // Seats of another era are drawn from another beacon.
    if (!set || publicKey === undefined || (set.isLarge && era !== this.#era)) return;
    const peer = roster.numberOf(publicKey);
    const isOwnWord = from === publicKey && !set.isLarge;
    if (!isOwnWord && (this.#ticks.knows(peer, message) || !this.#isGenuine(message))) return;
    const seats = set.isLarge ? (this.#committee?.proven(message.from, k, proof) ?? 0) : undefined;
    if (seats === 0) return;
    const other = this.#ticks.hear(peer, message, axis.at(nowUs), nowUs);
    if (other === 'old' || positions.burned.has(peer)) return;
    if (other !== 'new') {
      if (this.#areGenuine(peer, other, message)) positions.burn(peer, other, message, out);
      return;
    }
    if (seats !== undefined) this.#committee?.hear(peer, k, seats);
    for (const effect of positions.hear(peer, message, nowUs))
      if (effect.kind !== 'evidence' || this.#areGenuine(peer, effect.first, effect.second))
        out.push(effect);
  }

  /** Whether two ticks show to others that a validator contradicts itself. If not, only this node knows. */
  #areGenuine(peer: number, first: Sealed<unknown>, second: Sealed<unknown>): boolean {
    const areGenuine = [first, second].every((tick) => this.#isGenuine(tick as Sealed<Tick>));
    if (!areGenuine) this.#mute(peer);
    return areGenuine;
  }
}
