/**
 * Why a lease ended without an accepted delivery, in classes that decide what follows: whether it counts
 * against the order and its provider, how soon the next attempt comes, and after how many different
 * providers the order itself must be to blame.
 */
import type { ExitClass } from '#contracts';

export type RetryClass =
  /** The provider has no room, drains, stops, or did not answer the offer: nobody's fault. */
  | 'room'
  /** It fell silent or came back without the work. */
  | 'silence'
  /** It could not do what its offer said: storage, isolation, limits. */
  | 'cannot'
  /** What it handed in does not count. */
  | 'bad-work'
  /** Its slot died or would not run the job: the host's doing, or the job's. */
  | 'slot'
  /** The market took the slot for other work (level eco only). */
  | 'preempted';

/** How a lease ended. */
export interface LeaseEnd {
  readonly code: string;
  readonly reason: string;
  readonly retry: RetryClass;
}

export interface RetryRule {
  /** Counts towards the order's cap of faults, and is held against the provider. */
  readonly isFault: boolean;
  /** Times the usual back-off before the next attempt. */
  readonly backoffFactor: number;
  /** The order is stopped when it ended so in this many different providers. */
  readonly isPoison: boolean;
  /** The next attempt goes on from what the guest saved; otherwise that may be the trouble. */
  readonly keepsSavePoint: boolean;
}

export const RETRY_RULES: Readonly<Record<RetryClass, RetryRule>> = {
  room: { isFault: false, backoffFactor: 1, isPoison: false, keepsSavePoint: true },
  silence: { isFault: true, backoffFactor: 1, isPoison: false, keepsSavePoint: true },
  cannot: { isFault: true, backoffFactor: 2, isPoison: false, keepsSavePoint: false },
  'bad-work': { isFault: true, backoffFactor: 1, isPoison: false, keepsSavePoint: false },
  slot: { isFault: true, backoffFactor: 2, isPoison: true, keepsSavePoint: false },
  preempted: { isFault: false, backoffFactor: 0, isPoison: false, keepsSavePoint: true },
};

/** Declines that say the provider has no room; its next heartbeat says when it has again. */
export const NO_ROOM: ReadonlySet<string> = new Set(['PROVIDER_BUSY', 'PROVIDER_DRAINING']);
/** Declines of work that began, but by nobody's fault. */
const NO_FAULT: ReadonlySet<string> = new Set(['PROVIDER_STOPPING', 'PROVIDER_LATE']);

/** The class of a decline, by its code and whether the work had begun. */
export function classOfDecline(code: string, wasWorking: boolean): RetryClass {
  if (!wasWorking || NO_ROOM.has(code) || NO_FAULT.has(code)) return 'room';
  if (code === 'PROVIDER_RESTARTED') return 'silence';
  return code === 'PROVIDER_SLOT' ? 'slot' : 'cannot';
}

/** Exits that only the host can have caused; everything else is the guest's own doing, and charged. */
export const HOST_EXITS: ReadonlySet<ExitClass> = new Set(['crash', 'refused']);
