/**
 * What the market wants done. Effects are values: the app first makes every `save` and `remove` of
 * an event durable in one transaction and only then does the others. Whatever is lost between the
 * two is asked for again by the `resume` event; every effect may therefore be done twice.
 */
import type { Delivery } from '#contracts';
import type { Bytes } from '#libs/kernel';
import type { MarketMessage } from '../agent-protocol.ts';
import type { OrderView } from './views.ts';
import type { TransactionBody } from '#libs/ledger';
import type { Table } from './rows.ts';
import type { QuoteReason } from './views.ts';

/** Facts of a saved order that a database may index for lists; all derived from the row. */
export interface OrderIndex {
  readonly consumer: string;
  readonly provider?: string;
  readonly status: OrderView['status'];
  readonly acceptedAtUs: number;
  /** Nothing is left to do for it: it has ended and its whole log is in the operator's log. */
  readonly ended: boolean;
}

/** One step of a job, as SSE shows it. `seq` is its place in the job's log; absent for progress. */
export interface JobEvent {
  readonly order: string;
  readonly seq?: number;
  readonly kind: string;
  readonly timeUs: number;
  /** Canonical CBOR of the kind's own fields. */
  readonly data: Bytes;
}

export type Reply =
  | { readonly is: 'order'; readonly view: OrderView; readonly repeated: boolean }
  | {
      readonly is: 'refused';
      readonly code: string;
      readonly message: string;
      readonly reasons?: readonly QuoteReason[];
      /** Of several orders: the place of the one that it is about. */
      readonly at?: number;
    }
  /** In the order in which they were sent. */
  | { readonly is: 'orders'; readonly views: readonly OrderView[]; readonly repeated: boolean }
  | { readonly is: 'bindingSeen' };

export type MarketEffect =
  | {
      readonly kind: 'save';
      readonly table: Table;
      readonly id: string;
      readonly bytes: Bytes;
      /** With table `order` only. */
      readonly index?: OrderIndex;
    }
  | { readonly kind: 'remove'; readonly table: Table; readonly id: string }
  | { readonly kind: 'reply'; readonly request: string; readonly reply: Reply }
  /** Put a binding message on the cell's queue; the key makes duplicates harmless. */
  | {
      readonly kind: 'enqueueBinding';
      readonly queue: string;
      readonly key: string;
      readonly order: string;
      readonly binding: number;
    }
  | { readonly kind: 'sendAgent'; readonly session: string; readonly message: MarketMessage }
  | {
      readonly kind: 'closeAgent';
      readonly session: string;
      readonly code: string;
      readonly reason: string;
    }
  /**
   * Sign this body with the market's key and post it to the node. Posting it again changes nothing:
   * the body, and with it the id, is the same. No answer is expected; blocks tell.
   */
  | {
      readonly kind: 'submitTransaction';
      readonly key: string;
      readonly id: string;
      readonly body: TransactionBody;
    }
  /** Read the market account's next nonce and the height of that state. */
  | { readonly kind: 'readNonce' }
  /** Send `block` events from this height on. */
  | { readonly kind: 'followChain'; readonly fromHeight: number }
  /** Fetch the result's root, pin it, and say whether it exists and fits. */
  | {
      readonly kind: 'checkResult';
      readonly order: string;
      readonly fence: number;
      readonly cid: string;
      readonly maxBytes: number;
    }
  /** Look for the document with a batch's results; `unitsChecked` answers. */
  | {
      readonly kind: 'checkUnits';
      readonly lease: string;
      readonly root: string;
      readonly cid: string;
      readonly maxBytes: number;
    }
  /** Store this dag-cbor block and pin it; `resultStored` answers. */
  | { readonly kind: 'storeResult'; readonly order: string; readonly bytes: Bytes }
  /**
   * Put together what a job reads of an order of many tasks: the output of one (`task`), a list of what
   * each has (`isEach`), or all as one JSON text; store and pin it. `inputMade` answers.
   */
  | {
      readonly kind: 'makeInput';
      readonly order: string;
      readonly name: string;
      /** The document over all tasks. */
      readonly result: string;
      readonly task?: number;
      readonly isEach?: boolean;
    }
  /** Read an account's prepaid balance; `balanceRead` answers. */
  | { readonly kind: 'readBalance'; readonly account: string }
  /** Run a metered job again and compare; `replayed` answers. Long work: asked again seldom. */
  | {
      readonly kind: 'replayJob';
      readonly order: string;
      readonly manifest: string;
      readonly delivery: Delivery;
    }
  /** Run the order's validator on a result; `validated` answers. */
  | {
      readonly kind: 'validate';
      readonly order: string;
      readonly fence: number;
      readonly manifest: string;
      readonly result: string;
    }
  /** Run the order's validator on each output of a batch; `unitsValidated` answers. */
  | {
      readonly kind: 'validateUnits';
      readonly lease: string;
      readonly root: string;
      readonly manifest: string;
      readonly results: string;
    }
  /** Read the leaves of a batch's delivery from the database; `leavesRead` answers. */
  | { readonly kind: 'readLeaves'; readonly order: string; readonly fence: number }
  /** Read a provider's bond; `bondRead` answers. */
  | { readonly kind: 'readBond'; readonly account: string }
  /** Read the manifest block of an order that was rebuilt from the chain; `manifestFound` answers. */
  | { readonly kind: 'findManifest'; readonly order: string; readonly cid: string }
  | { readonly kind: 'jobEvent'; readonly event: JobEvent };
