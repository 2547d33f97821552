/**
 * What can happen to a market. Events come from the HTTP edge, the queue's workers, the agents'
 * gateway, the chain's block stream and the clock; each names what it knows and nothing else.
 */
import type {
  DisputedClaim,
  SignedDelivery,
  SignedOrder,
  UnitSet,
  WithheldUnits,
} from '#contracts';
import type { Bytes } from '#libs/kernel';
import type { AgentMessage, ProviderOffer } from '../agent-protocol.ts';
import type { Manifest } from '../manifest.ts';
import type { MarketCall } from './rows.ts';

/** Both clocks at the moment of the event: the wall for documents, the monotonic one for waiting. */
export interface Now {
  /** Microseconds since the Unix epoch; may jump. */
  readonly timeUs: number;
  /** Milliseconds that never go back within one run of the process. */
  readonly monotonicMs: number;
}

/** A finalised balance, and the block height it was read at. */
export interface BalanceRead {
  /** Prepaid, not held by any order and not about to be withdrawn (`prepaidCover`). */
  readonly amount: bigint;
  readonly height: number;
}

/** An order and what it is about. */
export interface Submission {
  readonly order: SignedOrder;
  /** Already stored as a dag-cbor block, so that agents find it by its CID. */
  readonly manifest: Manifest;
  /** A quote of this market for this manifest, as it signed it: its price then is the cap. */
  readonly quote?: Bytes;
}

/** What a final block did to one order. */
export interface OrderFact {
  readonly order: string;
  /** `rejected` makes a delivered order placed again. */
  readonly event:
    | 'placed'
    | 'bound'
    | 'delivered'
    | 'rejected'
    | 'settled'
    | 'refunded'
    | 'cancelled';
  /** Fence of the binding it is about; 0 when there is none. */
  readonly fence: number;
  readonly provider?: string;
  /** With `placed`: the order as its consumer signed it. */
  readonly signed?: SignedOrder;
  /** With `bound`: the price that was agreed. */
  readonly price?: bigint;
  /** With `delivered`: the `deliveryHash` of what the provider signed, and that itself. */
  readonly delivery?: string;
  readonly signedDelivery?: SignedDelivery;
  readonly paid: bigint;
  readonly refunded: bigint;
}

/** What a final block did to a batch of units. */
export interface UnitsFact {
  readonly order: string;
  readonly event: 'bound' | 'delivered' | 'settled' | 'released';
  readonly fence: number;
  readonly provider: string;
  /** With `delivered` and `settled`: `batchDeliveryHash` of what the chain has. */
  readonly delivery?: string;
  /** With `delivered`: what it is about, and what it charges. */
  readonly given?: WithheldUnits;
  /** With `settled`: the units that were paid. */
  readonly paidUnits?: UnitSet;
  readonly paid: bigint;
  readonly refunded: bigint;
}

/** How one of the market's own transactions ended in a block. */
export interface OwnTransactionFact {
  readonly id: string;
  readonly nonce: number;
  readonly ok: boolean;
  /** Revert code when not `ok`. */
  readonly code?: string;
}

/** What a validator program made of a result. */
export type ValidatorVerdict =
  | { readonly is: 'accepted' }
  | { readonly is: 'rejected'; readonly reason: string }
  /** It ended without a verdict: the result counts, and the consumer is told. */
  | { readonly is: 'broken'; readonly reason: string }
  | { readonly is: 'unavailable' };

export type MarketEvent =
  /**
   * The rows are restored and the ports are up: everything unfinished is set going again. With
   * `rebuildTo` there were no rows although the chain has that height: what it knows of this market's
   * orders is taken over first, and nothing new is taken on meanwhile.
   */
  | { readonly kind: 'resume'; readonly rebuildTo?: number }
  /** Time passed. Send one at `nextTickMs` at the latest. */
  | { readonly kind: 'tick' }
  | (Submission & {
      readonly kind: 'submitOrder';
      /** Names the reply. */
      readonly request: string;
      readonly balance: BalanceRead;
    })
  /** Orders of one account that read each other's results, makers first: all are taken or none. */
  | {
      readonly kind: 'submitGraph';
      readonly request: string;
      readonly orders: readonly Submission[];
      readonly balance: BalanceRead;
    }
  | {
      readonly kind: 'cancelOrder';
      readonly request: string;
      readonly order: string;
      /** The account that signed the request. */
      readonly by: string;
    }
  /** A queue worker got a binding message. Reply `bindingSeen` lets it acknowledge. */
  | {
      readonly kind: 'bindingDue';
      readonly request: string;
      readonly order: string;
      readonly binding: number;
    }
  /** An agent proved its key (see `verifyHello`). An older session of that provider ends. */
  | {
      readonly kind: 'agentHello';
      /** Chosen by the gateway, never reused, not even across restarts. */
      readonly session: string;
      readonly publicKey: string;
      readonly offer: ProviderOffer;
      readonly leases: readonly { readonly lease: string; readonly fence: number }[];
      /** It only finishes what it has. */
      readonly draining?: boolean;
    }
  | {
      readonly kind: 'agentMessage';
      readonly session: string;
      readonly message: Exclude<AgentMessage, { kind: 'hello' }>;
    }
  /** `isCut`: the line broke; without it the agent said that it goes. */
  | { readonly kind: 'agentGone'; readonly session: string; readonly isCut?: boolean }
  /** Answer to `checkResult`; `missing` and `unavailable` are asked again for a while. */
  | {
      readonly kind: 'resultChecked';
      readonly order: string;
      readonly fence: number;
      readonly outcome:
        | { readonly is: 'good'; readonly sizeBytes: number }
        | { readonly is: 'missing' | 'unavailable' }
        | { readonly is: 'too-large' };
    }
  /** Answer to `findManifest`; `missing` and `unavailable` are asked again for a while. */
  | {
      readonly kind: 'manifestFound';
      readonly order: string;
      readonly outcome:
        | { readonly is: 'good'; readonly manifest: Manifest }
        | { readonly is: 'missing' | 'unavailable' };
    }
  /** A final block, in order; earlier or repeated ones are ignored, a gap is asked for. */
  | {
      readonly kind: 'block';
      readonly height: number;
      /** Hash of its header. */
      readonly hash: string;
      readonly timeUs: number;
      readonly orders: readonly OrderFact[];
      readonly own: readonly OwnTransactionFact[];
      /** Highest size of the operator's log that this block anchored. */
      readonly anchored?: number;
      readonly units?: readonly UnitsFact[];
      /** Accounts into whose prepaid balance money came. */
      readonly deposits?: readonly string[];
      /** Accounts whose bonds changed. */
      readonly bonds?: readonly string[];
    }
  /** Answer to `readBalance`; when it cannot be read nothing comes, and it is asked again. */
  | { readonly kind: 'balanceRead'; readonly account: string; readonly balance: BalanceRead }
  /** Answer to `checkUnits`: is the document with a batch's results there, and not too large? */
  | {
      readonly kind: 'unitsChecked';
      readonly lease: string;
      /** Of the delivery that was looked at. */
      readonly root: string;
      readonly outcome: 'good' | 'missing' | 'unavailable' | 'too-large';
    }
  /** Answer to `storeResult`: the document over an array's batches is stored and pinned. */
  | { readonly kind: 'resultStored'; readonly order: string; readonly cid: string }
  /** Answer to `makeInput`; `unavailable` is asked again. */
  | {
      readonly kind: 'inputMade';
      readonly order: string;
      readonly name: string;
      readonly outcome:
        | { readonly is: 'good'; readonly cid: string; readonly sizeBytes: number }
        | { readonly is: 'unavailable' }
        | { readonly is: 'impossible'; readonly text: string };
    }
  /** Answer to `replayJob`; `unavailable` is asked again. */
  | {
      readonly kind: 'replayed';
      readonly order: string;
      readonly outcome:
        | { readonly is: 'run'; readonly claim: DisputedClaim; readonly result?: string }
        | { readonly is: 'unavailable' }
        | { readonly is: 'impossible'; readonly reason: string };
    }
  /** Answer to `validate`; `unavailable` is asked again, `broken` is the program's own end. */
  | {
      readonly kind: 'validated';
      readonly order: string;
      readonly fence: number;
      readonly verdict: ValidatorVerdict;
    }
  /** Answer to `validateUnits`, unit by unit; those not named are accepted. */
  | {
      readonly kind: 'unitsValidated';
      readonly lease: string;
      readonly root: string;
      readonly verdict:
        | {
            readonly is: 'judged';
            readonly rejected: readonly { readonly unit: number; readonly reason: string }[];
            readonly broken?: string;
          }
        | { readonly is: 'unavailable' };
    }
  /** Answer to `readLeaves`; when they cannot be read nothing comes, and they are asked for again. */
  | {
      readonly kind: 'leavesRead';
      readonly order: string;
      readonly fence: number;
      readonly leaves: Bytes;
    }
  /** Answer to `readBond`; when it cannot be read nothing comes, and it is asked again. */
  | {
      readonly kind: 'bondRead';
      readonly account: string;
      readonly bonded: bigint;
    }
  /** A call in a dispute of the market's own; sent once under its key. */
  | { readonly kind: 'disputeMove'; readonly call: Extract<MarketCall, { kind: 'move' }> }
  /** The node refused a transaction at its door; silence and time-outs need no event. */
  | {
      readonly kind: 'transactionRefused';
      readonly key: string;
      readonly id: string;
      readonly code: string;
    }
  /** Answer to `readNonce`: the next nonce of the market's account, as of that final height. */
  | { readonly kind: 'nonceRead'; readonly nonce: number; readonly height: number };
