/** Keeps dialling one peer while it is not linked: growing pauses, jittered so that peers spread. */
import type { Randomness } from '#libs/kernel';
import type { NetLimits } from './limits.ts';
import type { PeerKey } from './transport.ts';
import type { Timers } from './wire.ts';

interface DiallerHost {
  readonly timers: Timers;
  readonly limits: NetLimits;
  readonly randomness: Randomness;
  isLinked(): boolean;
  /** Resolves when a stream is there and greeting has begun. */
  connect(address: string): Promise<void>;
}

const ADDRESSES_MAX = 8;
/** A link that lasted so long was a good one: dial again soon. */
const GOOD_LINK_MS = 5_000;

export class Dialler {
  readonly peer: PeerKey;
  readonly #host: DiallerHost;
  readonly #addresses: string[];
  #turn = 0;
  #failures = 0;
  #isDialling = false;
  #isStopped = false;
  #cancel: (() => void) | undefined;

  constructor(peer: PeerKey, address: string, host: DiallerHost) {
    this.peer = peer;
    this.#addresses = [address];
    this.#host = host;
  }

  addAddress(address: string): void {
    if (this.#addresses.includes(address)) return;
    if (this.#addresses.length >= ADDRESSES_MAX) this.#addresses.shift();
    this.#addresses.push(address);
  }

  dialNow(): void {
    this.#cancel?.();
    this.#cancel = undefined;
    if (this.#isStopped || this.#isDialling || this.#host.isLinked()) return;
    this.#isDialling = true;
    const address = this.#addresses[this.#turn++ % this.#addresses.length] as string;
    this.#host.connect(address).then(
      () => (this.#isDialling = false),
      () => {
        this.#isDialling = false;
        this.#failures++;
        this.#later();
      },
    );
  }

  /** The link with this peer, or an attempt at one, is over. */
  linkEnded(upMs: number): void {
    this.#failures = upMs > GOOD_LINK_MS ? 0 : this.#failures + 1;
    this.#later();
  }

  stop(): void {
    this.#isStopped = true;
    this.#cancel?.();
  }

  #later(): void {
    if (this.#isStopped) return;
    const { limits, timers } = this.#host;
    const longest = Math.min(
      limits.redialMaxMs,
      limits.redialMs * 2 ** Math.min(this.#failures, 16),
    );
    const [draw] = this.#host.randomness.bytes(1);
    const pauseMs = longest * (0.5 + ((draw as number) / 255) * 0.5);
    this.#cancel?.();
    this.#cancel = timers.after(pauseMs, () => this.dialNow());
  }
}
