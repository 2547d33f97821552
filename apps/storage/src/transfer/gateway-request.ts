/** What a request to the gateway asks for (trustless and path gateway specifications, IPIP-402 and IPIP-412). */
import type { IncomingMessage } from 'node:http';

import { parseCid, storageError } from '#libs/storage';

import { isPlainName, type IpfsPath } from '../dag/directories.ts';
import { rpcError } from '../errors.ts';

export const RAW_TYPE = 'application/vnd.ipld.raw';
export const CAR_TYPE = 'application/vnd.ipld.car';

export const TAR_TYPE = 'application/x-tar';

export type DagScope = 'block' | 'entity' | 'all';

export interface GatewayRequest {
  readonly path: IpfsPath;
  /** As it was asked, for `X-Ipfs-Path`. */
  readonly pathText: string;
  /** `file`: deserialised, whatever the content is. */
  readonly format: 'raw' | 'car' | 'tar' | 'file';
  readonly scope: DagScope;
  /** Both may count from the end (negative); `to` is inclusive. */
  readonly entityBytes: { readonly from: number; readonly to: number } | undefined;
  readonly filename: string | undefined;
  /** To be kept as a file rather than shown. */
  readonly isDownload: boolean;
  /** Only what is here already: 412 for the rest. */
  readonly isOnlyIfCached: boolean;
  /** With its question mark, or empty. */
  readonly query: string;
}

const MAX_SEGMENTS = 64;
const wrong = (what: string) => rpcError('STORAGE_RPC_ARGUMENT', what);

const FORMATS: readonly [string, string, GatewayRequest['format']][] = [
  ['raw', RAW_TYPE, 'raw'],
  ['car', CAR_TYPE, 'car'],
  ['tar', TAR_TYPE, 'tar'],
];

function formatOf(url: URL, accept: string): GatewayRequest['format'] {
  const asked = url.searchParams.get('format');
  const found = FORMATS.find(([name, type]) => asked === name || (!asked && accept.includes(type)));
  const isOther = asked !== null || /application\/vnd\.ip(?:ld|fs)\./.test(accept);
  if (found === undefined && isOther)
    throw rpcError('STORAGE_GATEWAY_FORMAT', `there is no ${(asked ?? accept).slice(0, 60)} here`);
  const [, , format] = found ?? ['', '', 'file' as const];
  const version =
    url.searchParams.get('car-version') ?? /;\s*version=([^;,\s]+)/.exec(accept)?.[1] ?? '1';
  if (format === 'car' && version !== '1')
    throw wrong(`there is no CAR of version ${version.slice(0, 10)} here`);
  return format;
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

/** @throws STORAGE_RPC_ARGUMENT, STORAGE_GATEWAY_FORMAT, STORAGE_CID_INVALID */
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
    isDownload: url.searchParams.get('download') === 'true',
    isOnlyIfCached: /\bonly-if-cached\b/.test(request.headers['cache-control'] ?? ''),
    query: url.search,
  };
}
