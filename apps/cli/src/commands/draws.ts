/** `seele audit draws`: what blocks drew to be done again, and whether their markets ordered it. */
import { formatAccount } from '#libs/kernel';
import { decodeReceipt } from '#libs/ledger';
import { createDraws } from '#libs/market';
import { logLeafHash, logRootOfHashes } from '#libs/merkle';
import { createNodeClient } from '#libs/sdk';
import { cliError } from '../errors.ts';
import type { CommandContext } from '../frame/command.ts';
import { serviceUrl } from '../frame/connect.ts';

export interface DrawsOptions {
  readonly node?: string;
  readonly [name: string]: unknown;
}

export async function auditDraws(context: CommandContext, options: DrawsOptions): Promise<void> {
  const { output } = context;
  const node = createNodeClient(serviceUrl(context, 'node', options.node));
  const drawn = createDraws();
  const { height: head } = await node.status();
  const stop = new AbortController();
  if (head > 0)
    for await (const { height, block, receipts } of node.blocks(1, stop.signal)) {
      if (logRootOfHashes(receipts.map(logLeafHash)) !== block.header.receiptsRoot)
        throw cliError(
          'CLI_CHECK_FAILED',
          `receipts of block ${height} are not those it was made with`,
        );
      drawn.follow(block, receipts.map(decodeReceipt));
      if (height >= head) break;
    }
  stop.abort();
  const draws = drawn.draws.map(({ market, provider, ...draw }) => ({
    ...{ market: formatAccount(market), provider: formatAccount(provider), ...draw },
  }));
  const open = draws.filter(({ isOrdered }) => !isOrdered);
  const { settled, convicted } = drawn;
  output.answer({ height: head, settled, convicted, draws }, () => {
    output.line(
      `${settled} deliveries paid on one provider's word, ${draws.length} drawn, ${convicted} convicted`,
    );
    for (const { market, order, fence, height } of open)
      output.line(
        `  not ordered by ${market}: ${order}${fence === undefined ? '' : ` batch ${fence}`}, drawn by block ${height}; its log says why (seele why)`,
      );
  });
}
