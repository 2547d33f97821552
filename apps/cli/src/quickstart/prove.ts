/** The proving half of the quickstart: the receipt, and its check with nothing but the file. */
import { mkdtempSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { verifyReceipt } from '#libs/audit';
import type { CommandContext } from '../frame/command.ts';
import { formatBytes, shorten } from '../frame/table.ts';
import { homeGenesisId, verdictDocument } from '../commands/receipt.ts';
import { cliError } from '../errors.ts';
import type { Bought } from './buy-and-run.ts';
import type { Steps } from './steps.ts';

/** Ids shortened in the middle: here they only have to be recognised. */
const brief = (words: string): string =>
  words.replaceAll(/\b(?:seele1[a-z0-9]{58}|[0-9a-f]{64}|baf[a-z2-7]{40,})\b/g, (id) =>
    shorten(id, 10, 4),
  );

export interface Proved {
  readonly file: string;
  readonly document: object;
}

export async function prove(
  context: CommandContext,
  steps: Steps,
  { market, order }: Bought,
): Promise<Proved> {
  const { home, output } = context;
  const file = join(mkdtempSync(join(home.path, 'receipts-')), `${order.id.slice(0, 12)}.seele`);
  const bytes = await steps.run('Write the receipt', async (say) => {
    const receipt = await market.receipt(order.id, { timeoutMs: 30_000, signal: context.signal });
    writeFileSync(file, receipt);
    say(formatBytes(receipt.length));
    return receipt;
  });
  const verdict = await steps.run('Verify it offline against this chain', async (say) => {
    const outcome = verifyReceipt(bytes, { trust: homeGenesisId(home) });
    say(`${outcome.checks.filter(({ ok }) => ok).length} of ${outcome.checks.length} checks hold`);
    return outcome;
  });
  for (const { ok, words } of verdict.checks)
    steps.detail(`${ok ? output.style('green', '✓') : output.style('red', '✗')} ${brief(words)}`);
  if (!verdict.ok) throw cliError('CLI_CHECK_FAILED', `the receipt ${file} does not hold`);
  return {
    file,
    document: { receipt: { file, sizeBytes: bytes.length }, verified: verdictDocument(verdict) },
  };
}
