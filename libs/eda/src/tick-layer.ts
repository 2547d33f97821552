/**
 * TICKs of this node and of others: the pace of layer A. In sets up to 64 all validators tick; in large
 * ones those with a seat in the tick's committee, and availability comes by certificates.
 */
import type { Bytes } from '#libs/kernel';
import { Availability } from './availability.ts';
import type { Axis } from './axis.ts';
import { Committee } from './committee.ts';
import type { MessageOf, Tick } from './messages.ts';
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
    const other = isIdle ? undefined : this.#ticks.forwarded(current, sealed.signature);
    if (!other) return;
    const to = roster.keyOf(other.to);
    out.push({ kind: 'send', to, message: { kind: 'tick', ...other.tick } });
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

  onTick(message: MessageOf<'tick'>, nowUs: number, out: EdaEffect[]): void {
    const { roster, seals, axis, positions } = this.#parts;
    const { era, k, proof } = message.message;
    if (era < this.#era - 1 || era > this.#era + 1) return;
    const set = roster.find(era)?.set;
    const publicKey = set?.validators[message.from]?.publicKey;
    // Seats of another era are drawn from another beacon.
    if (!set || publicKey === undefined || (set.isLarge && era !== this.#era)) return;
    const peer = roster.numberOf(publicKey);
    if (this.#ticks.knows(peer, message) || !seals.isSigned('tick', message)) return;
    const seats = set.isLarge ? (this.#committee?.proven(message.from, k, proof) ?? 0) : undefined;
    if (seats === 0) return;
    const other = this.#ticks.hear(peer, message, axis.at(nowUs), nowUs);
    if (other === 'old' || positions.burned.has(peer)) return;
    if (other !== 'new') return positions.burn(peer, other, message, out);
    if (seats !== undefined) this.#committee?.hear(peer, k, seats);
    out.push(...positions.hear(peer, message, nowUs));
  }
}
