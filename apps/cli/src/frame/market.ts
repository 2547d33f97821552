/** A market client for the account that a command acts for. */
import { type MarketClient, createMarketClient } from '#libs/sdk';
import { cliError } from '../errors.ts';
import type { CommandContext } from './command.ts';
import { serviceUrl, signerOf } from './connect.ts';

export interface MarketOptions {
  readonly market?: string;
  readonly from?: string;
  readonly [name: string]: unknown;
}

export function connectMarket(context: CommandContext, options: MarketOptions): MarketClient {
  const url = serviceUrl(context, 'market', options.market);
  const signer = options.from === undefined ? undefined : signerOf(context.home, options.from);
  return createMarketClient({ url, ...(signer && { signer }) });
}

const ORDER_ID = /^[0-9a-f]{4,64}$/;

/** A whole order id, or the beginning of one that only one of the caller's orders has. */
export async function orderIdOf(market: MarketClient, given: string): Promise<string> {
  if (!ORDER_ID.test(given)) throw cliError('CLI_USAGE', `"${given}" is not an order id (hex)`);
  if (given.length === 64) return given;
  const found = (await market.orders({ limit: 100 })).filter(({ id }) => id.startsWith(given));
  if (found.length === 1 && found[0]) return found[0].id;
  throw cliError('CLI_USAGE', `${found.length} of your recent orders begin with "${given}"`);
}
