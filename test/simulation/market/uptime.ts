/** For how long market and chain were both there, by what was seen of them. */

/** Agents speak more often than this: a longer silence is an outage. */
const GAP_MS = 700;

export class Uptime {
  readonly #seen: { readonly atUs: number; readonly upMs: number }[] = [];

  /** The market did something, with the chain there or not. */
  seen(nowUs: number, isChainUp: boolean): void {
    const { atUs, upMs } = this.#seen.at(-1) ?? { atUs: nowUs, upMs: 0 };
    const gapMs = (nowUs - atUs) / 1000;
    this.#seen.push({ atUs: nowUs, upMs: upMs + (isChainUp && gapMs <= GAP_MS ? gapMs : 0) });
  }

  betweenMs(fromUs: number, toUs: number): number {
    return Math.max(0, this.#upTo(toUs) - this.#upTo(fromUs));
  }

  #upTo(timeUs: number): number {
    return this.#seen.findLast(({ atUs }) => atUs <= timeUs)?.upMs ?? 0;
  }
}
