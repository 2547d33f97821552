/** What replicas of tasks came to, read from the rows alone: who was paid for which of them, and was it true? */
import { countUnits, decodeUnitLeaf, splitUnitLeaves, unitsOf, withoutUnits } from '#contracts';
import { bytesToHex } from '#libs/kernel';
import { type OrderRow, type StoredRow, type UnitsRow, decodeRow, unitsId } from '#libs/market';
import { TRUE_OUTPUT } from './agent-process.ts';
import type { World } from './world.ts';

const TRUTH = bytesToHex(TRUE_OUTPUT);

export class Replicas {
  readonly #batches = new Map<string, UnitsRow>();
  readonly #byOrder = new Map<string, UnitsRow[]>();

  constructor(rows: ReadonlyMap<string, StoredRow>) {
    for (const [key, { bytes }] of rows) {
      if (!key.startsWith('units/')) continue;
      const batch = decodeRow('units', bytes);
      this.#batches.set(unitsId(batch.order, batch.fence), batch);
      this.#byOrder.set(batch.order, [...(this.#byOrder.get(batch.order) ?? []), batch]);
    }
  }

  /** What a provider asked for units that others contradicted. `key` is `<order>/<fence>`. */
  takenBack(key: string): bigint {
    const [order = '', fence] = key.split('/');
    const batch = this.#batches.get(unitsId(order, Number(fence)));
    return batch?.withheld?.charge ?? 0n;
  }

  unitsPaid({ id, array }: OrderRow): number {
    if (!array || array.replicas === 1) return array?.done ?? 0;
    return this.#delivered(id).reduce((sum, batch) => sum + countUnits(kept(batch)), 0);
  }

  /**
   * Liars here never agree with each other, so of a task that was decided by comparison nothing but the
   * truth is paid. What a trusted provider said alone, or nobody contradicted before the order was
   * stopped, is its word.
   */
  checkResults(row: OrderRow, world: World): void {
    const { array, id } = row;
    if (!array || array.replicas === 1) return;
    world.count(`replicas ${row.work}`);
    if (row.work !== 'done') return;
    for (const batch of this.#delivered(id)) {
      const paid = new Set(unitsOf(kept(batch)));
      const alone = new Set(unitsOf(batch.alone ?? []));
      for (const leaf of splitUnitLeaves(batch.leaves ?? new Uint8Array()) ?? []) {
        const result = decodeUnitLeaf(leaf);
        if (!result?.output || !paid.has(result.unit) || alone.has(result.unit)) continue;
        world.check(
          bytesToHex(result.output) === TRUTH,
          'V1',
          () => `order ${id}: unit ${result.unit} of ${batch.provider} is wrong and was paid`,
        );
      }
      if (batch.withheld && batch.withheld.charge > 0n) world.count('replicas odd, not paid');
    }
  }

  #delivered(order: string): UnitsRow[] {
    return (this.#byOrder.get(order) ?? []).filter(({ state }) => state === 'delivered');
  }
}

const kept = ({ delivery, withheld }: UnitsRow) => {
  const told = delivery?.delivery.units ?? [];
  return withheld ? withoutUnits(told, withheld.units) : told;
};
