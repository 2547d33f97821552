/**
 * One link: greets, proves who is there, then carries messages both ways until it ends. Knows nothing
 * of other links; the host decides whom to admit and which of two links to keep.
 */
import type { Bytes } from '#libs/kernel';
import { isSeeleError } from '#libs/kernel';
import type { Signer } from '#libs/crypto';
import type { Counters } from './counters.ts';
import { CONTROL_PROTOCOL, FrameReader, frameMessage } from './frames.ts';
import { HELLO_MAX_BYTES, type Role, checkHello, createHello } from './hello.ts';
import type { NetLimits } from './limits.ts';
import { ReceiveRates } from './receive-rates.ts';
import { SendQueues } from './send-queues.ts';
import { LINK_ENDS, type LinkEnd, type PeerKey, type ProtocolRules } from './transport.ts';
import type { Timers, Wire } from './wire.ts';

export interface LinkHost {
  readonly signer: Signer;
  readonly network: string;
  readonly protocols: ReadonlyMap<number, ProtocolRules>;
  readonly limits: NetLimits;
  readonly counters: Counters;
  readonly timers: Timers;
  /** The peer has proven its key: undefined to go on, or why the link ends. */
  admit(link: Link): LinkEnd | undefined;
  up(link: Link): void;
  /** `byUs`: this side ended it. */
  ended(link: Link, end: LinkEnd, byUs: boolean, detail: string | undefined): void;
  deliver(link: Link, protocol: number, message: Bytes): void | Promise<void>;
}

const CONTROL = { hello: 0, ping: 1, pong: 2, goodbye: 3 } as const;
const CONTROL_MAX_BYTES = 1 + HELLO_MAX_BYTES;
const PING_BYTES = 9;
/** Pongs that may wait; a peer that pings without reading is not answered. */
const CONTROL_IN_FLIGHT_MAX = 64;
const WRITE_BYTES = 64 * 1024;
const GOODBYE_GRACE_MS = 500;
const ENDS_BY_CODE = new Map<number, LinkEnd>(
  Object.entries(LINK_ENDS).map(([end, code]) => [code, end as LinkEnd]),
);

export class Link {
  readonly role: Role;
  readonly wire: Wire;
  /** Where the other side was dialled. */
  readonly address: string | undefined;
  upAtMs = 0;
  roundTripMs: number | undefined;
  readonly #host: LinkHost;
  readonly #expected: PeerKey | undefined;
  readonly #queues: SendQueues;
  readonly #reader: FrameReader;
  readonly #rates: ReceiveRates;
  #peer: PeerKey | undefined;
  #state: 'greeting' | 'open' | 'ended' = 'greeting';
  #cancelTimeout: () => void;
  #inFlight = 0;
  #controlsInFlight = 0;
  #isScheduled = false;
  #takenAtMs = 0;
  #heardAtMs: number;
  #inHand = 0;
  /** Why reading is paused: handlers are busy, or the peer sends too fast. */
  readonly #pauses = new Set<'busy' | 'rate'>();
  #ping: { readonly number: number; readonly sentMs: number } | undefined;
  #pings = 0;

  constructor(
    host: LinkHost,
    wire: Wire,
    dialled?: { readonly peer: PeerKey; readonly address: string },
  ) {
    this.#host = host;
    this.wire = wire;
    this.role = dialled ? 'dialler' : 'listener';
    this.#expected = dialled?.peer;
    this.address = dialled?.address;
    this.#queues = new SendQueues([...host.protocols.values()], (id) => host.counters.of(id));
    this.#rates = new ReceiveRates(host.protocols, host.timers.nowMs());
    this.#reader = new FrameReader(
      (protocol) => this.#limitOf(protocol),
      (protocol, message) => this.#onMessage(protocol, message),
    );
    const { timers, limits } = host;
    this.#heardAtMs = timers.nowMs();
    this.#cancelTimeout = timers.after(limits.handshakeMs, () => this.end('handshake-timeout'));
  }

  /** Begins to greet; not in the constructor because the host must know the link first. */
  open(): void {
    this.wire.open(
      (bytes) => this.#onBytes(bytes),
      (why) => this.#finish(why === 'closed' ? 'closed' : 'failed', false, why),
    );
    if (this.role === 'dialler') this.#greet();
  }

  /** The proven key of the other side; the empty string before. */
  get peer(): PeerKey {
    return this.#peer ?? '';
  }
  get isOpen(): boolean {
    return this.#state === 'open';
  }
  /** Whom this side dialled. */
  get dialledPeer(): PeerKey | undefined {
    return this.#expected;
  }
  get dialler(): PeerKey {
    return this.role === 'dialler' ? this.#host.signer.publicKey : this.peer;
  }
  get queuedBytes(): number {
    return this.#queues.bytes;
  }
  queuedBytesOf(protocol: number): number {
    return this.#queues.bytesOf(protocol);
  }

  /** False when the queue is full. */
  send(protocol: number, message: Bytes): boolean {
    const nowMs = this.#host.timers.nowMs();
    if (this.#inFlight === 0 && this.#queues.isEmpty) this.#takenAtMs = nowMs;
    if (!this.#queues.add(protocol, message, nowMs)) return false;
    this.#schedule();
    return true;
  }

  /**
   * Once every few seconds: signs of life, age limits. A process that stood still (suspended, starved) has not
   * read what lies there, and wakes up here first: that time is nobody's silence.
   */
  maintain(stoodStillMs: number): void {
    if (this.#state !== 'open') return;
    const { timers, limits } = this.#host;
    const nowMs = timers.nowMs();
    this.#heardAtMs += stoodStillMs;
    this.#takenAtMs += stoodStillMs;
    this.#queues.expire(nowMs);
    const isWaiting = this.#inFlight > 0 || !this.#queues.isEmpty;
    if (isWaiting && nowMs - this.#takenAtMs > limits.stallMs) return this.end('stalled');
    if (this.#pauses.size === 0 && nowMs - this.#heardAtMs > limits.silenceMs)
      return this.end('silent');
    this.#sendPing(nowMs);
  }

  /** Says why, then ends. */
  end(end: LinkEnd, detail?: string): void {
    if (this.#state === 'ended') return;
    const code = LINK_ENDS[end];
    if (code > 0) this.#control(Uint8Array.of(CONTROL.goodbye, code));
    this.#finish(end, true, detail);
  }

  #finish(end: LinkEnd, byUs: boolean, detail?: string): void {
    if (this.#state === 'ended') return;
    this.#state = 'ended';
    this.#cancelTimeout();
    this.#queues.clear();
    this.wire.end(GOODBYE_GRACE_MS);
    this.#host.ended(this, end, byUs, detail);
  }

  #limitOf(protocol: number): number | undefined {
    if (protocol === CONTROL_PROTOCOL) return CONTROL_MAX_BYTES;
    return this.#state === 'open' ? this.#host.protocols.get(protocol)?.maxMessageBytes : undefined;
  }

  #onBytes(bytes: Bytes): void {
    if (this.#state === 'ended') return;
    this.#heardAtMs = this.#host.timers.nowMs();
    try {
      this.#reader.push(bytes);
    } catch (error) {
      if (!isSeeleError(error)) throw error;
      this.end((error.detail.end as LinkEnd | undefined) ?? 'misbehaved', error.message);
    }
  }

  #onMessage(protocol: number, message: Bytes): void {
    if (this.#state === 'ended') return;
    if (protocol === CONTROL_PROTOCOL) return this.#onControl(message);
    const counters = this.#host.counters.of(protocol);
    counters.receivedMessages++;
    counters.receivedBytes += message.length;
    this.#limitRate(protocol, message.length);
    try {
      const work = this.#host.deliver(this, protocol, message);
      if (work) this.#await(work, message.length);
    } catch (error) {
      this.#accuse(error);
    }
  }

  // Work of handlers.

  #await(work: Promise<void>, bytes: number): void {
    this.#inHand += bytes;
    const { inHandBytes } = this.#host.limits;
    if (this.#inHand > inHandBytes) this.#pause('busy');
    void work
      .catch((error: unknown) => this.#accuse(error))
      .finally(() => {
        this.#inHand -= bytes;
        if (this.#inHand <= inHandBytes / 2) this.#resume('busy');
      });
  }

  /** A handler found the peer at fault; anything but a SeeleError is a fault of our own. */
  #accuse(error: unknown): void {
    if (!isSeeleError(error)) throw error;
    this.end('misbehaved', error.message);
  }

  #limitRate(protocol: number, bytes: number): void {
    const { timers } = this.#host;
    const pauseMs = this.#rates.pauseMs(protocol, bytes, timers.nowMs());
    if (pauseMs <= 0 || this.#pauses.has('rate')) return;
    this.#pause('rate');
    timers.after(pauseMs, () => this.#resume('rate'));
  }

  #pause(why: 'busy' | 'rate'): void {
    if (this.#pauses.size === 0) this.wire.pause();
    this.#pauses.add(why);
  }

  #resume(why: 'busy' | 'rate'): void {
    if (!this.#pauses.delete(why) || this.#pauses.size > 0 || this.#state === 'ended') return;
    this.#heardAtMs = this.#host.timers.nowMs();
    this.wire.resume();
  }

  // The link's own messages.

  #control(message: Bytes): void {
    this.#controlsInFlight++;
    this.wire.write(frameMessage(CONTROL_PROTOCOL, message), () => this.#controlsInFlight--);
  }

  #greet(): void {
    const { signer, network } = this.#host;
    const hello = createHello(signer, network, this.role, this.wire.binding);
    const message = new Uint8Array(1 + hello.length);
    message[0] = CONTROL.hello;
    message.set(hello, 1);
    this.#control(message);
  }

  #onControl(message: Bytes): void {
    const kind = message[0];
    if (kind === CONTROL.goodbye && message.length === 2) {
      const end = ENDS_BY_CODE.get(message[1] as number) ?? 'closed';
      return this.#finish(end, false, 'the other side said so');
    }
    if (this.#state === 'greeting')
      return kind === CONTROL.hello
        ? this.#onHello(message.subarray(1))
        : this.end('malformed-frame', 'no greeting');
    if (kind === CONTROL.ping && message.length === PING_BYTES) {
      if (this.#controlsInFlight >= CONTROL_IN_FLIGHT_MAX) return;
      const pong = message.slice();
      pong[0] = CONTROL.pong;
      return this.#control(pong);
    }
    if (kind === CONTROL.pong && message.length === PING_BYTES) return this.#onPong(message);
    this.end('malformed-frame', `a control message of kind ${kind}`);
  }

  #onHello(bytes: Bytes): void {
    const { network } = this.#host;
    const theirRole = this.role === 'dialler' ? 'listener' : 'dialler';
    const checked = checkHello(bytes, network, theirRole, this.wire.binding);
    if ('end' in checked) return this.end(checked.end);
    if (this.#expected !== undefined && checked.peer !== this.#expected)
      return this.end('not-authentic', `${checked.peer} answers at ${this.address}`);
    this.#peer = checked.peer;
    const refusal = this.#host.admit(this);
    if (refusal) return this.end(refusal);
    if (this.role === 'listener') this.#greet();
    this.#cancelTimeout();
    this.#state = 'open';
    this.upAtMs = this.#host.timers.nowMs();
    this.#takenAtMs = this.upAtMs;
    this.#host.up(this);
    this.#sendPing(this.upAtMs);
  }

  #sendPing(nowMs: number): void {
    if (this.#controlsInFlight >= CONTROL_IN_FLIGHT_MAX) return;
    this.#ping = { number: ++this.#pings, sentMs: nowMs };
    const message = new Uint8Array(PING_BYTES);
    message[0] = CONTROL.ping;
    new DataView(message.buffer).setFloat64(1, this.#pings);
    this.#control(message);
  }

  #onPong(message: Bytes): void {
    const number = new DataView(message.buffer, message.byteOffset).getFloat64(1);
    if (this.#ping?.number !== number) return;
    const sampleMs = this.#host.timers.nowMs() - this.#ping.sentMs;
    this.#ping = undefined;
    this.roundTripMs =
      this.roundTripMs === undefined ? sampleMs : this.roundTripMs * 0.75 + sampleMs * 0.25;
  }

  // Sending.

  #schedule(): void {
    if (this.#isScheduled || this.#state !== 'open') return;
    if (this.#inFlight >= this.#host.limits.inFlightBytes) return;
    this.#isScheduled = true;
    this.#host.timers.soon(() => {
      this.#isScheduled = false;
      this.#flush();
    });
  }

  #flush(): void {
    const { limits, timers } = this.#host;
    while (this.#state === 'open' && this.#inFlight < limits.inFlightBytes) {
      const bytes = this.#queues.take(WRITE_BYTES, timers.nowMs());
      if (!bytes) return;
      this.#inFlight += bytes.length;
      this.wire.write(bytes, () => {
        this.#inFlight -= bytes.length;
        this.#takenAtMs = timers.nowMs();
        if (!this.#queues.isEmpty) this.#schedule();
      });
    }
  }
}
