/** Turns waiting transactions into blocks, one step at a time; the caller owns the clock. */
import type { CommittedBlock } from './block.ts';
import type { Chain } from './chain.ts';
import type { Mempool } from './mempool.ts';
import type { OrderingPort } from './ordering.ts';

export interface Producer {
  /**
   * Executes and commits the next cut; undefined while there is nothing to order.
   * @throws any storage error, after which the process must end
   */
  step(nowUs: number): Promise<CommittedBlock | undefined>;
  /** Transactions came in; for orderings that wait in `step`. */
  submitted?(): void;
  /** Ends what waits in `step`; resolves when nothing is under way any more. */
  stop?(): Promise<void>;
}

/**
 * @example
 * const producer = createProducer({ chain, mempool, ordering: createSoloOrdering(signer) });
 * mempool.add(envelope, nowUs);
 * const block = await producer.step(nowUs); // durable
 */
export function createProducer(parts: {
  readonly chain: Chain;
  readonly mempool: Mempool;
  readonly ordering: OrderingPort;
}): Producer {
  const { chain, mempool, ordering } = parts;
  return {
    async step(nowUs) {
      mempool.expire(nowUs);
      const cut = await ordering.nextCut(chain.head, mempool, nowUs);
      if (cut === undefined) return undefined;
      const execution = chain.execute(cut, ordering.invalidTransactions);
      for (const { transaction, reason } of execution.dropped) mempool.drop(transaction.id, reason);
      if (execution.transactions.length === 0) return undefined;
      const certificate = await ordering.certify(execution.header);
      const block = await chain.commit(execution, certificate);
      mempool.afterBlock(block.transactions);
      return block;
    },
  };
}
