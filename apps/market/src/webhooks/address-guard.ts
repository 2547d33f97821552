/**
 * Which addresses a webhook may have: whatever can only be reached from inside the market's own network
 * is refused, however it is spelled. Sources: IANA special-purpose address registries (RFC 6890),
 * RFC 4291 (IPv6), RFC 6052 and 8215 (NAT64), RFC 3056 (6to4), RFC 4380 (Teredo), RFC 6598 (CGNAT).
 */
import { BlockList, isIPv4, isIPv6 } from 'node:net';
import { webhookError } from './errors.ts';

/** Not on the public internet, IPv4. */
const SPECIAL_4: readonly (readonly [string, number])[] = [
  ['0.0.0.0', 8],
  ['10.0.0.0', 8],
  ['100.64.0.0', 10],
  ['127.0.0.0', 8],
  ['169.254.0.0', 16],
  ['172.16.0.0', 12],
  ['192.0.0.0', 24],
  ['192.0.2.0', 24],
  ['192.31.196.0', 24],
  ['192.52.193.0', 24],
  ['192.88.99.0', 24],
  ['192.168.0.0', 16],
  ['192.175.48.0', 24],
  ['198.18.0.0', 15],
  ['198.51.100.0', 24],
  ['203.0.113.0', 24],
  ['224.0.0.0', 4],
  ['240.0.0.0', 4],
];
/** Of the only public block of IPv6 (2000::/3), what is not, or carries an IPv4 address inside. */
const SPECIAL_6: readonly (readonly [string, number])[] = [
  ['2001::', 23],
  ['2001:db8::', 32],
  ['2002::', 16],
  ['2620:4f:8000::', 48],
  ['3fff::', 20],
];

function blockList(ranges: readonly (readonly [string, number])[], family: 'ipv4' | 'ipv6') {
  const list = new BlockList();
  for (const [address, prefix] of ranges) list.addSubnet(address, prefix, family);
  return list;
}
const special4 = blockList(SPECIAL_4, 'ipv4');
const special6 = blockList(SPECIAL_6, 'ipv6');
const global6 = blockList([['2000::', 3]], 'ipv6');
const loopback = blockList([['127.0.0.0', 8]], 'ipv4');

/** True for an address that anybody on the internet means the same host by. */
export function isPublicAddress(address: string): boolean {
  if (isIPv4(address)) return !special4.check(address, 'ipv4');
  // A zone (`%eth0`) only makes sense on a link; IPv4-mapped, NAT64 and all the rest lie outside 2000::/3.
  if (!isIPv6(address) || address.includes('%') || address.includes('.')) return false;
  return global6.check(address, 'ipv6') && !special6.check(address, 'ipv6');
}

/** 127.0.0.0/8 and ::1. */
export const isLoopbackAddress = (address: string): boolean =>
  (isIPv4(address) && loopback.check(address, 'ipv4')) || address === '::1';

/** What the operator lets webhooks be. */
export interface TargetPolicy {
  /** http and loopback too, any port there: for development machines. */
  readonly allowLocal: boolean;
  readonly ports: readonly number[];
}

export const DEFAULT_TARGET_POLICY: TargetPolicy = { allowLocal: false, ports: [443, 8443] };

/** Longest accepted address. */
export const WEBHOOK_URL_MAX_CHARACTERS = 2048;

export interface Target {
  readonly url: URL;
  /** Name or address without brackets. */
  readonly host: string;
  readonly port: number;
}

const refused = (why: string) => webhookError('WEBHOOK_URL', why);

const hostOf = ({ hostname }: URL): string =>
  hostname.startsWith('[') ? hostname.slice(1, -1) : hostname;

/** Names that can only mean this machine or this network. */
const LOCAL_NAME = /(^|\.)(localhost|local|internal|lan|home\.arpa|localdomain)\.?$/;

const isLocalHost = (host: string): boolean => host === 'localhost' || isLoopbackAddress(host);

/**
 * Reads the address of a webhook; what its name resolves to is judged when something is sent.
 *
 * @throws WEBHOOK_URL
 */
export function checkTarget(text: string, policy: TargetPolicy): Target {
  if (text.length > WEBHOOK_URL_MAX_CHARACTERS)
    throw refused(`it has ${text.length} characters, ${WEBHOOK_URL_MAX_CHARACTERS} are allowed`);
  const url = URL.parse(text);
  if (url === null) throw refused('it is not an absolute address');
  if (url.protocol !== 'https:' && url.protocol !== 'http:')
    throw refused(`scheme ${url.protocol.slice(0, 20)} is not https`);
  if (url.username !== '' || url.password !== '') throw refused('it holds credentials');
  if (url.hash !== '') throw refused('it has a fragment (#), which is never sent');
  const host = hostOf(url);
  const isSecure = url.protocol === 'https:';
  const port = url.port === '' ? (isSecure ? 443 : 80) : Number(url.port);
  const target = { url, host, port };
  if (policy.allowLocal && isLocalHost(host)) return target;
  if (!isSecure) throw refused('it is http, not https');
  const isAddress = isIPv4(host) || isIPv6(host);
  if (isAddress ? !isPublicAddress(host) : LOCAL_NAME.test(host) || !host.includes('.'))
    throw refused(`host ${host} is not public`);
  if (!policy.ports.includes(port))
    throw refused(`port ${port} is none of ${policy.ports.join(', ')}`);
  return target;
}

/**
 * The one address to connect to: of what the name resolved to, the first; all of them must be allowed,
 * or the name could be made to change between looking and connecting.
 *
 * @throws WEBHOOK_ADDRESS, WEBHOOK_DNS
 */
export function pinAddress(
  host: string,
  addresses: readonly string[],
  policy: TargetPolicy,
): string {
  const [first] = addresses;
  if (first === undefined) throw webhookError('WEBHOOK_DNS', `${host} has no address`);
  const isAllowed = (address: string) =>
    isPublicAddress(address) ||
    (policy.allowLocal && isLocalHost(host) && isLoopbackAddress(address));
  // Which address it was is not told: it would make the market a way to ask inner name servers.
  if (!addresses.every(isAllowed))
    throw webhookError('WEBHOOK_ADDRESS', `${host} resolves to an address that is not public`);
  return first;
}
