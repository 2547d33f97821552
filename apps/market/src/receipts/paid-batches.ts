/** The batches of an order of many tasks that the chain paid, in its order, out of the market's rows. */
import {
  type OrderRecord,
  batchDeliveryHash,
  orderRecord,
  settledHead,
  withoutUnits,
} from '#contracts';
import { type EventBatch, MARKET_ENTRIES, type PaidBatch, settledOf } from '#libs/audit';
import { type Codec, type CodecValue, decodeWith } from '#libs/kernel';

import type { StateProof } from '#libs/ledger';
import { type UnitsRow, decodeRow } from '#libs/market';
import { marketAppError } from '../errors.ts';
import type { RowStore } from '../store/row-store.ts';

type Settled = CodecValue<(typeof MARKET_ENTRIES)['units-settled']>;

/** What the log says was paid, in the order in which blocks did. */
function settlements(log: readonly EventBatch[]): readonly Settled[] {
  const codec = MARKET_ENTRIES['units-settled'] as Codec<Settled>;
  return log
    .flatMap(({ entries }) => entries)
    .filter(({ kind }) => kind === 'units-settled')
    .map(({ data }) => decodeWith(codec, data));
}

function paidBatchOf(row: UnitsRow, leaves: Uint8Array | undefined): PaidBatch | undefined {
  const { delivery, withheld, paidUnits, paid = 0n, chainDelivery } = row;
  if (row.chain !== 'settled' || !delivery || !leaves) return undefined;
  if (chainDelivery !== batchDeliveryHash(delivery.delivery)) return undefined;
  const all = delivery.delivery.units;
  const units = paidUnits ?? (withheld ? withoutUnits(all, withheld.units) : all);
  return units.length === 0 ? undefined : { delivery, paidUnits: units, paid, leaves };
}

/**
 * @throws MARKET_RECEIPT_INCOMPLETE when the rows do not have what the chain paid
 */
export async function readPaidBatches(
  rows: RowStore,
  id: string,
  log: readonly EventBatch[],
  proof: StateProof,
): Promise<readonly PaidBatch[]> {
  const [units, leaves] = await Promise.all([
    rows.read('units', { prefix: `${id}/` }),
    rows.read('leaves', { prefix: `${id}/` }),
  ]);
  const leavesAt = new Map(
    leaves.map(({ bytes }) => decodeRow('leaves', bytes)).map((row) => [row.fence, row.leaves]),
  );
  const byFence = new Map(
    units.map(({ bytes }) => decodeRow('units', bytes)).map((row) => [row.fence, row]),
  );
  const batches = settlements(log).flatMap(({ fence }) => {
    const row = byFence.get(fence);
    const batch = row && paidBatchOf(row, leavesAt.get(fence));
    return batch ? [batch] : [];
  });
  let head: string | undefined;
  for (const batch of batches) head = settledHead(head, settledOf(batch));
  const record: OrderRecord | undefined = proof.value && decodeWith(orderRecord, proof.value);
  if (record?.array?.head !== head)
    throw marketAppError(
      'MARKET_RECEIPT_INCOMPLETE',
      `somebody settled a batch of order ${id} out of another delivery than the market has`,
    );
  return batches;
}
