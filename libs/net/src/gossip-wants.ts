/** Announced items that are not here: asked of one announcer after the other, until one delivers. */
import { BoundedMap } from './bounded-map.ts';
import { GOSSIP_IDS_MAX } from './gossip-messages.ts';
import type { PeerKey } from './transport.ts';
import type { Timers } from './wire.ts';

const WANTS_MAX = 8192;
const ANNOUNCERS_MAX = 8;

interface Want {
  readonly announcers: PeerKey[];
  asked: PeerKey | undefined;
  askedAtMs: number;
}

interface WantOptions {
  readonly timers: Timers;
  readonly pullMs: number;
  readonly ask: (peer: PeerKey, ids: readonly string[]) => void;
}

export class GossipWants {
  readonly #options: WantOptions;
  readonly #wants = new BoundedMap<string, Want>(WANTS_MAX);
  #cancel: (() => void) | undefined;

  constructor(options: WantOptions) {
    this.#options = options;
  }

  announced(peer: PeerKey, id: string): void {
    const want = this.#wants.get(id);
    if (!want) {
      // A push is often just behind its announcement by another peer: asked at the next turn.
      const { timers, pullMs } = this.#options;
      const askedAtMs = timers.nowMs() - pullMs * 0.9;
      this.#wants.set(id, { announcers: [peer], asked: undefined, askedAtMs });
    } else if (want.announcers.length < ANNOUNCERS_MAX && !want.announcers.includes(peer))
      want.announcers.push(peer);
    this.#later();
  }

  arrived(id: string): void {
    this.#wants.delete(id);
  }

  forget(peer: PeerKey): void {
    for (const id of [...this.#wants.keys()]) {
      const want = this.#wants.get(id) as Want;
      const at = want.announcers.indexOf(peer);
      if (at >= 0) want.announcers.splice(at, 1);
      if (want.asked === peer) want.askedAtMs = Number.NEGATIVE_INFINITY;
    }
  }

  close(): void {
    this.#cancel?.();
  }

  #later(): void {
    const { timers, pullMs } = this.#options;
    this.#cancel ??= timers.after(pullMs / 10, () => {
      this.#cancel = undefined;
      this.#turn(timers.nowMs());
      if (this.#wants.size > 0) this.#later();
    });
  }

  #turn(nowMs: number): void {
    const { pullMs, ask } = this.#options;
    const questions = new Map<PeerKey, string[]>();
    for (const id of [...this.#wants.keys()]) {
      const want = this.#wants.get(id) as Want;
      if (nowMs - want.askedAtMs < pullMs) continue;
      const peer = want.announcers.shift();
      if (peer === undefined) {
        this.#wants.delete(id);
        continue;
      }
      want.asked = peer;
      want.askedAtMs = nowMs;
      const ids = questions.get(peer) ?? [];
      questions.set(peer, ids);
      ids.push(id);
    }
    for (const [peer, ids] of questions)
      for (let at = 0; at < ids.length; at += GOSSIP_IDS_MAX)
        ask(peer, ids.slice(at, at + GOSSIP_IDS_MAX));
  }
}
