/**
 * I12: what audits come to. Whoever told the truth is never blamed and keeps its bond; a lie that two others
 * were asked about is found to be one.
 */
import { DISPUTES_CONTRACT, bondRecord, disputesKeys } from '#contracts';
import { decodeWith } from '#libs/kernel';
import type { Chain } from '#libs/ledger';
import { type OrderRow, type StoredRow, decodeRow } from '#libs/market';
import { cidOf } from './result-store.ts';
import type { World } from './world.ts';

/** What the job under this manifest results in. */
export const truthOf = (manifest: string): string => cidOf(`output of ${manifest}`);
/** And what the liar says instead. */
export const lieOf = (manifest: string): string => cidOf(`a lie about ${manifest}`);

/** Of everybody who does work. */
export const BOND = 10n ** 9n;

export const bondOf = (chain: Chain, account: string): bigint => {
  const bytes = chain.get(DISPUTES_CONTRACT, disputesKeys.bond(account));
  return bytes ? decodeWith(bondRecord, bytes).bonded : 0n;
};

export interface AuditParts {
  readonly world: World;
  readonly rows: ReadonlyMap<string, StoredRow>;
  readonly chain: Chain | undefined;
  readonly providers: readonly string[];
  /** Who lies about whole jobs. */
  readonly liar: string | undefined;
}

const isLie = ({ signed, delivery }: OrderRow): boolean =>
  delivery?.delivery.result === lieOf(signed.order.manifest);

export function checkAudits({ world, rows, chain, providers, liar }: AuditParts): void {
  const orders = new Map<string, OrderRow>();
  for (const [key, { bytes }] of rows)
    if (key.startsWith('order/')) {
      const row = decodeRow('order', bytes);
      orders.set(row.id, row);
    }
  const convicted = new Set<string>();
  for (const row of orders.values()) {
    if (!row.audit) continue;
    const { state, odd = '' } = row.audit;
    world.count(`audit ${state}`);
    const blamed = orders.get(odd);
    if (blamed) {
      convicted.add(blamed.delivery?.delivery.provider ?? '');
      world.check(isLie(blamed), 'I12', () => `order ${odd} was blamed for the truth`);
    }
    const isBelieved = isLie(row) && state === 'right';
    world.check(!isBelieved, 'I12', () => `the audit of ${row.id} bore out a lie`);
  }
  for (const account of providers) {
    if (account === liar || !chain) continue;
    world.check(!convicted.has(account), 'I12', () => `${account} told the truth`);
    world.check(bondOf(chain, account) === BOND, 'I12', () => `the bond of ${account} is broken`);
  }
  if (liar !== undefined && chain && convicted.has(liar) && bondOf(chain, liar) < BOND)
    world.count('liar convicted');
}
