/** Values of contracts on the command line: JSON in and out, accounts as `seele1…`, bytes as hex. */
import { type CborValue, bytesToHex, hexToBytes, parseAccount } from '#libs/kernel';
import { cliError } from '../errors.ts';
import type { Json } from '../frame/output.ts';

const ACCOUNT_TEXT = /^seele1[a-z0-9]{20,}$/;

/**
 * One JSON value: whole numbers become integers, `seele1…` the account's hex, `{"$bytes": hex}` bytes,
 * `{"$int": "123"}` an integer beyond 2^53.
 */
export function valueOf(json: unknown): CborValue {
  if (json === null || typeof json === 'boolean') return json;
  if (typeof json === 'number') {
    if (!Number.isSafeInteger(json))
      throw cliError('CLI_USAGE', `${json} is not a whole number below 2^53`);
    return json;
  }
  if (typeof json === 'string') return ACCOUNT_TEXT.test(json) ? parseAccount(json) : json;
  if (Array.isArray(json)) return json.map(valueOf);
  const map = json as Record<string, unknown>;
  const { $bytes, $int } = map;
  if (typeof $bytes === 'string') {
    const bytes = hexToBytes($bytes);
    if (!bytes) throw cliError('CLI_USAGE', `"${$bytes}" is not hex`);
    return bytes;
  }
  if (typeof $int === 'string' && /^-?\d+$/.test($int)) return BigInt($int);
  return Object.fromEntries(Object.entries(map).map(([key, inner]) => [key, valueOf(inner)]));
}

/** A list of arguments from `--args`. @throws CLI_USAGE */
export function argumentsOf(text: string | undefined): readonly CborValue[] {
  if (text === undefined) return [];
  let parsed: unknown;
  try {
    parsed = JSON.parse(text);
  } catch {
    throw cliError('CLI_USAGE', `--args takes a JSON list, not ${text}`);
  }
  if (!Array.isArray(parsed)) throw cliError('CLI_USAGE', `--args takes a JSON list, not ${text}`);
  return parsed.map(valueOf);
}

/** Integers become decimal strings where JSON numbers end. */
export function jsonOf(value: CborValue): Json {
  if (typeof value === 'bigint') return value.toString();
  if (value instanceof Uint8Array) return { $bytes: bytesToHex(value) };
  if (Array.isArray(value)) return value.map((item) => jsonOf(item as CborValue));
  if (value !== null && typeof value === 'object')
    return Object.fromEntries(
      Object.entries(value).map(([key, item]) => [key, jsonOf(item as CborValue)]),
    );
  return value as Json;
}

/** A contract as the chain knows it: account (hex or `seele1…`) or name. */
export function contractText(text: string): string {
  return ACCOUNT_TEXT.test(text) ? parseAccount(text) : text;
}
