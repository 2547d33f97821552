/**
 * The market's line to the chain: sends its transactions, follows final blocks, reads its nonce.
 * Silence needs no event: the reducer asks again, and bodies that are posted twice count once.
 */
import { setTimeout as sleep } from 'node:timers/promises';
import {
  DISPUTES_CONTRACT,
  ORDERS_CONTRACT,
  bondRecord,
  disputesKeys,
  ordersKeys,
  prepaid,
} from '#contracts';
import type { Signer } from '#libs/crypto';
import { type AccountId, decodeWith, isSeeleError } from '#libs/kernel';
import { type TransactionBody, signTransaction } from '#libs/ledger';
import { type MarketEvent, blockToEvent } from '#libs/market';
import { type Logger, declareFailpoints, failpoint } from '#libs/platform';
import type { ChainNode } from './chain-node.ts';

declareFailpoints(
  'market.submit.before',
  'market.submit.after',
  'market.bind-units.before',
  'market.bind-units.after',
  'market.pay-units.before',
  'market.pay-units.after',
  'market.release-units.before',
  'market.release-units.after',
  'market.block.before',
  'market.block.after',
);

const RECONNECT_FIRST_MS = 50;
const RECONNECT_MAX_MS = 2_000;
/** Transactions posted at once. */
const POST_MAX = 64;
/** Waiting transactions; the reducer keeps fewer under way, so this is never reached. */
const OUTBOX_MAX = 1_000;

export interface ChainLinkOptions {
  readonly node: ChainNode;
  readonly signer: Signer;
  readonly dispatch: (event: MarketEvent) => void;
  readonly logger: Logger;
}

interface Outgoing {
  readonly key: string;
  readonly id: string;
  readonly body: TransactionBody;
}

/** Steps of batches that have failpoints of their own. */
const BATCH_STEPS = [
  ['bindUnits/', 'market.bind-units'],
  ['payUnits/', 'market.pay-units'],
  ['releaseUnits/', 'market.release-units'],
] as const;

function strikeAtBatches(sent: readonly Outgoing[], end: 'before' | 'after'): void {
  for (const [kind, name] of BATCH_STEPS)
    if (sent.some(({ key }) => key.startsWith(kind))) failpoint(`${name}.${end}`);
}

export class ChainLink {
  readonly #options: ChainLinkOptions;
  readonly #stopped = new AbortController();
  #outbox: Outgoing[] = [];
  #posting = false;
  #following: AbortController | undefined;
  /** Whether the block stream is up, for readiness. */
  isFollowing = false;

  constructor(options: ChainLinkOptions) {
    this.#options = options;
  }

  /** Transactions that wait to be posted. */
  get waiting(): number {
    return this.#outbox.length;
  }

  submit(outgoing: Outgoing): void {
    if (this.#outbox.length >= OUTBOX_MAX) this.#outbox.shift();
    this.#outbox.push(outgoing);
    if (this.#posting) return;
    this.#posting = true;
    // Everything that one commit lets out goes in one request, in the order of its nonces.
    queueMicrotask(() => void this.#post());
  }

  async #post(): Promise<void> {
    const { node, signer, dispatch, logger } = this.#options;
    while (this.#outbox.length > 0 && !this.#stopped.signal.aborted) {
      const batch = this.#outbox.slice(0, POST_MAX);
      this.#outbox = this.#outbox.slice(POST_MAX);
      try {
        failpoint('market.submit.before');
        strikeAtBatches(batch, 'before');
        const signed = batch.map(({ body }) => signTransaction(signer, body));
        const outcomes = await node.submit(signed);
        failpoint('market.submit.after');
        strikeAtBatches(batch, 'after');
        for (const [i, outcome] of outcomes.entries()) {
          const sent = batch[i];
          if (sent === undefined || outcome.accepted) continue;
          const { key, id } = sent;
          logger.info({ key, transaction: id, code: outcome.code }, 'transaction refused');
          dispatch({ kind: 'transactionRefused', key, id, code: outcome.code });
        }
      } catch (error) {
        logger.warn({ err: error, count: batch.length }, 'transactions not sent');
      }
    }
    this.#posting = false;
  }

  async readNonce(): Promise<void> {
    const { node, signer, dispatch, logger } = this.#options;
    try {
      dispatch({ kind: 'nonceRead', ...(await node.nonce(signer.account)) });
    } catch (error) {
      logger.warn({ err: error }, 'nonce not read');
    }
  }

  /** Prepaid money of an account; what is about to be withdrawn is still in it. */
  async readBalance(account: AccountId): Promise<void> {
    const { node, dispatch, logger } = this.#options;
    try {
      const { value, height } = await node.state(ORDERS_CONTRACT, ordersKeys.prepaid(account));
      const amount = value === undefined ? 0n : decodeWith(prepaid, value).balance;
      dispatch({ kind: 'balanceRead', account, balance: { amount, height } });
    } catch (error) {
      logger.warn({ err: error }, 'balance not read');
    }
  }

  /** What a provider has bonded in contract `disputes` and not asked back. */
  async readBond(account: AccountId): Promise<void> {
    const { node, dispatch, logger } = this.#options;
    try {
      const { value } = await node.state(DISPUTES_CONTRACT, disputesKeys.bond(account));
      const bonded = value === undefined ? 0n : decodeWith(bondRecord, value).bonded;
      dispatch({ kind: 'bondRead', account, bonded });
    } catch (error) {
      logger.warn({ err: error }, 'bond not read');
    }
  }

  /** Starts (over) at a height. */
  follow(fromHeight: number): void {
    this.#following?.abort();
    const following = new AbortController();
    this.#following = following;
    void this.#follow(fromHeight, AbortSignal.any([following.signal, this.#stopped.signal]));
  }

  async #follow(fromHeight: number, signal: AbortSignal): Promise<void> {
    const { node, signer, dispatch, logger } = this.#options;
    let next = fromHeight;
    for (
      let waitMs = RECONNECT_FIRST_MS;
      !signal.aborted;
      waitMs = Math.min(waitMs * 2, RECONNECT_MAX_MS)
    ) {
      try {
        for await (const { block, receipts } of node.blocks(next, signal)) {
          if (signal.aborted) return;
          this.isFollowing = true;
          waitMs = RECONNECT_FIRST_MS;
          failpoint('market.block.before');
          dispatch(blockToEvent(block, receipts, signer));
          failpoint('market.block.after');
          next = block.header.height + 1;
        }
      } catch (error) {
        if (signal.aborted) return;
        const code = isSeeleError(error) ? error.code : undefined;
        logger.warn({ err: error, code, next }, 'block stream ended');
      }
      this.isFollowing = false;
      await sleep(waitMs, undefined, { signal }).catch(() => undefined);
    }
  }

  stop(): void {
    this.#stopped.abort();
  }
}
