/**
 * The transport port: authenticated links to peers that are named by their public key, carrying whole
 * messages on numbered protocols. TCP is one adapter, a virtual network for tests another; UDP comes
 * behind the same port. One conformance suite (`describeTransport`) runs on all of them.
 *
 * What it promises: a message arrives whole, from whom it says, at most once, and in order among the
 * messages of its protocol on one link. What it does not: that a message arrives at all. Messages are
 * lost with their link, when the queue is full and when they got too old; whoever needs an answer asks
 * again.
 */
import type { Bytes } from '#libs/kernel';

/** Tagged public key, 66 hex digits: the name of a peer. */
export type PeerKey = string;

/** Who goes first when a link is busy: 0 before 1 before 2 before 3. */
export type Priority = 0 | 1 | 2 | 3;

/** One kind of traffic. Both ends of a link give the same numbers the same meaning. */
export interface ProtocolRules {
  /** Number on the wire, 1 to 255; unknown numbers end the link. */
  readonly id: number;
  /** For metrics and logs. */
  readonly name: string;
  readonly priority: Priority;
  /** Longest message, either way; at most `MESSAGE_MAX_BYTES` of the transport's limits. */
  readonly maxMessageBytes: number;
  /** Bytes that may wait per peer; what comes on top is refused (`send` says so). */
  readonly queueBytes: number;
  /** What has waited longer is dropped unsent; absent: waits for ever. */
  readonly maxAgeMs?: number;
  /**
   * Bytes per second that one peer may send here, with a burst of two seconds' worth. A peer above it
   * is read more slowly, not cut off. Absent: no bound.
   */
  readonly receiveBytesPerSecond?: number;
}

/** Whether a message was taken for sending; `sent` does not mean that it arrives. */
export type SendOutcome = 'queued' | 'no-link' | 'queue-full';

/** Why a link ended, as both sides log and count it. Codes 1 to 15 travel on the wire. */
export const LINK_ENDS = {
  closed: 0,
  /** This side goes down. */
  goodbye: 1,
  /** The other side is not on the list. */
  'not-admitted': 2,
  /** Another link with the same peer is kept. */
  duplicate: 3,
  /** Another chain or version. */
  'wrong-network': 4,
  /** The proof of the key does not hold. */
  'not-authentic': 5,
  'handshake-timeout': 6,
  'malformed-frame': 7,
  'frame-too-large': 8,
  'unknown-protocol': 9,
  /** A handler said that what the peer sent is a lie. */
  misbehaved: 10,
  'too-many-links': 11,
  /** No sign of life. */
  silent: 12,
  /** It takes nothing although there is something to take. */
  stalled: 13,
  /** Reset or refused by the machine. */
  failed: 14,
} as const;
export type LinkEnd = keyof typeof LINK_ENDS;

export type PeerEvent =
  | { readonly kind: 'up'; readonly peer: PeerKey; readonly dialled: boolean }
  | { readonly kind: 'down'; readonly peer: PeerKey; readonly end: LinkEnd };

/**
 * Takes one message. A handler that returns a promise is busy until it settles: a peer with too much
 * under way is not read meanwhile, so what it sends queues on its own side. The bytes belong to the
 * handler. A handler that throws or rejects with a `SeeleError` ends the link as `misbehaved` and bars
 * the peer for a while: refuse what is merely unwanted by returning. Any other error is a defect of
 * this side and is thrown on.
 */
export type MessageHandler = (peer: PeerKey, message: Bytes) => void | Promise<void>;

export interface ProtocolStats {
  readonly sentMessages: number;
  readonly sentBytes: number;
  readonly receivedMessages: number;
  readonly receivedBytes: number;
  /** Refused for want of room or of a link. */
  readonly refused: number;
  /** Dropped unsent because of their age or because the link ended. */
  readonly expired: number;
  readonly queuedBytes: number;
}

export interface PeerStats {
  readonly peer: PeerKey;
  /** Undefined on links that the other side opened from an unknown place. */
  readonly address?: string;
  readonly dialled: boolean;
  readonly upMs: number;
  /** Smoothed round trip, once measured. */
  readonly roundTripMs?: number;
  readonly queuedBytes: number;
}

export interface TransportStats {
  readonly peers: readonly PeerStats[];
  /** Summed over all links since start, by protocol name. */
  readonly protocols: Readonly<Record<string, ProtocolStats>>;
  /** How links and attempts ended since start. */
  readonly ends: Readonly<Partial<Record<LinkEnd, number>>>;
  readonly dials: number;
  readonly failedDials: number;
}

export interface Transport {
  /** This side's own key. */
  readonly publicKey: PeerKey;
  /** Begins to take links; resolves with the address others dial. @throws NET_LISTEN */
  listen(): Promise<string>;
  /**
   * Keeps a link to this peer: dials, and dials again with growing, jittered pauses, until `hangUp`.
   * The peer must prove this very key. A second call gives another address to try.
   */
  dial(peer: PeerKey, address: string): void;
  /** Ends the link, and dials no more. `misbehaved` also bars the peer for a while. */
  hangUp(peer: PeerKey, end?: LinkEnd): void;
  /** Asks `admit` again about every peer; to be called when the list changed. */
  review(): void;
  /** Queues one message. Never blocks and never throws for a peer's fault. @throws NET_MESSAGE_TOO_LARGE */
  send(peer: PeerKey, protocol: number, message: Bytes): SendOutcome;
  /** Sends to all linked peers, or to those among `peers` that are linked; how many queued it. */
  broadcast(protocol: number, message: Bytes, peers?: Iterable<PeerKey>): number;
  /** Sets the handler of a protocol. @throws NET_PROTOCOL_UNKNOWN */
  onMessage(protocol: number, handler: MessageHandler): void;
  /** Tells of links; returns a function that stops it. */
  onPeer(listener: (event: PeerEvent) => void): () => void;
  /** Linked peers. */
  peers(): readonly PeerKey[];
  isLinked(peer: PeerKey): boolean;
  /** Bytes waiting for this peer on one protocol: for senders that hold back. */
  queuedBytes(peer: PeerKey, protocol: number): number;
  stats(): TransportStats;
  /** Says goodbye, ends all links, stops listening. */
  close(): Promise<void>;
}

/** Whether a peer may be linked, asked at every handshake and by `review`. */
export type Admission = (peer: PeerKey) => boolean;
