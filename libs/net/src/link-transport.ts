/** The transport port over any carrier of encrypted streams: whom to link, which link to keep. */
import type { Bytes } from '#libs/kernel';
import { Counters } from './counters.ts';
import { Dialler } from './dialler.ts';
import { netError } from './errors.ts';
import { DEFAULT_LIMITS, type NetLimits, checkProtocols } from './limits.ts';
import { Link, type LinkHost } from './link.ts';
import type { TransportOptions } from './options.ts';
import type {
  LinkEnd,
  MessageHandler,
  PeerEvent,
  PeerKey,
  PeerStats,
  ProtocolRules,
  SendOutcome,
  Transport,
  TransportStats,
} from './transport.ts';
import type { Carrier, Wire } from './wire.ts';

const BANS_MAX = 1024;
/** What no honest peer does: it is not admitted for a while. */
const OFFENCES: ReadonlySet<LinkEnd> = new Set([
  'malformed-frame',
  'frame-too-large',
  'unknown-protocol',
  'misbehaved',
]);

export class LinkTransport implements Transport, LinkHost {
  readonly publicKey: PeerKey;
  readonly signer: TransportOptions['signer'];
  readonly network: string;
  readonly protocols: ReadonlyMap<number, ProtocolRules>;
  readonly limits: NetLimits;
  readonly counters: Counters;
  readonly timers: Carrier['timers'];
  readonly #options: TransportOptions;
  readonly #carrier: Carrier;
  readonly #links = new Map<PeerKey, Link>();
  /** Links that have not greeted yet. */
  readonly #greeting = new Set<Link>();
  readonly #diallers = new Map<PeerKey, Dialler>();
  readonly #handlers = new Map<number, MessageHandler>();
  readonly #listeners = new Set<(event: PeerEvent) => void>();
  readonly #bannedUntilMs = new Map<PeerKey, number>();
  #cancelMaintenance: () => void = () => undefined;
  #isClosed = false;

  /** @throws NET_PROTOCOL_INVALID */
  constructor(options: TransportOptions, carrier: Carrier) {
    this.#options = options;
    this.#carrier = carrier;
    this.limits = { ...DEFAULT_LIMITS, ...options.limits };
    checkProtocols(options.protocols, this.limits);
    this.protocols = new Map(options.protocols.map((rules) => [rules.id, rules]));
    this.counters = new Counters(options.protocols);
    this.signer = options.signer;
    this.publicKey = options.signer.publicKey;
    this.network = options.network;
    this.timers = carrier.timers;
    this.#maintainLater();
  }

  #maintainLater(): void {
    const everyMs = this.limits.silenceMs / 3;
    const dueMs = this.timers.nowMs() + everyMs;
    this.#cancelMaintenance = this.timers.after(everyMs, () => {
      const stoodStillMs = Math.max(0, this.timers.nowMs() - dueMs);
      for (const link of [...this.#links.values()]) link.maintain(stoodStillMs);
      this.#maintainLater();
    });
  }

  // The port.

  listen(): Promise<string> {
    return this.#carrier.listen((wire) => this.#onWire(wire));
  }

  dial(peer: PeerKey, address: string): void {
    if (this.#isClosed || peer === this.publicKey) return;
    const known = this.#diallers.get(peer);
    if (known) return known.addAddress(address);
    const dialler = new Dialler(peer, address, {
      timers: this.timers,
      limits: this.limits,
      randomness: this.#options.randomness,
      isLinked: () => this.#links.has(peer),
      connect: (to) => this.#connect(peer, to),
    });
    this.#diallers.set(peer, dialler);
    dialler.dialNow();
  }

  hangUp(peer: PeerKey, end: LinkEnd = 'goodbye'): void {
    this.#diallers.get(peer)?.stop();
    this.#diallers.delete(peer);
    if (end === 'misbehaved') this.#ban(peer);
    this.#links.get(peer)?.end(end);
  }

  review(): void {
    for (const link of [...this.#links.values()])
      if (!this.#options.admit(link.peer)) link.end('not-admitted');
  }

  send(peer: PeerKey, protocol: number, message: Bytes): SendOutcome {
    this.#checkMessage(protocol, message);
    const link = this.#links.get(peer);
    if (!link) {
      this.counters.of(protocol).refused++;
      return 'no-link';
    }
    return link.send(protocol, message) ? 'queued' : 'queue-full';
  }

  broadcast(protocol: number, message: Bytes, peers?: Iterable<PeerKey>): number {
    this.#checkMessage(protocol, message);
    let queued = 0;
    if (!peers) {
      for (const link of this.#links.values()) if (link.send(protocol, message)) queued++;
      return queued;
    }
    for (const peer of peers) if (this.#links.get(peer)?.send(protocol, message)) queued++;
    return queued;
  }

  #checkMessage(protocol: number, message: Bytes): void {
    const { maxMessageBytes, name } = this.#rulesOf(protocol);
    if (message.length > maxMessageBytes)
      throw netError(
        'NET_MESSAGE_TOO_LARGE',
        `${message.length} bytes on protocol ${name}, at most ${maxMessageBytes}`,
      );
  }

  #rulesOf(protocol: number): ProtocolRules {
    const rules = this.protocols.get(protocol);
    if (!rules) throw netError('NET_PROTOCOL_UNKNOWN', `protocol ${protocol}`);
    return rules;
  }

  onMessage(protocol: number, handler: MessageHandler): void {
    this.#rulesOf(protocol);
    this.#handlers.set(protocol, handler);
  }

  onPeer(listener: (event: PeerEvent) => void): () => void {
    this.#listeners.add(listener);
    return () => this.#listeners.delete(listener);
  }

  peers(): readonly PeerKey[] {
    return [...this.#links.keys()];
  }

  isLinked(peer: PeerKey): boolean {
    return this.#links.has(peer);
  }

  queuedBytes(peer: PeerKey, protocol: number): number {
    return this.#links.get(peer)?.queuedBytesOf(protocol) ?? 0;
  }

  stats(): TransportStats {
    const nowMs = this.timers.nowMs();
    const links = [...this.#links.values()];
    return {
      peers: links.map((link): PeerStats => ({
        peer: link.peer,
        address: link.address ?? link.wire.remote,
        dialled: link.role === 'dialler',
        upMs: nowMs - link.upAtMs,
        ...(link.roundTripMs === undefined ? {} : { roundTripMs: link.roundTripMs }),
        queuedBytes: link.queuedBytes,
      })),
      protocols: this.counters.protocols((id) =>
        links.reduce((sum, link) => sum + link.queuedBytesOf(id), 0),
      ),
      ends: { ...this.counters.ends },
      dials: this.counters.dials,
      failedDials: this.counters.failedDials,
    };
  }

  async close(): Promise<void> {
    if (this.#isClosed) return;
    this.#isClosed = true;
    this.#cancelMaintenance();
    for (const dialler of this.#diallers.values()) dialler.stop();
    this.#diallers.clear();
    for (const link of [...this.#greeting, ...this.#links.values()]) link.end('goodbye');
    await this.#carrier.close();
  }

  // Streams.

  #onWire(wire: Wire): void {
    let total = 0;
    let fromThere = 0;
    for (const { role, wire: other } of this.#greeting) {
      if (role === 'dialler') continue;
      total++;
      if (other.remote === wire.remote) fromThere++;
    }
    const { handshakes, handshakesPerAddress } = this.limits;
    const isFull = total >= handshakes || fromThere >= handshakesPerAddress;
    if (this.#isClosed || isFull) {
      this.counters.ended('too-many-links');
      wire.open(
        () => undefined,
        () => undefined,
      );
      return wire.end(0);
    }
    this.#begin(new Link(this, wire));
  }

  async #connect(peer: PeerKey, address: string): Promise<void> {
    this.counters.dials++;
    let wire: Wire;
    try {
      wire = await this.#carrier.connect(address, this.limits.handshakeMs);
    } catch (error) {
      this.counters.failedDials++;
      const detail = error instanceof Error ? error.message : String(error);
      this.#options.onNote?.({ what: 'dial-failed', peer, address, detail });
      throw error;
    }
    if (!this.#isClosed && this.#diallers.has(peer) && !this.#links.has(peer))
      return this.#begin(new Link(this, wire, { peer, address }));
    wire.open(
      () => undefined,
      () => undefined,
    );
    wire.end(0);
  }

  #begin(link: Link): void {
    this.#greeting.add(link);
    link.open();
  }

  // What links ask and tell.

  admit(link: Link): LinkEnd | undefined {
    const { peer } = link;
    if (peer === this.publicKey || this.#isClosed) return 'not-admitted';
    const bannedUntilMs = this.#bannedUntilMs.get(peer) ?? 0;
    if (bannedUntilMs > this.timers.nowMs()) return 'misbehaved';
    if (!this.#options.admit(peer)) return 'not-admitted';
    const existing = this.#links.get(peer);
    if (!existing) return this.#links.size >= this.limits.links ? 'too-many-links' : undefined;
    if (!this.#replaces(link, existing)) return 'duplicate';
    existing.end('duplicate');
    return undefined;
  }

  /**
   * Both sides must choose the same one of two links. Two that were dialled at the same time from
   * both ends: the one dialled by the smaller key. Otherwise the new one: nobody dials while linked,
   * so the old one is dead and does not know it.
   */
  #replaces(link: Link, existing: Link): boolean {
    if (existing.dialler === link.dialler) return true;
    const ageMs = this.timers.nowMs() - existing.upAtMs;
    if (ageMs > this.limits.handshakeMs) return true;
    const smaller = link.peer < this.publicKey ? link.peer : this.publicKey;
    return link.dialler === smaller;
  }

  up(link: Link): void {
    this.#greeting.delete(link);
    this.#links.set(link.peer, link);
    this.#note('up', link);
    const event = { kind: 'up', peer: link.peer, dialled: link.role === 'dialler' } as const;
    for (const listener of [...this.#listeners]) listener(event);
  }

  ended(link: Link, end: LinkEnd, byUs: boolean, detail: string | undefined): void {
    this.counters.ended(end);
    const wasGreeting = this.#greeting.delete(link);
    const { peer } = link;
    if (byUs && !wasGreeting && OFFENCES.has(end)) this.#ban(peer);
    this.#note(wasGreeting ? 'refused' : 'down', link, end, detail);
    if (this.#links.get(peer) === link) {
      this.#links.delete(peer);
      for (const listener of [...this.#listeners]) listener({ kind: 'down', peer, end });
    }
    const upMs = wasGreeting ? 0 : this.timers.nowMs() - link.upAtMs;
    const dialled = link.role === 'dialler' ? link.dialledPeer : peer;
    if (dialled !== undefined) this.#diallers.get(dialled)?.linkEnded(upMs);
  }

  deliver(link: Link, protocol: number, message: Bytes): void | Promise<void> {
    return this.#handlers.get(protocol)?.(link.peer, message);
  }

  #ban(peer: PeerKey): void {
    this.#bannedUntilMs.delete(peer);
    this.#bannedUntilMs.set(peer, this.timers.nowMs() + this.limits.banMs);
    if (this.#bannedUntilMs.size > BANS_MAX)
      this.#bannedUntilMs.delete(this.#bannedUntilMs.keys().next().value as string);
  }

  #note(what: 'up' | 'down' | 'refused', link: Link, end?: LinkEnd, detail?: string): void {
    this.#options.onNote?.({
      what,
      ...(link.peer === '' ? {} : { peer: link.peer }),
      address: link.address ?? link.wire.remote,
      ...(end === undefined ? {} : { end }),
      ...(detail === undefined ? {} : { detail }),
    });
  }
}
