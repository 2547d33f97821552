/**
 * What a market's HTTP API speaks: amounts are decimal strings of the smallest unit, times ISO 8601,
 * accounts `seele1…`, hashes hex.
 */
import type { Manifest, Tier } from '#libs/market';

export interface MarketStatus {
  readonly name?: string;
  /** Account of the market: what an order names as its market. */
  readonly market: string;
  /** Genesis id. */
  readonly chain: string;
  readonly height: number;
}

export interface QuoteOptionDocument {
  readonly provider: string;
  readonly name: string;
  readonly cell: string;
  readonly isolation: string;
  readonly priceCap: string;
  readonly expectedPrice: string;
  readonly startMs: number;
  readonly finishMs: { readonly likely: number; readonly latest: number };
}

export interface QuoteDocument {
  /** Best first. */
  readonly options: readonly QuoteOptionDocument[];
  readonly considered: number;
  readonly reasons: readonly {
    readonly code: string;
    readonly providers: number;
    readonly text: string;
  }[];
}

export interface OrderDocument {
  readonly id: string;
  readonly name: string;
  readonly consumer: string;
  readonly tier: Tier;
  readonly status:
    | 'queued'
    | 'leased'
    | 'checking'
    | 'delivered'
    | 'closing'
    | 'settled'
    | 'refunded'
    | 'cancelled'
    | 'rejected';
  readonly reason?: { readonly code: string; readonly text: string };
  readonly priceCap: string;
  readonly acceptedAt: string;
  readonly completeBy: string;
  readonly endedAt?: string;
  readonly attempts: number;
  readonly provider?: string;
  readonly price?: string;
  readonly exit?: string;
  /** CID. */
  readonly result?: string;
  readonly usage?: {
    readonly cpuMs: number;
    readonly wallMs: number;
    readonly peakMemoryBytes: number;
    readonly inputBytes: number;
    readonly outputBytes: number;
  };
  readonly charge?: string;
  readonly log: { readonly length: number; readonly head: string };
  readonly chain: {
    readonly state: string;
    readonly height: number;
    readonly paid: string;
    readonly refunded: string;
  };
}

export interface JobEventDocument {
  readonly seq?: number;
  readonly kind: string;
  readonly time: string;
  readonly data: Readonly<Record<string, unknown>>;
}

export interface ProviderDocument {
  readonly provider: string;
  readonly name: string;
  readonly cell: string;
  readonly online: boolean;
  readonly freeSlots: number;
  readonly leases: number;
  readonly completed: number;
  readonly faults: number;
  readonly lastSeen: string;
  readonly offer: Readonly<Record<string, unknown>>;
}

export type ManifestDocument = Manifest;
