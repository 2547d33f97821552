/**
 * I12: what audits come to. Whoever told the truth is never blamed and keeps its bond; a lie that two others
 * were asked about is found to be one.
 */
import {
  DISPUTES_CONTRACT,
  bondRecord,
  decodeUnitLeaf,
  disputesKeys,
  splitUnitLeaves,
} from '#contracts';
import { decodeWith, equalBytes } from '#libs/kernel';
import type { Chain } from '#libs/ledger';
import { type OrderRow, type StoredRow, decodeRow } from '#libs/market';
import { cidOf, unitOutput } from './result-store.ts';
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
  /** Who lie, about whole jobs or about tasks of many. */
  readonly liars: ReadonlySet<string>;
}

const isLie = ({ signed, delivery }: OrderRow): boolean =>
  delivery?.delivery.result === lieOf(signed.order.manifest);

/** True when a batch of this order says something untrue of one of these tasks; its provider beside. */
function lieInTasks(
  rows: ReadonlyMap<string, StoredRow>,
  { id: order, array }: OrderRow,
  tasks: ReadonlySet<number>,
  fence?: number,
): { readonly provider: string; readonly isLie: boolean; readonly batch: number } {
  let [provider, isLie, found] = ['', false, 0];
  for (const [key, { bytes }] of rows) {
    if (!key.startsWith(`units/${order}/`)) continue;
    const batch = decodeRow('units', bytes);
    if (batch.state !== 'delivered' || (fence !== undefined && batch.fence !== fence)) continue;
    ({ provider, fence: found } = batch);
    const leaves = rows.get(key.replace('units/', 'leaves/'));
    for (const leaf of splitUnitLeaves(decodeRow('leaves', leaves?.bytes ?? bytes).leaves) ?? []) {
      const result = decodeUnitLeaf(leaf);
      if (!result?.output || !tasks.has(result.unit % (array?.tasks ?? 1))) continue;
      isLie ||= !equalBytes(result.output, unitOutput(0));
    }
  }
  return { provider, isLie, batch: found };
}

/** Of batches: the same, by their tasks. @returns who was blamed */
function checkBatchAudits(
  { world, rows, chain }: AuditParts,
  orders: ReadonlyMap<string, OrderRow>,
  row: OrderRow,
): string[] {
  return (row.audits ?? []).flatMap(({ fence, tasks = [], audit: { state, odd = '' } }) => {
    world.count(`batch audit ${state}`);
    const drawn = new Set(tasks);
    const isBelieved = state === 'right' && lieInTasks(rows, row, drawn, fence).isLie;
    world.check(
      !isBelieved,
      'I12',
      () => `the audit of batch ${fence} of ${row.id} bore out a lie`,
    );
    const blamed = orders.get(odd);
    if (!blamed) return [];
    const its = odd === row.id ? fence : undefined;
    const { provider, isLie: isLying, batch } = lieInTasks(rows, blamed, drawn, its);
    const isProven = chain?.get(DISPUTES_CONTRACT, disputesKeys.ofBatch(odd, batch));
    if (isProven) world.count('batch liar convicted');
    world.check(isLying, 'I12', () => `a batch of ${odd} was blamed for the truth`);
    return [provider];
  });
}

export function checkAudits(parts: AuditParts): void {
  const { world, rows, chain, providers, liars } = parts;
  const orders = new Map<string, OrderRow>();
  for (const [key, { bytes }] of rows)
    if (key.startsWith('order/')) {
      const row = decodeRow('order', bytes);
      orders.set(row.id, row);
    }
  const convicted = new Set<string>();
  for (const row of orders.values()) {
    for (const account of checkBatchAudits(parts, orders, row)) convicted.add(account);
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
    if (!chain) continue;
    const isWhole = bondOf(chain, account) === BOND;
    if (liars.has(account)) {
      if (convicted.has(account) && !isWhole) world.count('liar convicted');
      continue;
    }
    world.check(!convicted.has(account), 'I12', () => `${account} told the truth`);
    world.check(isWhole, 'I12', () => `the bond of ${account} is broken`);
  }
}
