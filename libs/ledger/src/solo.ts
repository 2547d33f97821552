/**
 * Solo ordering: one sequencer decides alone. For development and tests: whoever holds its key can
 * reorder, withhold and rewrite, and when it stops the chain stops.
 */
import type { Signer } from '#libs/crypto';
import { type Bytes, hexToBytes } from '#libs/kernel';
import type { OrderingPort } from './ordering.ts';
import { CERTIFICATE_DOMAIN, headerHash } from './state-keys.ts';

export const SOLO_NOTICE =
  'solo ordering: one sequencer, for development only; it can reorder, withhold and rewrite';

export function createSoloOrdering(signer: Signer): OrderingPort {
  return {
    kind: 'solo',
    notice: SOLO_NOTICE,
    invalidTransactions: 'drop',
    nextCut({ header, hash }, source, nowUs) {
      const timeUs = Math.max(nowUs, header.timeUs);
      const transactions = source.select(timeUs);
      if (transactions.length === 0) return undefined;
      return { height: header.height + 1, parent: hash, timeUs, transactions };
    },
    certify: (header) => ({
      kind: 'solo',
      signature: signer.sign(CERTIFICATE_DOMAIN, hexToBytes(headerHash(header)) as Bytes),
    }),
  };
}
