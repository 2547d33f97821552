/**
 * What a provider's agent knows, what can happen to it, and what it wants done. The agent is a state
 * machine without clock, sockets or disk: apps/provider and the market simulation both drive it.
 */
import { type EventEntry, eventEntry, logPosition, type LogPosition } from '#libs/audit';
import {
  type ExitClass,
  type MeteredRun,
  type SignedDelivery,
  signedDelivery,
  type Usage,
} from '#contracts';
import {
  type Bytes,
  type CodecValue,
  cid,
  hash32,
  list,
  optional,
  record,
  u64,
  uint,
} from '#libs/kernel';
import { type SavePointRef, savePointRef } from './entries.ts';
import {
  type AgentMessage,
  type MarketMessage,
  type ProviderOffer,
  madeInputs,
} from '../agent-protocol.ts';
import type { IsolationLevel, JobLimits } from '../manifest.ts';
import type { StoredUnits, UnitsReport } from './unit-leases.ts';

/** Signs hellos, log batches and deliveries. */
export interface AgentSigner {
  readonly publicKey: string;
  readonly account: string;
  sign(domain: string, message: Bytes): Bytes;
}

export interface AgentTimes {
  /** First delay before connecting again; doubles up to the maximum, each with jitter of ±50 %. */
  readonly reconnectMs: number;
  readonly reconnectMaxMs: number;
  /** How long log lines may wait to be sent together. */
  readonly flushMs: number;
  /** At most one progress message per job in this time; at most one progress log entry in 10 of it. */
  readonly progressMs: number;
  /** A delivery or log batch not acknowledged for so long is sent again. */
  readonly resendMs: number;
}

export const DEFAULT_AGENT_TIMES: AgentTimes = {
  reconnectMs: 250,
  reconnectMaxMs: 10_000,
  flushMs: 100,
  progressMs: 100,
  resendMs: 5_000,
};

export interface AgentConfig {
  readonly signer: AgentSigner;
  readonly offer: ProviderOffer;
  readonly times: AgentTimes;
  /** Runs of one lease before a slot that keeps dying is delivered as `crash`. */
  readonly attempts: number;
  /** Genesis id of the chain the provider trusts; a market of another chain gets no answer. */
  readonly chain?: string;
}

/** A lease as it lies on disk. Written before `accept`; with `delivery` before `deliver`. */
export const storedLease = record({
  lease: hash32,
  order: hash32,
  chain: hash32,
  fence: uint(),
  manifest: cid,
  price: u64,
  completeByUs: uint(),
  /** Where the job's log stood when the lease came. */
  log: logPosition,
  /** Made under an earlier lease; the work goes on from it. */
  savePoint: optional(savePointRef),
  /** What the manifest's `from` came to. */
  inputs: optional(madeInputs),
  delivery: optional(signedDelivery),
  /** Entries that the market had not acknowledged when the delivery was written. */
  entries: list(eventEntry, 200_000),
});
export type StoredLease = CodecValue<typeof storedLease>;

/** How the work of a lease ended, from host facts. */
export interface WorkOutcome {
  readonly exit: ExitClass;
  readonly usage: Usage;
  /** CID of the stored output; present exactly when `exit` is `ok`. */
  readonly result?: string;
  readonly error?: string;
  /** For jobs that ran in the metered engine. */
  readonly metered?: MeteredRun;
  /** The manifest's, for the price. */
  readonly limits: JobLimits;
}

export type LogLevelName = 'debug' | 'info' | 'warn' | 'error';

export type AgentEvent =
  /** The journal was read: leases that this agent had when it last ran. Send it once, first. */
  | {
      readonly kind: 'restored';
      readonly leases: readonly StoredLease[];
      readonly units?: readonly StoredUnits[];
    }
  | { readonly kind: 'connected' }
  /** The connection ended or could not be made. */
  | { readonly kind: 'disconnected' }
  | { readonly kind: 'message'; readonly message: MarketMessage }
  /** `save` is durable. */
  | { readonly kind: 'saved'; readonly lease: string; readonly what: 'lease' | 'delivery' }
  | {
      readonly kind: 'started';
      readonly lease: string;
      readonly code: string;
      readonly inputs: readonly { readonly name: string; readonly cid: string }[];
      readonly isolation: IsolationLevel;
      /** The save point it goes on from. */
      readonly resumed?: string;
    }
  /** The guest's newest save point is in storage. */
  | { readonly kind: 'savePoint'; readonly lease: string; readonly savePoint: SavePointRef }
  | {
      readonly kind: 'line';
      readonly lease: string;
      readonly level: LogLevelName;
      readonly text: string;
    }
  | {
      readonly kind: 'progress';
      readonly lease: string;
      readonly share: number;
      readonly note: string;
    }
  | {
      readonly kind: 'checkpoints';
      readonly lease: string;
      /** Number of the first of them in this attempt. */
      readonly first: number;
      readonly items: readonly {
        readonly fuel: bigint;
        readonly root: string;
        readonly resumable: boolean;
      }[];
    }
  | { readonly kind: 'finished'; readonly lease: string; readonly outcome: WorkOutcome }
  /** Units of a batch ended: all that ended so far. */
  | { readonly kind: 'unitsReported'; readonly lease: string; readonly report: UnitsReport }
  /** The provider cannot do the work (input not to be had, slot does not start): hand it back. */
  | {
      readonly kind: 'failed';
      readonly lease: string;
      readonly code: string;
      readonly reason: string;
    }
  /** Take no more leases; `drained` follows when the last one is gone. */
  | { readonly kind: 'drain' }
  /** Hand back what is not finished, now; `drained` follows. */
  | { readonly kind: 'stop' }
  | { readonly kind: 'tick' };

export type AgentEffect =
  | { readonly kind: 'connect' }
  | { readonly kind: 'close'; readonly reason: string }
  | { readonly kind: 'send'; readonly message: AgentMessage }
  /** Make it durable, then answer `saved`. */
  | { readonly kind: 'save'; readonly what: 'lease' | 'delivery'; readonly lease: StoredLease }
  /** The same for a batch of units. */
  | { readonly kind: 'saveUnits'; readonly what: 'lease' | 'delivery'; readonly units: StoredUnits }
  /** Run its units one after the other; answer with `unitsReported`, or `failed`. */
  | { readonly kind: 'runUnits'; readonly units: StoredUnits }
  /** Remove it from the journal; may be late, may be lost. */
  | { readonly kind: 'forget'; readonly lease: string }
  /** The lease is coming: fetch manifest and code, so that `run` finds them. */
  | { readonly kind: 'prepare'; readonly lease: StoredLease }
  /** Run it; answer with `started`, `line`, `progress`, then `finished` or `failed`. */
  | { readonly kind: 'run'; readonly lease: StoredLease; readonly attempt: number }
  /** Kill it; whatever it still says is ignored. */
  | { readonly kind: 'kill'; readonly lease: string }
  /** For the operator's log. */
  | { readonly kind: 'note'; readonly level: 'info' | 'warn'; readonly text: string }
  | { readonly kind: 'drained' };

/** A lease in memory. */
export interface AgentLease {
  readonly stored: StoredLease;
  readonly stage: 'saving' | 'working' | 'saving-delivery' | 'delivering';
  readonly log: JobLog;
  readonly attempt: number;
  readonly delivery?: SignedDelivery;
  readonly progress?: { readonly share: number; readonly note: string };
  readonly progressSentAtMs: number;
  readonly progressLoggedAtMs: number;
  readonly sentAtMs: number;
}

/** The provider's end of one job's log. */
export interface JobLog {
  readonly position: LogPosition;
  /** Entries the market has not acknowledged, oldest first. */
  readonly unsaved: readonly EventEntry[];
  /** Entries below this sequence number were sent on this connection. */
  readonly sentTo: number;
  readonly lines: readonly { readonly level: LogLevelName; readonly text: string }[];
  readonly lineBytes: number;
  /** When lines or entries have to go out; `undefined` while there are none. */
  readonly flushAtMs?: number;
}
