/**
 * Where the services are that a command talks to: the option, then the environment, then what
 * `seele up` started in this home.
 */
import { readFileSync } from 'node:fs';
import { createSigner, type Signer } from '#libs/crypto';
import { type AccountId, parseAccount } from '#libs/kernel';
import { type BlobStore, createKuboBlobStore } from '#libs/storage';
import { cliError } from '../errors.ts';
import { storageTokenFile } from '../supervisor/deployment.ts';
import { liveRunState } from '../supervisor/run-state.ts';
import type { CommandContext } from './command.ts';
import type { Home } from './home.ts';
import { listAccounts, openAccount } from './keys.ts';

type Service = 'market' | 'node' | 'storage';

const environment: Readonly<Record<Service, string>> = {
  market: 'SEELE_MARKET_URL',
  node: 'SEELE_NODE_URL',
  storage: 'STORAGE_RPC_URL',
};

/** @throws CLI_NOT_UP when nothing names one, CLI_USAGE when the URL is none */
export function serviceUrl(
  { home }: Pick<CommandContext, 'home'>,
  service: Service,
  option?: string,
): string {
  const url = option ?? process.env[environment[service]] ?? liveRunState(home)?.urls[service];
  if (url === undefined) throw cliError('CLI_NOT_UP', `no ${service} is running for ${home.path}`);
  if (!URL.canParse(url) || !/^https?:$/.test(new URL(url).protocol))
    throw cliError('CLI_USAGE', `"${url}" is not an http URL of a ${service}`);
  return url.replace(/\/+$/, '');
}

function storageToken(home: Home, option?: string): string | undefined {
  const given = option ?? process.env['STORAGE_RPC_TOKEN'];
  if (given !== undefined && given !== '') return given;
  try {
    return readFileSync(storageTokenFile(home), 'utf8').trim();
  } catch {
    return undefined;
  }
}

export function storageEndpoint(
  context: CommandContext,
  options: { readonly storage?: string; readonly token?: string } = {},
): { readonly url: string; readonly token?: string } {
  const token = storageToken(context.home, options.token);
  const url = serviceUrl(context, 'storage', options.storage);
  return { url, ...(token === undefined ? {} : { token }) };
}

export function connectStorage(
  context: CommandContext,
  options: { readonly storage?: string; readonly token?: string } = {},
): BlobStore {
  return createKuboBlobStore(storageEndpoint(context, options));
}

export function signerOf(home: Home, name: string): Signer {
  return createSigner(openAccount(home, name).seed);
}

/** `seele1…`, or the name of an account of this home. @throws CLI_ACCOUNT_UNKNOWN, KERNEL_ID_INVALID */
export function accountNamed(home: Home, text: string): AccountId {
  if (text.startsWith('seele1')) return parseAccount(text);
  const found = listAccounts(home).find(({ name }) => name === text);
  if (!found)
    throw cliError('CLI_ACCOUNT_UNKNOWN', `there is no account "${text}" in ${home.keys}`);
  return parseAccount(found.address);
}

/** Names of this home's accounts by account id, for showing. */
export function accountNames(home: Home): ReadonlyMap<string, string> {
  return new Map(listAccounts(home).map(({ name, address }) => [address, name]));
}
