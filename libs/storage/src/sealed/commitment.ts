import { hashOf } from '#libs/crypto';
import { concatBytes, type Bytes } from '#libs/kernel';

import { parseCid } from '../cids.ts';

/**
 * What stands on the chain for content whose CID stays private: whoever is shown CID and salt can
 * check that they are the ones committed to; nobody else can guess. `salt` is 32 random bytes.
 */
export function contentCommitment(cid: string, salt: Bytes): string {
  return hashOf('seele/content-commitment/1', concatBytes(salt, parseCid(cid).bytes));
}

/** Whether a commitment is of this CID under this salt. */
export function isContentCommitment(commitment: string, cid: string, salt: Bytes): boolean {
  return contentCommitment(cid, salt) === commitment;
}
