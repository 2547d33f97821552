/**
 * What somebody who was not there can check: that a cut is final, and who votes in the eras after
 * genesis. Starting from a trusted set, one final cut of each era proves the next era's set; none may
 * be skipped, and an old set proves nothing once it was followed.
 */
import { type SignatureVerifier, hashOf } from '#libs/crypto';
import {
  type Bytes,
  type CodecValue,
  encodeCbor,
  encodeWith,
  hash32,
  record,
  uint,
} from '#libs/kernel';
import { aggregateWeight } from './aggregate.ts';
import { CUT_DOMAIN, orderRoot } from './cuts.ts';
import { edaError } from './errors.ts';
import { certificateWeight } from './judgements.ts';
import {
  type Aggregate,
  type Body,
  type Certificate,
  ENTRIES_MAX,
  bodyShape,
  certificateShape,
  signedBytes,
  signingDomain,
} from './messages.ts';
import { type ValidatorSet, createValidatorSet, validatorsShape } from './validator-set.ts';

/** A cut with its entries replaced by their root and number: what its hash is over. */
export const cutHeadShape = record({
  /** Without entries. */
  body: bodyShape,
  orderRoot: hash32,
  count: uint(ENTRIES_MAX),
});
export type CutHead = CodecValue<typeof cutHeadShape>;

export function cutHeadOf(body: Body): CutHead {
  return {
    body: { ...body, entries: [] },
    orderRoot: orderRoot(body.entries),
    count: body.entries.length,
  };
}

/** The same as `cutHash` of the whole cut. */
export function cutHeadHash({ body, orderRoot: root, count }: CutHead): string {
  const head = encodeWith(bodyShape, { ...body, entries: [] });
  return hashOf(CUT_DOMAIN, encodeCbor([head, encodeCbor([root, count])]));
}

/** The set of one era of one chain, believed. */
export interface TrustedEra {
  readonly chain: string;
  readonly era: number;
  readonly set: ValidatorSet;
}

/** True when weight Q of the era's set committed the cut. */
export function isFinalCut(
  { chain, era, set }: TrustedEra,
  head: CutHead,
  certificate: Certificate,
  verifySignature: SignatureVerifier,
): boolean {
  const { body } = head;
  const hash = cutHeadHash(head);
  if (body.chain !== chain || body.era !== era || body.setHash !== set.hash) return false;
  if (certificate.hash !== hash || certificate.votes.length > set.validators.length) return false;
  const { slot } = body;
  const vote = { chain, era, slot, view: certificate.view, hash };
  const signed = signedBytes('commit', vote);
  const isGenuine = (from: number, signature: Bytes): boolean => {
    const publicKey = set.validators[from]?.publicKey;
    return (
      publicKey !== undefined &&
      verifySignature(publicKey, signingDomain('commit'), signed, signature)
    );
  };
  const sumWeight = (aggregate: Aggregate) => aggregateWeight(set, 'commit', vote, aggregate);
  return certificateWeight(set, certificate, isGenuine, sumWeight) >= set.quorum;
}

/** A final cut of an era and the set of the next one, which it names by hash. */
export const eraBorderShape = record({
  head: cutHeadShape,
  certificate: certificateShape,
  /** The profile of a chain never changes. */
  validators: validatorsShape,
});
export type EraBorder = CodecValue<typeof eraBorderShape>;

/**
 * The next era's set, proven by a final cut of this one.
 * @throws EDA_CERTIFICATE_INVALID, EDA_SET_INVALID
 */
export function crossBorder(
  trusted: TrustedEra,
  border: EraBorder,
  verifySignature: SignatureVerifier,
): TrustedEra {
  const { chain, era } = trusted;
  const { head, certificate, validators } = border;
  if (!isFinalCut(trusted, head, certificate, verifySignature))
    throw edaError('EDA_CERTIFICATE_INVALID', `cut ${head.body.slot} is not final in era ${era}`);
  const set = createValidatorSet(validators, trusted.set.profile);
  if (set.hash !== head.body.nextSetHash)
    throw edaError('EDA_CERTIFICATE_INVALID', `cut ${head.body.slot} names another set than given`);
  return { chain, era: era + 1, set };
}
