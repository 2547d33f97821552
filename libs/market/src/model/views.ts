/** What people and programs see of an order, a provider and a quote; edges turn it into JSON. */
import type { ExitClass, MeteredRun, SignedDelivery, Usage } from '#contracts';
import type { LogPosition } from '#libs/audit';
import type { Bytes } from '#libs/kernel';
import type { ProviderOffer } from '../agent-protocol.ts';
import type { Score } from '#libs/scheduler';
import type { Misfit } from '../fitting.ts';
import type { IsolationLevel, JobKind, Tier } from '../manifest.ts';
import type { Absence } from '../placement/absence.ts';
import type { CellRisk } from '../placement/risk.ts';
import type { ArrayProgress, ChainView, OrderSource, Reason, WorkState } from './rows.ts';

/** One word for where an order stands. */
export type OrderStatus =
  | 'blocked'
  | 'queued'
  | 'running'
  | 'paused'
  | 'leased'
  | 'checking'
  | 'delivered'
  | 'closing'
  | 'settled'
  | 'refunded'
  | 'cancelled'
  | 'rejected';

export interface OrderView {
  readonly id: string;
  readonly name: string;
  readonly consumer: string;
  readonly kind: JobKind;
  readonly tier: Tier;
  readonly status: OrderStatus;
  readonly work: WorkState;
  readonly reason?: Reason;
  readonly priceCap: bigint;
  readonly acceptedAtUs: number;
  readonly completeByUs: number;
  readonly attempts: number;
  readonly provider?: string;
  readonly price?: bigint;
  readonly exit?: ExitClass;
  readonly result?: string;
  readonly usage?: Usage;
  readonly metered?: MeteredRun;
  readonly charge?: bigint;
  readonly delivery?: SignedDelivery;
  readonly log: LogPosition;
  readonly chain: ChainView;
  readonly endedAtUs?: number;
  /** It was taken over from the chain: what happened before stands in no log. */
  readonly logLost?: boolean;
  /** Of an order of many tasks. */
  readonly array?: ArrayProgress;
  /** Inputs that other orders make. */
  readonly inputs?: readonly OrderSource[];
}

export interface ProviderView {
  readonly provider: string;
  readonly offer: ProviderOffer;
  readonly cell: string;
  readonly online: boolean;
  /** It finishes what it has and takes nothing new. */
  readonly draining: boolean;
  readonly freeSlots: number;
  readonly leases: number;
  readonly completed: number;
  readonly faults: number;
  readonly lastSeenUs: number;
}

/** What a job would cost in one cell, and when it would end there: with the best provider it has now. */
export interface QuoteOption {
  /** `<domain>.<level>` */
  readonly cell: string;
  readonly provider: string;
  readonly name: string;
  readonly isolation: IsolationLevel;
  /** Providers of the cell that could take it, and those with room now. */
  readonly providers: number;
  readonly free: number;
  /** Most that can be charged: the offer's prices at the job's limits. */
  readonly priceCap: bigint;
  /** Of an order of many tasks, with `priceCap` over all of them: most for one unit, and how many there may be. */
  readonly unitPrice?: bigint;
  readonly units?: number;
  /** What similar work was charged, or the price at the guess of its use. */
  readonly expectedPrice: bigint;
  /** Milliseconds from now to the first statement. */
  readonly startMs: number;
  /** Milliseconds from now to the accepted delivery: expected, and the ends of the interval. */
  readonly finishMs: {
    readonly likely: number;
    readonly earliest: number;
    readonly latest: number;
  };
  /** False while too little was seen for the interval to be more than a guess. */
  readonly isCalibrated: boolean;
  /** Which earlier errors the interval was read off. */
  readonly errorClass: number;
  readonly risk: CellRisk;
  /** Parts of the objective by which cells are ordered. */
  readonly score: Score;
}

/** Why some providers were left out: one line per filter, with how many it removed. */
export interface QuoteReason {
  readonly code: Absence | Misfit | 'bond' | 'barred' | 'operators' | 'busy' | 'neighbours';
  readonly providers: number;
  readonly text: string;
}

/** One thing to ask for less of, or to offer more of. */
export interface Change {
  readonly field: string;
  readonly from: string;
  readonly to: string;
}

/** Changes with which this provider would take the job, and what it would then cost at most. */
export interface Relaxation {
  readonly changes: readonly Change[];
  readonly price: bigint;
  readonly cell: string;
  readonly provider: string;
}

/** One cell as an order sees it. */
export interface CellView {
  readonly cell: string;
  readonly providers: number;
  /** How many of them could ever take it, and how many of those have room now. */
  readonly fitting: number;
  readonly free: number;
  /** The others, by the first filter that each one meets. */
  readonly left: Readonly<Partial<Record<QuoteReason['code'], number>>>;
}

export interface Waiting {
  /** What it waits for, in words. */
  readonly text: string;
  readonly considered: number;
  /** How many could ever take it, and how many of those have room now. */
  readonly fitting: number;
  readonly free: number;
  readonly filters: readonly QuoteReason[];
  readonly cells: readonly CellView[];
  /** The account's dominant share, its own waiting orders, all waiting orders and whose they are. */
  readonly tenant: {
    readonly share: number;
    readonly own: number;
    readonly waiting: number;
    readonly accounts: number;
  };
  /** Empty when somebody fits. */
  readonly relaxations: readonly Relaxation[];
}

/** One decision of the market, as the job's log has it. */
export interface Decision {
  readonly kind: string;
  readonly timeUs: number;
  readonly text: string;
  /** Its inputs: canonical CBOR of the entry's own fields. */
  readonly data: Bytes;
}

/** Why something was not taken, in words that say what to do. */
export interface Refusal {
  readonly code: string;
  readonly message: string;
  readonly reasons?: readonly QuoteReason[];
}

export interface Quote {
  /** One for each cell that could take it; best first, by the job's tier or weights. */
  readonly options: readonly QuoteOption[];
  readonly considered: number;
  readonly reasons: readonly QuoteReason[];
}
