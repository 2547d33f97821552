/**
 * Access to data that stays with its owner: a signed statement of who may read which dataset, for
 * what, how often and until when. It names the epoch of grants that the chain says for the dataset;
 * when the owner raises it, all older grants are void.
 */
import { type Signer, accountOf, verifySignature } from '#libs/crypto';
import {
  type AccountId,
  type Bytes,
  type CodecValue,
  bytesToHex,
  byteString,
  decodeWith,
  encodeWith,
  hash32,
  hexBytes,
  isSeeleError,
  record,
  text,
  uint,
} from '#libs/kernel';
import { dataError } from '../errors.ts';

const GRANT_DOMAIN = 'seele/data-grant/1';
const PREFIX = 'seele-grant:';
const TEXT_CHARS_MAX = 4_096;
const USES_MAX = 1_000_000;

const grantBody = record({
  /** Tells grants apart; uses are counted by it. */
  id: hexBytes(16),
  /** Who gives it. */
  ownerKey: hexBytes(33),
  /** Path of the dataset below the owner. */
  path: text(160),
  /** Who may read. */
  reader: hash32,
  purpose: text(200),
  /** How many times the data may be read. */
  uses: uint(USES_MAX),
  untilUs: uint(),
  epoch: uint(0xffff_ffff),
});
export type GrantBody = CodecValue<typeof grantBody>;

const signedGrant = record({ body: grantBody, signature: byteString(64) });

export interface Grant extends GrantBody {
  readonly owner: AccountId;
}

/** `seele-grant:` and base64url; what the owner hands to the reader. */
export function signGrant(signer: Signer, body: Omit<GrantBody, 'ownerKey'>): string {
  const whole: GrantBody = { ...body, ownerKey: signer.publicKey };
  const signature = signer.sign(GRANT_DOMAIN, encodeWith(grantBody, whole));
  const bytes = encodeWith(signedGrant, { body: whole, signature });
  return PREFIX + Buffer.from(bytes).toString('base64url');
}

const refused = (what: string, cause?: unknown) => dataError('DATA_GRANT', what, { cause });

/**
 * Reads a grant and checks its signature.
 * @param file where it was read, for messages
 * @throws DATA_GRANT
 */
export function readGrant(given: string, file = 'this'): Grant {
  const line = given.trim();
  if (!line.startsWith(PREFIX) || line.length > TEXT_CHARS_MAX)
    throw refused(`${file} is no grant`);
  let bytes: Bytes;
  try {
    bytes = new Uint8Array(Buffer.from(line.slice(PREFIX.length), 'base64url'));
    const { body, signature } = decodeWith(signedGrant, bytes);
    if (!verifySignature(body.ownerKey, GRANT_DOMAIN, encodeWith(grantBody, body), signature))
      throw refused('the signature of the grant is not of the key it names');
    return { ...body, owner: accountOf(body.ownerKey) };
  } catch (error) {
    if (isSeeleError(error) && error.code === 'DATA_GRANT') throw error;
    throw refused('the grant cannot be read', error);
  }
}

export interface GrantUse {
  readonly owner: AccountId;
  readonly path: string;
  readonly reader: AccountId;
  /** Epoch of the dataset's grants on the chain. */
  readonly epoch: number;
  readonly nowUs: number;
}

/** @throws DATA_GRANT saying what it does not allow */
export function checkGrant(grant: Grant, use: GrantUse): void {
  if (grant.owner !== use.owner) throw refused('the grant is of another owner');
  if (grant.path !== use.path) throw refused(`the grant is for ${grant.path}`);
  if (grant.reader !== use.reader) throw refused('the grant is for another account');
  if (grant.epoch < use.epoch) throw refused('the owner has called the grant back');
  if (grant.untilUs < use.nowUs) throw refused('the grant has expired');
}

export const newGrantId = (randomness: { bytes(length: number): Bytes }): string =>
  bytesToHex(randomness.bytes(16));
