/** What the commands about storage deals share: clients, durations, deals by the beginning of their id. */
import type { DealRecord, ShardRecord } from '#contracts';
import type { Signer } from '#libs/crypto';
import {
  type ChainSender,
  type DealReader,
  type ListedOffer,
  type OpenDeal,
  createChainSender,
  createDealReader,
  openDescriptor,
  readStorageOffers,
} from '#libs/deals';
import { createSystemClock } from '#libs/platform';
import { type NodeClient, createNodeClient } from '#libs/sdk';
import {
  type BlobStore,
  type EncryptionKeyPair,
  createX25519KeyUnwrap,
  encryptionKeyPairFromSeed,
} from '#libs/storage';
import { cliError } from '../errors.ts';
import { liveRunState } from '../supervisor/run-state.ts';
import type { CommandContext } from './command.ts';
import { connectStorage, serviceUrl, signerOf } from './connect.ts';
import { openAccount } from './keys.ts';

export interface DealOptions {
  readonly node?: string;
  readonly storage?: string;
  readonly token?: string;
  readonly gateway?: string;
  readonly from?: string;
  readonly [name: string]: unknown;
}

export interface DealsConnection {
  readonly node: NodeClient;
  readonly reader: DealReader;
  readonly sender: ChainSender;
  readonly signer: Signer;
  readonly keys: EncryptionKeyPair;
  readonly blobs: BlobStore;
}

export function connectDeals(context: CommandContext, options: DealOptions): DealsConnection {
  const from = options.from ?? 'default';
  const node = createNodeClient(serviceUrl(context, 'node', options.node));
  const signer = signerOf(context.home, from);
  return {
    ...{ node, signer, reader: createDealReader(node) },
    sender: createChainSender(node, signer, createSystemClock()),
    keys: encryptionKeyPairFromSeed(openAccount(context.home, from).seed),
    blobs: connectStorage(context, options),
  };
}

/** Where others can fetch from the own storage. @throws CLI_USAGE */
export function ownGateway({ home }: CommandContext, options: DealOptions): string {
  const url =
    options.gateway ?? process.env['SEELE_GATEWAY_URL'] ?? liveRunState(home)?.urls.gateway;
  if (url !== undefined) return url;
  throw cliError(
    'CLI_USAGE',
    'providers fetch shards from your storage’s gateway: say where with --gateway URL',
  );
}

const UNITS: Readonly<Record<string, number>> = { s: 1, m: 60, h: 3600, d: 86_400 };

/** `30d`, `12h`, `10m`, `5s` in microseconds. @throws CLI_USAGE */
export function durationUs(name: string, text: string): number {
  const match = /^(\d{1,9})([smhd])$/.exec(text);
  const amount = Number(match?.[1] ?? 0);
  if (match === null || amount === 0)
    throw cliError('CLI_USAGE', `${name} is a time such as 30d, 12h, 10m or 5s, not "${text}"`);
  return amount * (UNITS[match[2] as string] as number) * 1_000_000;
}

/** `500MB`, `1GiB`, `12345`. @throws CLI_USAGE */
export function sizeBytesOf(name: string, text: string): number {
  const match = /^(\d+(?:\.\d+)?) ?(B|kB|MB|GB|TB|KiB|MiB|GiB|TiB)?$/.exec(text);
  const scale: Readonly<Record<string, number>> = {
    ...{ B: 1, kB: 1e3, MB: 1e6, GB: 1e9, TB: 1e12 },
    ...{ KiB: 2 ** 10, MiB: 2 ** 20, GiB: 2 ** 30, TiB: 2 ** 40 },
  };
  if (match === null)
    throw cliError('CLI_USAGE', `${name} is a size such as 500MB or 1GiB, not "${text}"`);
  return Math.floor(Number(match[1]) * (scale[match[2] ?? 'B'] as number));
}

const DEAL_ID = /^[0-9a-f]{6,64}$/;
export const isDealId = (text: string): boolean => DEAL_ID.test(text);

/** A whole id, or the beginning of one that only one of the own open deals has. @throws CLI_USAGE */
export async function dealNamed(
  { reader, signer }: DealsConnection,
  given: string,
): Promise<string> {
  if (!isDealId(given))
    throw cliError('CLI_USAGE', `"${given}" is not a deal id (hex, six digits or more)`);
  if (given.length === 64) return given;
  const found = (await reader.dealsOf(signer.account)).filter((id) => id.startsWith(given));
  if (found.length === 1 && found[0] !== undefined) return found[0];
  throw cliError('CLI_USAGE', `${found.length} of your open deals begin with "${given}"`);
}

export interface WholeDeal {
  readonly id: string;
  readonly deal: DealRecord;
  readonly shards: readonly ShardRecord[];
  readonly offers: readonly ListedOffer[];
  readonly gatewayOf: (provider: string) => string | undefined;
}

export async function readWholeDeal(
  { node, reader }: DealsConnection,
  id: string,
): Promise<WholeDeal> {
  const deal = await reader.deal(id);
  if (deal === undefined) throw cliError('CLI_CHECK_FAILED', `there is no deal ${id}`);
  const [shards, offers] = await Promise.all([
    reader.shards(id, deal.shards),
    readStorageOffers(node),
  ]);
  const gateways = new Map(offers.map(({ provider, gateway }) => [provider, gateway]));
  return { id, deal, shards, offers, gatewayOf: (who) => gateways.get(who) };
}

export async function contentOfDeal(
  { reader, keys }: DealsConnection,
  id: string,
): Promise<OpenDeal> {
  const bytes = await reader.descriptor(id);
  if (bytes === undefined) throw cliError('CLI_CHECK_FAILED', `there is no deal ${id}`);
  return openDescriptor(bytes, [createX25519KeyUnwrap(keys.secret)]);
}
