/** `seele audit reputation`: what became of providers' work, counted again from the blocks. */
import {
  REPUTATION_CONTRACT,
  type ReputationRecord,
  followReputation,
  reputationKeys,
  reputationRecord,
  reputationScore,
} from '#contracts';
import {
  bytesToHex,
  decodeWith,
  encodeWith,
  equalBytes,
  formatAccount,
  formatAmount,
  parseAccount,
} from '#libs/kernel';
import { decodeReceipt } from '#libs/ledger';
import { logLeafHash, logRootOfHashes } from '#libs/merkle';
import { type NodeClient, createNodeClient } from '#libs/sdk';
import { cliError } from '../errors.ts';
import type { CommandContext } from '../frame/command.ts';
import { serviceUrl } from '../frame/connect.ts';

/** The chain goes on while it is read: so often the rest is read and compared again. */
const ROUNDS = 5;

type Records = Map<string, ReputationRecord>;

/** Every record as the chain's state has it. */
async function stateOf(node: NodeClient): Promise<Records> {
  const records: Records = new Map();
  for await (const [key, value] of node.scan(REPUTATION_CONTRACT, reputationKeys.providers))
    records.set(
      bytesToHex(key.subarray(reputationKeys.providers.length)),
      decodeWith(reputationRecord, value),
    );
  return records;
}

/** Counts on from the events of these blocks. */
async function follow(node: NodeClient, records: Records, from: number, to: number): Promise<void> {
  if (from > to) return;
  const stop = new AbortController();
  for await (const { height, block, receipts } of node.blocks(from, stop.signal)) {
    if (logRootOfHashes(receipts.map(logLeafHash)) !== block.header.receiptsRoot)
      throw cliError(
        'CLI_CHECK_FAILED',
        `receipts of block ${height} are not those it was made with`,
      );
    const events = receipts.flatMap((bytes) => decodeReceipt(bytes).events);
    followReputation(records, events, block.header.timeUs);
    if (height === to) break;
  }
  stop.abort();
}

const isSame = (a: ReputationRecord | undefined, b: ReputationRecord | undefined): boolean =>
  a !== undefined &&
  b !== undefined &&
  equalBytes(encodeWith(reputationRecord, a), encodeWith(reputationRecord, b));

/** Providers whose records are not the same in both. */
function differing(a: Records, b: Records): string[] {
  const all = new Set([...a.keys(), ...b.keys()]);
  return [...all].filter((provider) => !isSame(a.get(provider), b.get(provider)));
}

export interface ReputationOptions {
  readonly node?: string;
  readonly [name: string]: unknown;
}

export async function auditReputation(
  context: CommandContext,
  options: ReputationOptions,
  provider?: string,
): Promise<void> {
  const { output } = context;
  const node = createNodeClient(serviceUrl(context, 'node', options.node));
  const counted: Records = new Map();
  let height = 0;
  let wrong: string[] = [];
  let stored: Records = new Map();
  for (let round = 0; round < ROUNDS; round++) {
    const { height: head } = await node.status();
    await follow(node, counted, height + 1, head);
    height = head;
    stored = await stateOf(node);
    wrong = differing(counted, stored);
    if (wrong.length === 0) break;
  }
  const only = provider === undefined ? undefined : parseAccount(provider);
  const rows = [...counted]
    .filter(([account]) => only === undefined || account === only)
    .map(([account, record]) => ({
      provider: formatAccount(account),
      score: reputationScore(record),
      ...record,
      paid: formatAmount(record.paid),
      isSame: !wrong.includes(account),
    }));
  output.answer({ height, providers: rows, differing: wrong.map(formatAccount) }, () => {
    output.line(`${counted.size} providers, counted from ${height} blocks`);
    for (const {
      provider: name,
      score,
      settled,
      rejected,
      disputesLost,
      paid,
      isSame: same,
    } of rows)
      output.line(
        `  ${name} ${score}: ${settled} settled, ${rejected} rejected, ${disputesLost} disputes lost, paid ${paid}${same ? '' : ' – the state says otherwise'}`,
      );
  });
  if (wrong.length > 0)
    throw cliError('CLI_CHECK_FAILED', `${wrong.length} records are not what the blocks say`);
}
