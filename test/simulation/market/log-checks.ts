/** I11: every job's log is whole, signed by whoever was entitled, and covered by anchored roots. */
import {
  EVENTS_DOMAIN,
  LOG_START,
  MARKET_ENTRIES,
  entryHash,
  batchStatementBytes,
  eventBatch,
  isMarketKind,
  leafEntryHash,
} from '#libs/audit';
import { anchor, auditKeys, AUDIT_CONTRACT } from '#contracts';
import type { SignatureVerifier } from '#libs/crypto';
import { decodeWith } from '#libs/kernel';
import type { Chain } from '#libs/ledger';
import { type OrderRow, type StoredRow, decodeRow } from '#libs/market';
import { LogTree } from '#libs/merkle';
import type { World } from './world.ts';

interface LogChecks {
  readonly world: World;
  readonly rows: ReadonlyMap<string, StoredRow>;
  readonly verify: SignatureVerifier;
  readonly market: { readonly account: string; readonly publicKey: string };
  readonly anchors: Chain | undefined;
  readonly accountOf: (publicKey: string) => string;
}

export function checkLogs(checks: LogChecks): void {
  const keys = [...checks.rows.keys()].sort();
  for (const key of keys) {
    const stored = checks.rows.get(key);
    if (stored?.table === 'order') checkLog(checks, keys, decodeRow('order', stored.bytes));
  }
  checkAnchors(checks, keys);
}

const ENDINGS: ReadonlySet<string> = new Set([
  'settled',
  'refunded',
  'failed',
  'cancelled',
  'rejected',
]);

function checkLog(
  { world, rows, verify, market, accountOf }: LogChecks,
  keys: readonly string[],
  row: OrderRow,
): void {
  const wrong = (text: string): void => world.violate('I11', `log of ${row.id}: ${text}`);
  let seq = 0;
  let head = LOG_START;
  let holder: string | undefined;
  let last = '';
  const prefix = `batch/${row.id}/`;
  for (const key of keys) {
    if (!key.startsWith(prefix)) continue;
    const batch = decodeWith(eventBatch, rows.get(key)?.bytes ?? new Uint8Array());
    for (const entry of batch.entries) {
      if (entry.seq !== seq || entry.prev !== head || entry.job !== row.id)
        return wrong(`entry ${entry.seq} does not follow ${seq - 1}`);
      seq += 1;
      head = entryHash(entry);
      // A result is checked after the order has ended, too.
      if (entry.kind !== 'checked') last = entry.kind;
      if (entry.kind === 'leased') holder = decodeWith(MARKET_ENTRIES.leased, entry.data).provider;
      const isMarkets = isMarketKind(entry.kind);
      const writer = accountOf(batch.publicKey);
      if (writer !== (isMarkets ? market.account : holder))
        return wrong(`entry ${entry.seq} (${entry.kind}) is by ${writer}`);
    }
    const statement = batchStatementBytes(batch.entries, head);
    if (!verify(batch.publicKey, EVENTS_DOMAIN, statement, batch.signature))
      return wrong(`the batch up to ${seq} is not signed`);
  }
  if (seq !== row.log.length || head !== row.log.head)
    return wrong(`${seq} entries are stored, the order says ${row.log.length}`);
  if (row.endedAtUs !== undefined && !ENDINGS.has(last)) wrong(`ends with ${last}`);
}

function checkAnchors({ world, rows, market, anchors }: LogChecks, keys: readonly string[]): void {
  const tree = new LogTree();
  const covered = new Map<string, number>();
  for (const key of keys) {
    if (!key.startsWith('leaf/')) continue;
    const leaf = decodeRow('leaf', rows.get(key)?.bytes ?? new Uint8Array());
    if (leaf.index !== tree.size)
      world.violate('I11', `leaf ${leaf.index} where ${tree.size} is next`);
    tree.appendLeafHash(leafEntryHash({ job: leaf.job, log: leaf.log }));
    covered.set(leaf.job, leaf.log.length);
  }
  let anchored = 0;
  const prefix = auditKeys.anchorsOf(market.account);
  for (const [, bytes] of anchors?.scan(AUDIT_CONTRACT, prefix, { limit: 10_000 }) ?? []) {
    const { size, root } = decodeWith(anchor, bytes);
    anchored = Math.max(anchored, size);
    if (size > tree.size || tree.root(size) !== root)
      world.violate('I11', `anchored root of size ${size} is not the operator's log`);
  }
  if (anchored !== tree.size) world.violate('I11', `${tree.size} leaves, ${anchored} anchored`);
  for (const key of keys) {
    if (!key.startsWith('order/')) continue;
    const row = decodeRow('order', rows.get(key)?.bytes ?? new Uint8Array());
    if (covered.get(row.id) !== row.log.length)
      world.violate(
        'I11',
        `log of ${row.id} is ${row.log.length} long, ${covered.get(row.id)} anchored`,
      );
  }
}
