/**
 * Uniform asset identifiers: `chain://edu.pku.cs/account/data?query#fragment` names one thing on one
 * chain of the forest. Chain labels stand root first (the reverse of DNS), then the account or
 * contract, then a path inside it. Generic syntax: RFC 3986; one thing has exactly one spelling, and
 * every other spelling is refused rather than mended, since a UAI is signed and compared as text.
 */
import { type AccountId, formatAccount, isSeeleError, parseAccount } from '#libs/kernel';
import { isAccountName } from './account-name.ts';
import { vtpError } from './errors.ts';

export const UAI_SCHEME = 'chain';
/** Longest accepted UAI in bytes (it is ASCII). */
export const UAI_MAX_BYTES = 1024;
/** Deepest chain: labels in one UAI. */
export const UAI_LABELS_MAX = 16;
/** The configuration chain at the top of the forest. */
export const META_CHAIN = 'meta';

/** Where an account is meant: its name on the chain, or its id. */
export type UaiAccount =
  | { readonly kind: 'name'; readonly name: string }
  | { readonly kind: 'id'; readonly id: AccountId };

export interface Uai {
  /** Labels from the root down; `['meta']` is the meta chain. */
  readonly chain: readonly string[];
  readonly account?: UaiAccount;
  /** Decoded path segments below the account; empty when there are none. */
  readonly data: readonly string[];
  /** Decoded parameters, unique and sorted by name. */
  readonly query: readonly (readonly [name: string, value: string])[];
  /** Decoded fragment. */
  readonly fragment?: string;
}

const PREFIX = `${UAI_SCHEME}://`;
const LABEL = /^[a-z0-9](?:[a-z0-9-]{0,61}[a-z0-9])?$/;
/** RFC 3986 pchar and the escapes; `'` and `()` included. */
const SEGMENT = /^(?:[A-Za-z0-9\-._~!$&'()*+,;=:@]|%[0-9A-F]{2})*$/;
const PARAMETER = /^(?:[A-Za-z0-9\-._~!$'()*+,;:@/?]|%[0-9A-F]{2})*$/;
const FRAGMENT = /^(?:[A-Za-z0-9\-._~!$&'()*+,;=:@/?]|%[0-9A-F]{2})*$/;

/** Characters that stay as they are in each place; everything else is escaped. */
const SEGMENT_PLAIN = /[^A-Za-z0-9\-._~!$&'()*+,;=:@]/gu;
const PARAMETER_PLAIN = /[^A-Za-z0-9\-._~!$'()*+,;:@/?]/gu;
const FRAGMENT_PLAIN = /[^A-Za-z0-9\-._~!$&'()*+,;=:@/?]/gu;

const shown = (text: string): string => JSON.stringify(text.slice(0, 200));

function refuse(what: string): Error {
  return vtpError('VTP_UAI_INVALID', what);
}

function escape(text: string, plain: RegExp): string {
  // encodeURIComponent leaves !'()* alone, but those are plain in every place of ours.
  return text.replace(plain, (character) => encodeURIComponent(character));
}

function unescape(text: string, allowed: RegExp, where: string): string {
  if (!allowed.test(text)) throw refuse(`${where} ${shown(text)} has a character to be escaped`);
  try {
    return decodeURIComponent(text);
  } catch {
    throw refuse(`${where} ${shown(text)} has escapes that are not UTF-8`);
  }
}

function checkLabels(labels: readonly string[]): void {
  if (labels.length === 0 || labels.length > UAI_LABELS_MAX)
    throw refuse(`${labels.length} chain labels where 1 to ${UAI_LABELS_MAX} are allowed`);
  for (const label of labels)
    if (!LABEL.test(label)) throw refuse(`${shown(label)} is not a chain label`);
  if (labels.length > 1 && labels.includes(META_CHAIN))
    throw refuse('"meta" stands for the meta chain alone');
}

function parseUaiAccount(text: string): UaiAccount {
  if (isAccountName(text)) return { kind: 'name', name: text };
  try {
    const id = parseAccount(text);
    if (formatAccount(id) === text) return { kind: 'id', id };
  } catch (error) {
    if (!isSeeleError(error)) throw error;
  }
  throw refuse(`${shown(text)} is neither an account name nor an account (seele1…)`);
}

function parseSegments(texts: readonly string[]): string[] {
  return texts.map((text) => {
    const segment = unescape(text, SEGMENT, 'path segment');
    if (segment === '' || segment === '.' || segment === '..')
      throw refuse(`path segment ${shown(segment)} is not allowed`);
    return segment;
  });
}

function parseQuery(text: string): (readonly [string, string])[] {
  return text.split('&').map((parameter) => {
    const at = parameter.indexOf('=');
    if (at <= 0) throw refuse(`query parameter ${shown(parameter)} is not name=value`);
    return [
      unescape(parameter.slice(0, at), PARAMETER, 'query name'),
      unescape(parameter.slice(at + 1), PARAMETER, 'query value'),
    ] as const;
  });
}

/** `before`, and what follows the first `separator`, if it is there. */
function cut(text: string, separator: string): [before: string, after: string | undefined] {
  const at = text.indexOf(separator);
  return at < 0 ? [text, undefined] : [text.slice(0, at), text.slice(at + 1)];
}

/**
 * Reads a UAI in its one canonical spelling.
 *
 * @throws VTP_UAI_INVALID on anything else: wrong scheme, upper-case labels, dot segments, needless or
 * lower-case escapes, unsorted or repeated parameters, more than 1024 bytes
 */
export function parseUai(text: string): Uai {
  if (text.length > UAI_MAX_BYTES)
    throw refuse(`${text.length} characters where ${UAI_MAX_BYTES} are allowed`);
  if (!text.startsWith(PREFIX)) throw refuse(`${shown(text)} does not begin with ${PREFIX}`);
  const [beforeFragment, fragmentText] = cut(text.slice(PREFIX.length), '#');
  const [path, queryText] = cut(beforeFragment, '?');
  const [chainText, ...rest] = path.split('/');
  const [accountText, ...dataTexts] = rest;
  const chain = (chainText as string).split('.');
  checkLabels(chain);
  const uai: Uai = {
    chain,
    ...(accountText === undefined ? {} : { account: parseUaiAccount(accountText) }),
    data: parseSegments(dataTexts),
    query: queryText === undefined ? [] : parseQuery(queryText),
    ...(fragmentText === undefined
      ? {}
      : { fragment: unescape(fragmentText, FRAGMENT, 'fragment') }),
  };
  const canonical = formatUai(uai);
  if (canonical !== text) throw refuse(`${shown(text)} is written ${shown(canonical)}`);
  return uai;
}

function formatQuery(query: Uai['query']): string {
  const names = new Set(query.map(([name]) => name));
  if (names.size !== query.length) throw refuse('a query parameter is named twice');
  if (names.has('')) throw refuse('a query parameter has no name');
  const sorted = query.toSorted(([a], [b]) => (a < b ? -1 : 1));
  return sorted
    .map(([name, value]) => `${escape(name, PARAMETER_PLAIN)}=${escape(value, PARAMETER_PLAIN)}`)
    .join('&');
}

function checkWellFormed(uai: Uai): void {
  const texts = [...uai.data, ...uai.query.flat(), uai.fragment ?? ''];
  if (!texts.every((text) => text.isWellFormed())) throw refuse('text with a lone surrogate');
}

/** The canonical spelling of a UAI. @throws VTP_UAI_INVALID when a part is not allowed or it is too long */
export function formatUai(uai: Uai): string {
  checkLabels(uai.chain);
  checkWellFormed(uai);
  let text = PREFIX + uai.chain.join('.');
  if (uai.account) {
    const { account } = uai;
    if (account.kind === 'name' && !isAccountName(account.name))
      throw refuse(`${shown(account.name)} is not an account name`);
    text += `/${account.kind === 'name' ? account.name : formatAccount(account.id)}`;
  } else if (uai.data.length > 0) throw refuse('a path needs an account before it');
  for (const segment of uai.data) {
    if (segment === '' || segment === '.' || segment === '..')
      throw refuse(`path segment ${shown(segment)} is not allowed`);
    text += `/${escape(segment, SEGMENT_PLAIN)}`;
  }
  if (uai.query.length > 0) text += `?${formatQuery(uai.query)}`;
  if (uai.fragment !== undefined) text += `#${escape(uai.fragment, FRAGMENT_PLAIN)}`;
  if (text.length > UAI_MAX_BYTES)
    throw refuse(`${text.length} characters where ${UAI_MAX_BYTES} are allowed`);
  return text;
}

/** True when the text is a UAI in its canonical spelling. */
export function isUai(text: string): boolean {
  try {
    parseUai(text);
    return true;
  } catch (error) {
    if (isSeeleError(error)) return false;
    throw error;
  }
}

/**
 * True for a path below an account as a UAI writes it, without query and fragment: `data/2024%20a`.
 * Contracts keep paths in this form, so one path has one key.
 */
export function isDataPath(text: string): boolean {
  return text !== '' && !/[?#]/.test(text) && isUai(`${PREFIX}${META_CHAIN}/own/${text}`);
}
