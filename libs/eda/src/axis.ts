/**
 * The virtual axis on which blocks get positions: the local clock with a correction that follows the
 * other validators, never backwards, never below a time this node has signed.
 */
import { trimmed } from './weighted.ts';

export const CORRECTION_MAX_US = 2_000_000;
const CONNECTED_TICKS = 6;

export class Axis {
  readonly #deltaUs: number;
  #correctionUs = 0;
  #lastUs: number;
  /** Axis at the last connected ticks, oldest first. */
  readonly #connected: number[] = [];

  constructor(deltaUs: number, floorUs: number) {
    this.#deltaUs = deltaUs;
    this.#lastUs = floorUs;
  }

  at(nowUs: number): number {
    this.#lastUs = Math.max(this.#lastUs, Math.floor(nowUs + this.#correctionUs));
    return this.#lastUs;
  }

  /** A time this node signed: the axis will not read below it. */
  raiseTo(timeUs: number): void {
    this.#lastUs = Math.max(this.#lastUs, timeUs);
  }

  get correctionUs(): number {
    return this.#correctionUs;
  }

  /**
   * Follows the others: `errors` are (peer axis + Δ/2 − own axis at receipt). Inside ±Δ nothing moves
   * (jitter would drive every clock), else 0.2Δ a tick, 2 s in all.
   */
  follow(errors: readonly number[], weights: readonly number[], trim: number): void {
    const mean = trimmed(errors, weights, trim)?.mean ?? 0;
    if (Math.abs(mean) <= this.#deltaUs) return;
    const step = Math.max(-0.2 * this.#deltaUs, Math.min(0.2 * this.#deltaUs, mean));
    const next = this.#correctionUs + step;
    this.#correctionUs = Math.max(-CORRECTION_MAX_US, Math.min(CORRECTION_MAX_US, next));
  }

  /** Marks a tick at which fresh ticks of weight Q were held. */
  connectedAt(axisUs: number): void {
    this.#connected.push(axisUs);
    if (this.#connected.length > CONNECTED_TICKS) this.#connected.shift();
  }

  /**
   * Up to where this node lets a cut reach: its axis six connected ticks ago, so that what arrived
   * while it was cut off is not late.
   */
  cutTimeUs(nowUs: number, settleUs: number, followsConnection: boolean): number {
    const settled = this.at(nowUs) - settleUs;
    if (!followsConnection) return settled;
    const oldest = this.#connected[0];
    if (oldest === undefined || this.#connected.length < CONNECTED_TICKS)
      return Number.NEGATIVE_INFINITY;
    return Math.min(oldest, settled);
  }
}
