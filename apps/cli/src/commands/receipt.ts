/** `seele receipt` and `seele audit verify`: the proof of a job, and its check with nothing else. */
import { readFileSync } from 'node:fs';
import { type ReceiptVerdict, verifyReceipt } from '#libs/audit';
import { formatAccount } from '#libs/kernel';
import { decodeGenesis, genesisId } from '#libs/ledger';
import { ENDED, type MarketClient } from '#libs/sdk';
import { cliError } from '../errors.ts';
import { type CommandContext, wholeNumber } from '../frame/command.ts';
import { readUserFile, writeUserFile } from '../frame/files.ts';
import type { Home } from '../frame/home.ts';
import { type MarketOptions, connectMarket, orderIdOf } from '../frame/market.ts';
import { money } from '../frame/job-view.ts';
import type { Json } from '../frame/output.ts';
import { formatBytes } from '../frame/table.ts';

const ANCHOR_LIMIT_MS = 30_000;

/** Once an order has ended its receipt is complete within moments; before that there is none. */
export async function fetchReceipt(
  { signal }: CommandContext,
  market: MarketClient,
  id: string,
  task?: number,
): Promise<Uint8Array> {
  const { status } = await market.order(id);
  return market.receipt(id, { timeoutMs: ENDED.has(status) ? ANCHOR_LIMIT_MS : 0, signal }, task);
}

export async function receipt(
  context: CommandContext,
  options: MarketOptions & { readonly out?: string; readonly task?: string },
  given: string,
): Promise<void> {
  const { output } = context;
  const { out } = options;
  const task = options.task === undefined ? undefined : wholeNumber('--task', options.task, 0);
  if (output.json && out === undefined)
    throw cliError('CLI_USAGE', 'with --json say where the receipt goes: --out FILE');
  if (out === undefined && process.stdout.isTTY)
    throw cliError('CLI_USAGE', 'a receipt is binary: send it to a file with --out FILE or > FILE');
  const market = connectMarket(context, options);
  const id = await orderIdOf(market, given);
  const bytes = await fetchReceipt(context, market, id, task);
  if (out === undefined) {
    process.stdout.write(bytes);
    return;
  }
  writeUserFile(out, bytes);
  output.answer({ order: id, file: out, sizeBytes: bytes.length }, () =>
    output.line(`${out} (${formatBytes(bytes.length)})`),
  );
}

/** The chain of this home, when it has one: what is trusted unless the user names another. */
export function homeGenesisId(home: Home): string | undefined {
  try {
    return genesisId(decodeGenesis(readFileSync(home.genesis)));
  } catch {
    return undefined;
  }
}

export function verdictDocument(verdict: ReceiptVerdict): Json {
  const { ok, pinned, checks, summary } = verdict;
  const shown = summary && {
    ...summary,
    consumer: formatAccount(summary.consumer),
    market: formatAccount(summary.market),
    ...(summary.provider === undefined ? {} : { provider: formatAccount(summary.provider) }),
    priceCap: summary.priceCap.toString(),
    paid: summary.paid.toString(),
    refunded: summary.refunded.toString(),
  };
  return {
    ok,
    pinned,
    checks: checks.map((check) => ({ ...check })),
    ...(shown ? { summary: shown } : {}),
  };
}

const GENESIS_ID = /^[0-9a-f]{64}$/;

export async function auditVerify(
  { output, home }: CommandContext,
  options: { readonly trust?: string },
  file: string,
): Promise<void> {
  const { trust } = options;
  if (trust !== undefined && !GENESIS_ID.test(trust))
    throw cliError('CLI_USAGE', `--trust takes a genesis id (64 hex digits), not "${trust}"`);
  const bytes = readUserFile(file);
  const verdict = verifyReceipt(bytes, { trust: trust ?? homeGenesisId(home) });
  const { checks, summary, ok, pinned } = verdict;
  output.answer(verdictDocument(verdict), () => {
    for (const check of checks) {
      const mark = check.ok ? output.style('green', '✓') : output.style('red', '✗');
      output.line(`${mark} ${check.words}`);
    }
    if (summary)
      output.line(
        `  ${summary.state}: paid ${money(summary.paid)}, given back ${money(summary.refunded)}, ` +
          `proved at block ${summary.height} of ${summary.chainName}`,
      );
    output.line(
      ok ? output.style('green', 'The receipt holds.') : output.style('red', 'Not proved.'),
    );
  });
  if (ok) return;
  const failed = checks.filter((check) => !check.ok).map(({ name }) => name);
  if (!pinned && failed.every((name) => name === 'chain'))
    throw cliError(
      'CLI_CHECK_FAILED',
      'chain not pinned: name the chain you trust with --trust GENESIS_ID',
    );
  throw cliError('CLI_CHECK_FAILED', `${file} does not hold: ${failed.join(', ')}`);
}
