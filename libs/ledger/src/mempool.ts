/**
 * Transactions that wait for a block: bounded in number, bytes, per account and in time. Per account
 * they are contiguous from the account's nonce on, so whatever waits can run; what pays more goes
 * first, equal prices in order of arrival.
 */
import type { AccountId, SeeleError } from '#libs/kernel';
import { ledgerError } from './errors.ts';
import { refusalOf } from './execute-transaction.ts';
import type { ChainLimits } from './genesis.ts';
import { NextUp, type Waiting } from './next-up.ts';
import type { SelectionRoom, TransactionSource } from './ordering.ts';
import type { TransactionEnvelope } from './transaction.ts';

export interface MempoolLimits {
  readonly transactions: number;
  readonly bytes: number;
  /** Waiting transactions of one account. */
  readonly perAccount: number;
  /** A transaction that waited longer is dropped. */
  readonly ageUs: number;
}

export const DEFAULT_MEMPOOL_LIMITS: MempoolLimits = {
  transactions: 20_000,
  bytes: 32 * 1024 * 1024,
  perAccount: 64,
  ageUs: 60_000_000,
};

/** What the pool has to know of committed state. */
export interface AccountReader {
  account(account: AccountId): { readonly balance: bigint; readonly nonce: number };
  nonce(account: AccountId): number;
  /** Least fuel price at that time; the chain's minimum when load does not move it. */
  fuelPrice?(timeUs: number): bigint;
}

export interface MempoolOptions {
  readonly chain: string;
  readonly limits: ChainLimits;
  readonly accounts: AccountReader;
  readonly pool?: Partial<MempoolLimits>;
  /** Told about every transaction that leaves without being executed. */
  readonly onDropped?: (id: string, reason: SeeleError) => void;
}

export interface MempoolMetrics {
  readonly transactions: number;
  readonly bytes: number;
  readonly accounts: number;
  readonly admitted: number;
  readonly refused: number;
  readonly replaced: number;
  readonly evicted: number;
  readonly expired: number;
}

export type Admission =
  /** `known`: it waited already. */
  | { readonly ok: true; readonly known: boolean }
  | { readonly ok: false; readonly error: SeeleError };

export interface Mempool extends TransactionSource {
  readonly metrics: MempoolMetrics;
  /** Admits a transaction whose signature has been checked. */
  add(envelope: TransactionEnvelope, nowUs: number): Admission;
  has(id: string): boolean;
  /** The nonce that the account's next transaction should have, counting what waits. */
  nextNonce(account: AccountId): number;
  /** Forgets what a block executed or overtook. */
  afterBlock(transactions: readonly TransactionEnvelope[]): void;
  /** Drops one transaction, and with it those of the account that come after it. */
  drop(id: string, reason: SeeleError): void;
  /** Drops what waited too long or can no longer become valid. */
  expire(nowUs: number): void;
}

/** Price that replaces a waiting transaction: at least a tenth more. */
const replacementPrice = (price: bigint): bigint => price + (price + 9n) / 10n;

/** Waiting transactions of one account: `queue[i]` has nonce `queue[0].nonce + i`. */
interface Lane {
  readonly queue: Waiting[];
  /** Fee deposits of all of them. */
  cost: bigint;
}

class WaitingTransactions implements Mempool {
  readonly #options: MempoolOptions;
  readonly #limits: MempoolLimits;
  readonly #lanes = new Map<AccountId, Lane>();
  readonly #ids = new Map<string, TransactionEnvelope>();
  #bytes = 0;
  #arrivals = 0;
  readonly #counts = { admitted: 0, refused: 0, replaced: 0, evicted: 0, expired: 0 };

  constructor(options: MempoolOptions) {
    this.#options = options;
    this.#limits = { ...DEFAULT_MEMPOOL_LIMITS, ...options.pool };
  }

  get metrics(): MempoolMetrics {
    return {
      transactions: this.#ids.size,
      bytes: this.#bytes,
      accounts: this.#lanes.size,
      ...this.#counts,
    };
  }

  has(id: string): boolean {
    return this.#ids.has(id);
  }

  nextNonce(account: AccountId): number {
    const nonce = this.#options.accounts.nonce(account);
    const queue = this.#lanes.get(account)?.queue;
    return Math.max(nonce, queue?.[0] ? queue[0].envelope.body.nonce + queue.length : 0);
  }

  add(envelope: TransactionEnvelope, nowUs: number): Admission {
    if (this.#ids.has(envelope.id)) return { ok: true, known: true };
    const error = this.#refusal(envelope, nowUs) ?? this.#makeRoom(envelope);
    if (error) {
      this.#counts.refused++;
      return { ok: false, error };
    }
    this.#insert(envelope, nowUs);
    this.#counts.admitted++;
    return { ok: true, known: false };
  }

  /** Why a transaction may not wait here; undefined when it may. */
  #refusal(envelope: TransactionEnvelope, nowUs: number): SeeleError | undefined {
    const { chain, limits, accounts } = this.#options;
    const { body, account } = envelope;
    // Not valid yet is fine: it waits for its time.
    const early = body.validFromUs !== undefined && body.validFromUs > nowUs;
    const refusal = refusalOf(
      envelope,
      chain,
      limits,
      early ? (body.validFromUs as number) : nowUs,
      accounts.fuelPrice?.(nowUs),
    );
    if (refusal) return refusal;
    if (early && (body.validFromUs as number) > nowUs + this.#limits.ageUs)
      return ledgerError(
        'LEDGER_TRANSACTION_EARLY',
        `valid from ${body.validFromUs}, later than the waiting list keeps it`,
      );
    const lane = this.#lanes.get(account);
    const { balance, nonce } = accounts.account(account);
    const first = lane?.queue[0]?.envelope.body.nonce ?? nonce;
    const next = Math.max(nonce, first + (lane?.queue.length ?? 0));
    if (body.nonce < nonce)
      return ledgerError(
        'LEDGER_NONCE_USED',
        `nonce ${body.nonce} where the account is at ${nonce}`,
      );
    if (body.nonce > next)
      return ledgerError('LEDGER_NONCE_GAP', `nonce ${body.nonce} where ${next} comes next`);
    const rival = lane?.queue[body.nonce - first];
    if (rival !== undefined) {
      const price = replacementPrice(rival.envelope.body.fuelPrice);
      if (body.fuelPrice < price)
        return ledgerError(
          'LEDGER_REPLACEMENT_UNDERPRICED',
          `nonce ${body.nonce} is taken by ${rival.envelope.id}; a fuel price of ${price} replaces it`,
        );
    } else if ((lane?.queue.length ?? 0) >= this.#limits.perAccount)
      return ledgerError(
        'LEDGER_POOL_ACCOUNT_FULL',
        `${this.#limits.perAccount} transactions of this account wait already`,
      );
    const cost = (lane?.cost ?? 0n) - (rival?.cost ?? 0n) + body.fuelLimit * body.fuelPrice;
    if (cost > balance)
      return ledgerError(
        'LEDGER_BALANCE_TOO_LOW',
        `waiting transactions may cost ${cost}, the account has ${balance}`,
      );
    return undefined;
  }

  #isFull(extraBytes: number): boolean {
    return (
      this.#ids.size >= this.#limits.transactions || this.#bytes + extraBytes > this.#limits.bytes
    );
  }

  /** Evicts the cheapest last-in-line transactions for one that pays more. */
  #makeRoom(envelope: TransactionEnvelope): SeeleError | undefined {
    while (this.#isFull(envelope.bytes.length)) {
      let cheapest: Waiting | undefined;
      for (const { queue } of this.#lanes.values()) {
        const last = queue[queue.length - 1] as Waiting;
        // An account cannot make room for its own next transaction with the one before it.
        if (last.envelope.account === envelope.account) continue;
        const isCheaper =
          !cheapest || last.envelope.body.fuelPrice < cheapest.envelope.body.fuelPrice;
        if (isCheaper) cheapest = last;
      }
      if (!cheapest || cheapest.envelope.body.fuelPrice >= envelope.body.fuelPrice)
        return ledgerError(
          'LEDGER_POOL_FULL',
          `${this.#ids.size} transactions (${this.#bytes} bytes) wait, none of them for less`,
        );
      this.#counts.evicted++;
      this.drop(
        cheapest.envelope.id,
        ledgerError('LEDGER_POOL_DROPPED', 'one with a higher fuel price took its place'),
      );
    }
    return undefined;
  }

  #insert(envelope: TransactionEnvelope, nowUs: number): void {
    const { account, body } = envelope;
    let lane = this.#lanes.get(account);
    if (lane === undefined) {
      lane = { queue: [], cost: 0n };
      this.#lanes.set(account, lane);
    }
    const cost = body.fuelLimit * body.fuelPrice;
    const waiting = { envelope, arrival: this.#arrivals++, sinceUs: nowUs, cost };
    const first = lane.queue[0]?.envelope.body.nonce ?? body.nonce;
    const rival = lane.queue[body.nonce - first];
    lane.queue[body.nonce - first] = waiting;
    lane.cost += cost;
    this.#ids.set(envelope.id, envelope);
    this.#bytes += envelope.bytes.length;
    if (rival === undefined) return;
    this.#counts.replaced++;
    lane.cost -= rival.cost;
    this.#forget(rival);
    this.#tell(rival, ledgerError('LEDGER_POOL_DROPPED', `replaced by ${envelope.id}`));
  }

  #forget({ envelope }: Waiting): void {
    this.#ids.delete(envelope.id);
    this.#bytes -= envelope.bytes.length;
  }

  #tell({ envelope }: Waiting, reason: SeeleError): void {
    this.#options.onDropped?.(envelope.id, reason);
  }

  select(timeUs: number, room?: SelectionRoom): readonly TransactionEnvelope[] {
    const { limits, accounts } = this.#options;
    const price = accounts.fuelPrice?.(timeUs) ?? limits.minimumFuelPrice;
    const next = new NextUp();
    for (const { queue } of this.#lanes.values()) next.push(queue, 0);
    const selected: TransactionEnvelope[] = [];
    let fuel = limits.blockFuel;
    let bytes = Math.min(limits.blockBytes, room?.bytes ?? limits.blockBytes);
    const most = Math.min(limits.blockTransactions, room?.transactions ?? limits.blockTransactions);
    for (let best = next.pop(); best; best = next.pop()) {
      const { envelope } = best.next;
      if (room?.isTaken(envelope.id)) {
        best.follow();
        continue;
      }
      // The dearest goes first: nobody after it pays enough. They wait for the price to fall.
      if (envelope.body.fuelPrice < price) break;
      const { validFromUs, validUntilUs, fuelLimit } = envelope.body;
      if (validUntilUs < timeUs || (validFromUs !== undefined && validFromUs > timeUs)) continue;
      if (fuelLimit > fuel || envelope.bytes.length > bytes) continue;
      fuel -= fuelLimit;
      bytes -= envelope.bytes.length;
      selected.push(envelope);
      if (selected.length >= most) break;
      best.follow();
    }
    return selected;
  }

  afterBlock(transactions: readonly TransactionEnvelope[]): void {
    const executed = new Set<string>();
    const touched = new Map<AccountId, Lane>();
    for (const { account, id } of transactions) {
      // Of most transactions nothing waits here: other nodes took them in.
      const lane = this.#lanes.get(account);
      if (lane === undefined) continue;
      touched.set(account, lane);
      executed.add(id);
    }
    for (const [account, lane] of touched) {
      const nonce = this.#options.accounts.nonce(account);
      const first = lane.queue[0]?.envelope.body.nonce ?? nonce;
      const done = lane.queue.splice(0, Math.max(0, nonce - first));
      for (const waiting of done) {
        lane.cost -= waiting.cost;
        this.#forget(waiting);
        if (!executed.has(waiting.envelope.id))
          this.#tell(
            waiting,
            ledgerError('LEDGER_NONCE_USED', 'another transaction used its nonce'),
          );
      }
      if (lane.queue.length === 0) this.#lanes.delete(account);
    }
  }

  drop(id: string, reason: SeeleError): void {
    const envelope = this.#ids.get(id);
    const lane = envelope && this.#lanes.get(envelope.account);
    if (lane === undefined) return;
    const index = lane.queue.findIndex((waiting) => waiting.envelope.id === id);
    const [dropped, ...followers] = lane.queue.splice(index) as [Waiting, ...Waiting[]];
    this.#forget(dropped);
    lane.cost -= dropped.cost;
    this.#tell(dropped, reason);
    for (const follower of followers) {
      lane.cost -= follower.cost;
      this.#forget(follower);
      this.#tell(
        follower,
        ledgerError('LEDGER_POOL_DROPPED', `it followed ${id}, which was dropped`),
      );
    }
    if (lane.queue.length === 0) this.#lanes.delete(dropped.envelope.account);
  }

  expire(nowUs: number): void {
    const oldestUs = nowUs - this.#limits.ageUs;
    for (const { queue } of [...this.#lanes.values()]) {
      const stale = queue.find(
        ({ sinceUs, envelope }) => sinceUs < oldestUs || envelope.body.validUntilUs < nowUs,
      );
      if (stale === undefined) continue;
      const { id, body } = stale.envelope;
      this.#counts.expired++;
      this.drop(
        id,
        body.validUntilUs < nowUs
          ? ledgerError('LEDGER_TRANSACTION_EXPIRED', `valid until ${body.validUntilUs}`)
          : ledgerError('LEDGER_POOL_DROPPED', 'it waited too long'),
      );
    }
  }
}

export function createMempool(options: MempoolOptions): Mempool {
  return new WaitingTransactions(options);
}
