/** What every adapter of the transport port is made from. */
import type { Signer } from '#libs/crypto';
import type { Clock, Randomness } from '#libs/kernel';
import type { NetLimits } from './limits.ts';
import type { Admission, LinkEnd, PeerKey, ProtocolRules } from './transport.ts';

/** For logs: what happened to links. Never more often than links come and go. */
export interface LinkNote {
  readonly what: 'up' | 'down' | 'refused' | 'dial-failed';
  /** Absent while the other side has not proven who it is. */
  readonly peer?: PeerKey;
  readonly address?: string;
  readonly end?: LinkEnd;
  readonly detail?: string;
}

export interface TransportOptions {
  readonly signer: Signer;
  /** Peers must name the same network: the genesis id of the chain. */
  readonly network: string;
  readonly protocols: readonly ProtocolRules[];
  readonly admit: Admission;
  readonly clock: Clock;
  /** For jitter and link numbers. */
  readonly randomness: Randomness;
  readonly limits?: Partial<NetLimits>;
  readonly onNote?: (note: LinkNote) => void;
}
