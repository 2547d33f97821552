/** What a market is told at start: who it is, how long it waits, how much it takes on. */
import type { AccountId, Bytes } from '#libs/kernel';
import type { JobLimits } from '../manifest.ts';
import type { TenantTerms } from '../placement/tenants.ts';

/** Every duration of the market's rules, in milliseconds. */
export interface MarketTimes {
  /** How often agents speak; a lease survives two missed heartbeats. */
  readonly heartbeatMs: number;
  /** A lease not extended for so long is lost. */
  readonly leaseMs: number;
  /** The same two for providers of the level `fast`, unless the standard ones are shorter. */
  readonly fastHeartbeatMs: number;
  readonly fastLeaseMs: number;
  /**
   * A provider whose line broke, or which a market that has just started has not met yet, is expected
   * back for so long: longer than agents ever rest between two attempts.
   */
  readonly returnMs: number;
  /** A granted lease must be accepted within this. */
  readonly acceptMs: number;
  /** First delay before another attempt; doubles with each, with jitter. */
  readonly backoffMs: number;
  readonly backoffMaxMs: number;
  /** A binding message not seen for so long is sent again. */
  readonly bindingRetryMs: number;
  /** A result check not answered for so long is asked again. */
  readonly checkRetryMs: number;
  /** A result still missing after this is the provider's fault. */
  readonly resultGraceMs: number;
  /** With less than this left until an order's completeBy, a batch is accepted only once a block bound it. */
  readonly bindLeadMs: number;
  /** A transaction not answered by a block for so long is looked into. */
  readonly chainRetryMs: number;
  /** Validity window of the market's own transactions. */
  readonly transactionValidMs: number;
  /** At most one anchor per this. */
  readonly anchorMs: number;
  /** An order may ask to be placed at most so far in the future; ended ones are kept as long. */
  readonly placeByMaxMs: number;
  readonly completeByMaxMs: number;
  /** An audit that nobody has done so long after it was ordered is given up. */
  readonly auditPatienceMs: number;
  /** An ended order leaves memory this long after it can no longer be resubmitted. */
  readonly keepEndedMs: number;
}

export const DEFAULT_MARKET_TIMES: MarketTimes = {
  heartbeatMs: 5_000,
  leaseMs: 15_000,
  fastHeartbeatMs: 500,
  fastLeaseMs: 2_000,
  returnMs: 20_000,
  acceptMs: 5_000,
  backoffMs: 250,
  backoffMaxMs: 10_000,
  bindingRetryMs: 5_000,
  checkRetryMs: 5_000,
  resultGraceMs: 15_000,
  bindLeadMs: 60_000,
  chainRetryMs: 3_000,
  transactionValidMs: 60_000,
  anchorMs: 500,
  placeByMaxMs: 15 * 60_000,
  completeByMaxMs: 7 * 24 * 3_600_000,
  auditPatienceMs: 30 * 60_000,
  keepEndedMs: 60_000,
};

/** Every cap of the market; nothing in it grows beyond these. */
export interface MarketCaps {
  /** Orders in memory, open and recently ended. */
  readonly orders: number;
  readonly openOrders: number;
  readonly openOrdersPerConsumer: number;
  readonly providers: number;
  readonly sessions: number;
  /** Orders waiting for a free slot. */
  readonly waiting: number;
  /** Own transactions under way at once. */
  readonly transactions: number;
  /** Grants of one order that may end by a provider's fault. */
  readonly faults: number;
  /** Different providers whose slots one order may end; then the order is to blame. */
  readonly poisonedProviders: number;
  /** Entries in one job's log. */
  readonly logEntries: number;
  /** What one job may ask for. */
  readonly limits: JobLimits;
}

export const DEFAULT_MARKET_CAPS: MarketCaps = {
  orders: 200_000,
  openOrders: 50_000,
  openOrdersPerConsumer: 10_000,
  providers: 10_000,
  sessions: 10_000,
  waiting: 50_000,
  transactions: 64,
  faults: 5,
  poisonedProviders: 3,
  logEntries: 110_000,
  limits: {
    wallMs: 24 * 3_600_000,
    cpuMs: 24 * 3_600_000,
    memoryBytes: 64 * 2 ** 30,
    outputBytes: 2 ** 40,
    logLines: 100_000,
    logBytes: 64 * 2 ** 20,
    hostCalls: 10_000_000,
  },
};

/** Signs what the market says: its log entries and checkpoints. */
export interface MarketSigner {
  readonly publicKey: string;
  readonly account: AccountId;
  sign(domain: string, message: Bytes): Bytes;
}

export interface MarketConfig {
  /** Genesis id of the chain. */
  readonly chain: string;
  /** The market's key: it signs log batches and its account sends the transactions. */
  readonly signer: MarketSigner;
  readonly verify: (publicKey: string, domain: string, message: Bytes, signature: Bytes) => boolean;
  readonly times: MarketTimes;
  readonly caps: MarketCaps;
  /** Weights and quotas of accounts; those not named have weight 1 and no quota. */
  readonly tenants?: readonly TenantTerms[];
  /**
   * Share of metered results that the market runs again; `REPLAY_CHANCE` where nothing is said. 0: none,
   * and quotes say so.
   */
  readonly replayShare?: number;
  /**
   * Least share of the results of `js` orders of the tiers A and B that others do again, at the market's
   * cost; more of who is not trusted (`auditChance`). None where nothing is said.
   */
  readonly auditShare?: number;
  /** Share of a bond that a lost dispute takes; with it level `assured` is for bonded providers only. */
  readonly slashedPerMille?: bigint;
  /** Fuel limit and price of the market's own transactions. */
  readonly fuelLimit: bigint;
  readonly fuelPrice: bigint;
}
