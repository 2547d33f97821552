/** What a request to the gateway asks for (trustless gateway specification, IPIP-402 and IPIP-412). */
import type { IncomingMessage } from 'node:http';

import { parseCid, storageError } from '#libs/storage';

import { isPlainName, type IpfsPath } from '../dag/directories.ts';
import { rpcError } from '../errors.ts';

export const RAW_TYPE = 'application/vnd.ipld.raw';
export const CAR_TYPE = 'application/vnd.ipld.car';

export type DagScope = 'block' | 'entity' | 'all';

export interface GatewayRequest {
  readonly path: IpfsPath;
  /** As it was asked, for `X-Ipfs-Path`. */
  readonly pathText: string;
  readonly format: 'raw' | 'car';
  readonly scope: DagScope;
  /** Both may count from the end (negative); `to` is inclusive. */
  readonly entityBytes: { readonly from: number; readonly to: number } | undefined;
  readonly filename: string | undefined;
}

const MAX_SEGMENTS = 64;
const wrong = (what: string) => rpcError('STORAGE_RPC_ARGUMENT', what);

function formatOf(url: URL, accept: string): 'raw' | 'car' {
  const asked = url.searchParams.get('format') ?? accept;
  if (asked === 'raw' || asked.includes(RAW_TYPE)) return 'raw';
  if (asked !== 'car' && !asked.includes(CAR_TYPE))
    throw wrong('ask for format=raw or format=car: this gateway gives only what can be verified');
  const version =
    url.searchParams.get('car-version') ?? /;\s*version=([^;,\s]+)/.exec(accept)?.[1] ?? '1';
  if (version !== '1') throw wrong(`there is no CAR of version ${version.slice(0, 10)} here`);
  return 'car';
}

/** `entity-bytes=from:to`, either of them negative to count from the end, `to` inclusive or `*`. */
function entityBytesOf(url: URL): GatewayRequest['entityBytes'] {
  const text = url.searchParams.get('entity-bytes');
  if (text === null) return undefined;
  const match = /^(-?\d{1,15}):(-?\d{1,15}|\*)$/.exec(text);
  const range = {
    from: Number(match?.[1]),
    to: match?.[2] === '*' ? Infinity : Number(match?.[2]),
  };
  const isEmpty = range.from >= 0 === range.to >= 0 && range.from > range.to;
  if (match === null || isEmpty) throw wrong(`entity-bytes=${JSON.stringify(text.slice(0, 40))}`);
  return range;
}

function scopeOf(url: URL, isRanged: boolean): DagScope {
  // A range is one of an entity: IPIP-402.
  const text = url.searchParams.get('dag-scope') ?? (isRanged ? 'entity' : 'all');
  if (text === 'block' || text === 'entity' || text === 'all') return text;
  throw wrong(`dag-scope=${JSON.stringify(text.slice(0, 20))}`);
}

function pathOf(pathname: string): IpfsPath {
  const match = /^\/ipfs\/([^/]+)((?:\/[^/]*)*)$/.exec(pathname);
  if (match === null) throw wrong('the path is /ipfs/CID, or what lies below it');
  let segments: string[];
  try {
    segments = (match[2] ?? '').split('/').filter(Boolean).map(decodeURIComponent);
  } catch {
    throw wrong('the path is not well encoded');
  }
  if (segments.length > MAX_SEGMENTS || !segments.every(isPlainName))
    throw storageError('STORAGE_NOT_FOUND', 'the path has a segment that cannot be a name');
  return { root: parseCid(match[1] as string), segments };
}

/** @throws STORAGE_RPC_ARGUMENT, STORAGE_CID_INVALID */
export function parseGatewayRequest(request: IncomingMessage): GatewayRequest {
  const url = new URL(request.url ?? '/', 'http://localhost');
  const path = pathOf(url.pathname);
  const format = formatOf(url, request.headers.accept ?? '');
  const entityBytes = entityBytesOf(url);
  const name = url.searchParams.get('filename') ?? undefined;
  return {
    ...{ path, pathText: url.pathname, format, entityBytes },
    scope: scopeOf(url, entityBytes !== undefined),
    filename: name?.replaceAll(/[^\w.-]/g, '_').slice(0, 200),
  };
}
