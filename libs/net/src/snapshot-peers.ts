/** Whom a copying node asks: peers that offer the state, in turn, without those that lied or failed. */
import type { Bytes } from '#libs/kernel';
import { hasCode, isSeeleError } from '#libs/kernel';
import { netError } from './errors.ts';
import {
  type SnapshotAnswer,
  type SnapshotAnswerOf,
  type SnapshotOffer,
  type SnapshotQuestion,
  decodeAnswer,
  encodeQuestion,
} from './snapshot-messages.ts';
import type { PeerKey } from './transport.ts';
import type { Timers } from './wire.ts';

export interface SnapshotPeersOptions {
  readonly timers: Timers;
  readonly peers: () => readonly PeerKey[];
  /** Asks one peer; rejects with NET_REQUEST_FAILED. */
  readonly ask: (peer: PeerKey, question: Bytes) => Promise<Bytes>;
  /** The peer has lied: cut it off. */
  readonly accuse: (peer: PeerKey, why: string) => void;
  /** How long to go on with nobody to ask. */
  readonly giveUpMs: number;
}

const RETRY_MS = 500;

export class SnapshotPeers {
  readonly #options: SnapshotPeersOptions;
  readonly #liars = new Set<PeerKey>();
  /** Peers that failed to answer rest for a while. */
  readonly #restUntilMs = new Map<PeerKey, number>();
  #turn = 0;

  constructor(options: SnapshotPeersOptions) {
    this.#options = options;
  }

  accuse(peer: PeerKey, why: string): void {
    if (this.#liars.has(peer)) return;
    this.#liars.add(peer);
    this.#options.accuse(peer, why);
  }

  /** Peers that may be asked now. */
  usable(): readonly PeerKey[] {
    const nowMs = this.#options.timers.nowMs();
    return this.#options
      .peers()
      .filter((peer) => !this.#liars.has(peer) && (this.#restUntilMs.get(peer) ?? 0) <= nowMs);
  }

  async #ask(peer: PeerKey, question: SnapshotQuestion): Promise<SnapshotAnswer | undefined> {
    try {
      const answer = decodeAnswer(await this.#options.ask(peer, encodeQuestion(question)));
      if (answer.kind === question.kind) return answer;
      this.accuse(peer, 'an answer to another question');
    } catch (error) {
      if (!isSeeleError(error)) throw error;
      if (hasCode(error, 'NET_REQUEST_FAILED'))
        this.#restUntilMs.set(peer, this.#options.timers.nowMs() + 4 * RETRY_MS);
      else this.accuse(peer, error.message);
    }
    return undefined;
  }

  /** What all peers offer now. */
  async offers(): Promise<readonly { readonly peer: PeerKey; readonly offer: SnapshotOffer }[]> {
    const answers = await Promise.all(
      this.usable().map(async (peer) => {
        const answer = await this.#ask(peer, { kind: 'offers' });
        return answer?.kind === 'offers' ? answer.offers.map((offer) => ({ peer, offer })) : [];
      }),
    );
    return answers.flat();
  }

  /**
   * Asks one peer after the other until `check` accepts an answer; whoever sends something else is
   * accused.
   * @throws NET_SYNC_FAILED when nobody has answered for `giveUpMs`
   */
  async find<K extends SnapshotQuestion['kind'], T>(
    question: Extract<SnapshotQuestion, { kind: K }>,
    check: (answer: SnapshotAnswerOf<K>) => T | undefined,
  ): Promise<{ readonly peer: PeerKey; readonly found: T }> {
    const { timers, giveUpMs } = this.#options;
    const sinceMs = timers.nowMs();
    for (;;) {
      const usable = this.usable();
      const peer = usable[this.#turn++ % Math.max(1, usable.length)];
      if (peer === undefined) {
        if (timers.nowMs() - sinceMs >= giveUpMs)
          throw netError('NET_SYNC_FAILED', `nobody has answered for ${giveUpMs} ms`);
        await this.pause();
        continue;
      }
      const found = await this.askOne(peer, question, check);
      if (found !== undefined) return { peer, found };
    }
  }

  /** Asks this peer; undefined when it fails, or lies and is accused. */
  async askOne<K extends SnapshotQuestion['kind'], T>(
    peer: PeerKey,
    question: Extract<SnapshotQuestion, { kind: K }>,
    check: (answer: SnapshotAnswerOf<K>) => T | undefined,
  ): Promise<T | undefined> {
    const answer = await this.#ask(peer, question);
    if (!answer) return undefined;
    const found = check(answer as SnapshotAnswerOf<K>);
    if (found === undefined) this.accuse(peer, `a false answer about ${question.kind}`);
    return found;
  }

  pause(): Promise<void> {
    return new Promise((resolve) => void this.#options.timers.after(RETRY_MS, resolve));
  }
}
