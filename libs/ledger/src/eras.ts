/**
 * Eras of an EDA chain, counted by its own state: one more with every block whose time crosses a border,
 * however many borders that are. So does consensus (`advanceBase` of `libs/eda`), and contracts that name
 * eras to come name them by this count: after idleness the clock is ahead of it.
 */
import { crossesEra } from '#libs/eda';
import { type Bytes, decodeWith, encodeWith, uint, utf8 } from '#libs/kernel';
import { LEDGER_STATE } from './execute-transaction.ts';
import type { Genesis } from './genesis.ts';

/** Key of the count in the state of `LEDGER_STATE`; no entry: the era of genesis. */
export const ERA_KEY = utf8('era');
const eraCodec = uint();
export const encodeEra = (era: number): Bytes => encodeWith(eraCodec, era);

/** Era of the block that follows a state; 0 where one sequencer orders. */
export function eraOn(
  state: { get(contract: string, key: Bytes): Bytes | undefined },
  { ordering, timeUs }: Pick<Genesis, 'ordering' | 'timeUs'>,
): number {
  if (ordering.kind !== 'eda') return 0;
  const stored = state.get(LEDGER_STATE, ERA_KEY);
  return stored === undefined ? Math.floor(timeUs / ordering.eraUs) : decodeWith(eraCodec, stored);
}

/** Era of the block after one of this era and time. */
export function eraAfter(
  era: number,
  { ordering }: Pick<Genesis, 'ordering'>,
  block: { readonly parentTimeUs: number; readonly timeUs: number },
): number {
  if (ordering.kind !== 'eda') return 0;
  return crossesEra(block.parentTimeUs, block.timeUs, ordering.eraUs) ? era + 1 : era;
}
