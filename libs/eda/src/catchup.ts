/** Decided slots for peers that lag, and asking peers that are ahead. */
import type {
  BlockName,
  Body,
  Certificate,
  EdaMessage,
  MessageOf,
  SealedBlock,
} from './messages.ts';
import { FETCH_MAX } from './messages.ts';
import type { EdaEffect } from './types.ts';
import type { Validator } from './validator-set.ts';
import { RESEND_DELTAS } from './voting-types.ts';

/** Decided cuts kept here; older ones come from the host's store by state sync. */
const KEPT_SLOTS = 256;
const SERVED_AT_ONCE = 16;
const BUFFERED_MAX = 1024;

export class Catchup {
  readonly #deltaUs: number;
  readonly #finals = new Map<number, MessageOf<'final'>>();
  readonly #byHash = new Map<string, Body>();
  readonly #helpedAt = new Map<string, number>();
  readonly #askedAt = new Map<string, number>();
  #fetchAtUs = 0;
  #turn = 0;
  #last = { slot: 0, decidedAtUs: Number.NEGATIVE_INFINITY };

  constructor(deltaUs: number) {
    this.#deltaUs = deltaUs;
  }

  keep(body: Body, certificate: Certificate, nowUs: number): void {
    this.#last = { slot: body.slot, decidedAtUs: nowUs };
    this.#finals.set(body.slot, { kind: 'final', body, certificate });
    this.#byHash.set(certificate.hash, body);
    const old = this.#finals.get(body.slot - KEPT_SLOTS);
    if (!old) return;
    this.#finals.delete(old.body.slot);
    this.#byHash.delete(old.certificate.hash);
  }

  bodyOf(hash: string): Body | undefined {
    return this.#byHash.get(hash);
  }

  #isDue(times: Map<string, number>, peer: string, nowUs: number): boolean {
    if ((times.get(peer) ?? Number.NEGATIVE_INFINITY) > nowUs - this.#deltaUs) return false;
    times.set(peer, nowUs);
    return true;
  }

  /**
   * A peer votes in a slot that is decided: tells it. Not the last votes of a slot that was decided a
   * moment ago, though: they come from peers that have the others' votes, and who has not sends again.
   */
  help(
    peer: string,
    kind: EdaMessage['kind'],
    slot: number,
    nowUs: number,
    out: EdaEffect[],
  ): void {
    const { slot: last, decidedAtUs } = this.#last;
    const isFresh = slot === last && nowUs < decidedAtUs + RESEND_DELTAS * this.#deltaUs;
    if (isFresh && kind !== 'newview') return;
    if (peer !== '' && this.#isDue(this.#helpedAt, peer, nowUs)) this.serve(peer, slot, out);
  }

  serve(peer: string, fromSlot: number, out: EdaEffect[]): void {
    for (let slot = fromSlot; slot < fromSlot + SERVED_AT_ONCE; slot++) {
      const message = this.#finals.get(slot);
      if (!message) return;
      out.push({ kind: 'send', to: peer, message });
    }
  }

  /** What a peer asked for and this node holds. */
  answer(
    peer: string,
    { blocks, bodies, finalsFrom }: MessageOf<'fetch'>,
    held: ReadonlyMap<string, SealedBlock>,
    voting: { body(hash: string): Body | undefined },
    out: EdaEffect[],
  ): void {
    for (const hash of blocks) {
      const block = held.get(hash);
      if (block) out.push({ kind: 'send', to: peer, message: { kind: 'block', ...block } });
    }
    for (const hash of bodies) {
      const body = voting.body(hash) ?? this.bodyOf(hash);
      if (body) out.push({ kind: 'send', to: peer, message: { kind: 'body', body } });
    }
    if (finalsFrom !== null) this.serve(peer, finalsFrom, out);
  }

  /** A peer votes in a slot ahead: asks it for what was decided. */
  ask(peer: string, slot: number, nowUs: number, out: EdaEffect[]): void {
    if (peer === '' || !this.#isDue(this.#askedAt, peer, nowUs)) return;
    const message: EdaMessage = { kind: 'fetch', blocks: [], bodies: [], finalsFrom: slot };
    out.push({ kind: 'send', to: peer, message });
  }

  /** Keeps a message of the next slot; the oldest goes when there are too many. */
  buffer(buffered: EdaMessage[], message: EdaMessage): EdaMessage[] {
    if (buffered.length >= BUFFERED_MAX) buffered.shift();
    buffered.push(message);
    return buffered;
  }

  /** Asks for blocks of a decided cut, another peer each time. */
  fetchBlocks(
    missing: readonly BlockName[],
    peers: readonly Validator[],
    own: string,
    nowUs: number,
    out: EdaEffect[],
  ): void {
    if (missing.length === 0 || nowUs < this.#fetchAtUs) return;
    this.#fetchAtUs = nowUs + 2 * this.#deltaUs;
    const blocks = missing.slice(0, FETCH_MAX).map(({ hash }) => hash);
    for (let asked = 0; asked < Math.min(2, peers.length); asked++) {
      const to = peers[this.#turn++ % peers.length]?.publicKey ?? own;
      if (to === own) continue;
      out.push({
        kind: 'send',
        to,
        message: { kind: 'fetch', blocks, bodies: [], finalsFrom: null },
      });
    }
  }
}
