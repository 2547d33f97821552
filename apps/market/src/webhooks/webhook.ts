/** What a webhook is, what waits for it, and the caps and times of both. */
import { MARKET_ENTRIES } from '#libs/audit';
import type { AccountId } from '#libs/kernel';
import { PROVIDER_ENTRIES } from '#libs/market';

/** Why something was not delivered, or a webhook was switched off: a code of errors.ts, and words. */
export interface WebhookFailure {
  readonly code: string;
  readonly text: string;
}

export interface Webhook {
  readonly id: string;
  readonly account: AccountId;
  readonly url: string;
  /** Only this order's events; absent: of every order of the account. */
  readonly order?: string;
  /** Kinds of entries that are sent; `*` stands for all. */
  readonly events: readonly string[];
  readonly createdAtUs: number;
  /** Set when it was switched off; events are kept for it meanwhile. */
  readonly disabled?: WebhookFailure & { readonly atUs: number };
  /** First failure since the last success. */
  readonly failingSinceUs?: number;
  readonly lastFailure?: WebhookFailure;
  readonly lastDeliveredUs?: number;
  /** Orders whose events were given up or could not be kept; a replay sends them. */
  readonly missed: number;
}

/** `live` as events happen; `replay` what the owner asked for once more. */
export type LaneKind = 'live' | 'replay';

/** Entries of one order that one webhook has not taken yet: `next` up to and with `last`. */
export interface QueuedEvents {
  readonly webhook: string;
  readonly order: string;
  readonly lane: LaneKind;
  readonly next: number;
  readonly last: number;
}

/** The same as it is stored, with how its attempts went. */
export interface StoredLane extends QueuedEvents {
  readonly attempts: number;
  readonly dueUs: number;
  readonly failingSinceUs?: number;
}

export interface WebhookCaps {
  readonly webhooks: number;
  /** Of one account, for all its orders; and for single orders. */
  readonly perAccount: number;
  readonly perAccountOrders: number;
  /** Orders with something to send: for one webhook, and in all. */
  readonly queued: number;
  readonly queuedInAll: number;
  /** Requests under way: to one webhook, and in all. */
  readonly inFlight: number;
  readonly inFlightInAll: number;
  readonly bodyBytes: number;
}

export const DEFAULT_WEBHOOK_CAPS: WebhookCaps = {
  webhooks: 20_000,
  perAccount: 16,
  perAccountOrders: 1_000,
  queued: 10_000,
  queuedInAll: 200_000,
  inFlight: 4,
  inFlightInAll: 512,
  bodyBytes: 256 * 1024,
};

export interface WebhookTimes {
  /** First pause after a failure; doubles with each. */
  readonly backoffMs: number;
  readonly backoffMaxMs: number;
  /** Longest pause between looks at a receiver that takes nothing at all. */
  readonly probeMaxMs: number;
  /** An event that was not taken for so long is given up. */
  readonly giveUpMs: number;
  /** Age limit: of what waits for a webhook that is off, and of webhooks of single orders. */
  readonly keepMs: number;
}

const HOUR_MS = 3_600_000;
export const DEFAULT_WEBHOOK_TIMES: WebhookTimes = {
  backoffMs: 5_000,
  backoffMaxMs: HOUR_MS,
  probeMaxMs: 300_000,
  giveUpMs: 72 * HOUR_MS,
  keepMs: 30 * 24 * HOUR_MS,
};

/** Pause before attempt `attempts + 1`: exponential, half of it random. `random` is in [0, 1). */
export function backoffOf(
  attempts: number,
  { backoffMs, backoffMaxMs }: Pick<WebhookTimes, 'backoffMs' | 'backoffMaxMs'>,
  random: number,
): number {
  const full = Math.min(backoffMaxMs, backoffMs * 2 ** Math.min(attempts - 1, 40));
  return full * (0.5 + random / 2);
}

/** Kinds that can be asked for; `*` stands for all, of whatever kind. */
export const EVENT_KINDS: readonly string[] = [
  ...Object.keys(MARKET_ENTRIES),
  ...Object.keys(PROVIDER_ENTRIES),
  '*',
];

/** Kinds that are sent unless others are named: the steps of an order, not what its guest writes. */
export const DEFAULT_EVENT_KINDS: readonly string[] = [
  ...Object.keys(MARKET_ENTRIES),
  'started',
  'finished',
];

export const takesKind = (webhook: Pick<Webhook, 'events'>, kind: string): boolean =>
  webhook.events.includes('*') || webhook.events.includes(kind);
