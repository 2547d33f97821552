/**
 * The certificate over a header of an EDA chain: signatures of validators that executed it, of weight Q,
 * one by one or (in large sets) as one sum.
 * The order of a cut is final by the COMMITs of consensus (`libs/eda`); a header says what executing it
 * gave, and at least one honest validator of every tolerated failure stands behind that.
 *
 * Verifies from the genesis alone: each change of the set is shown by a header that the set before it
 * certified, with the path to the new set in that header's state.
 */
import { type Aggregate, type ValidatorSet, sumWeight, verifyBls } from '#libs/eda';
import { type Bytes, bytesToHex, hexToBytes } from '#libs/kernel';
import { verifyStateProof as verifyStatePath } from '#libs/merkle';
import type { EdaCertificate, Handover, Header } from './block.ts';
import {
  type EdaOrdering,
  STAKE_CONTRACT,
  genesisValidators,
  readValidatorSet,
  validatorSetKey,
} from './eda-ordering.ts';
import type { VerifySignature } from './frames.ts';
import {
  CERTIFICATE_DOMAIN,
  headerHash,
  stateTreeKeyBytes,
  stateValueHashBytes,
} from './state-keys.ts';

type Signatures = Pick<EdaCertificate, 'votes' | 'aggregate'>;

/** Weight of a large set behind a header: the sum holds for the keys that the set names. */
function summedWeight(set: ValidatorSet, hash: Bytes, aggregate: Aggregate): number {
  return sumWeight(set, aggregate, (keys, sum) => verifyBls(keys, CERTIFICATE_DOMAIN, hash, sum));
}

/**
 * Weight Q of the set signed this header, each validator counted once: by BLS, added up, in sets that vote
 * so, one by one in all others. Which form it is follows from the set, so one header has one.
 */
export function isSignedBySet(
  set: ValidatorSet,
  header: Header,
  signatures: Signatures,
  verifySignature: VerifySignature,
): boolean {
  return isHashSignedBySet(set, headerHash(header), signatures, verifySignature);
}

/** The same where only the header's hash is known. */
export function isHashSignedBySet(
  set: ValidatorSet,
  hashOfHeader: string,
  { votes, aggregate }: Signatures,
  verifySignature: VerifySignature,
): boolean {
  const hash = hexToBytes(hashOfHeader) as Bytes;
  if (set.isLarge || aggregate !== undefined) {
    const isForm = set.isLarge && aggregate !== undefined && votes.length === 0;
    return isForm && summedWeight(set, hash, aggregate) >= set.quorum;
  }
  const seen = new Set<number>();
  let weight = 0;
  for (const { from, signature } of votes) {
    const validator = set.validators[from];
    if (!validator || seen.has(from)) return false;
    if (!verifySignature(validator.publicKey, CERTIFICATE_DOMAIN, hash, signature)) return false;
    seen.add(from);
    weight += validator.weight;
  }
  return weight >= set.quorum;
}

interface KnownSet {
  readonly era: number;
  readonly set: ValidatorSet;
}

/** Sets since genesis, oldest first; undefined when a change does not follow from the one before. */
function followSets(
  chain: string,
  ordering: EdaOrdering,
  handovers: readonly Handover[],
  verifySignature: VerifySignature,
): readonly KnownSet[] | undefined {
  const sets: KnownSet[] = [{ era: 0, set: genesisValidators(ordering) }];
  for (const { era, header, certifiedBy, set: bytes, path, ...signatures } of handovers) {
    const before = sets.at(-1) as KnownSet;
    if (era <= before.era || certifiedBy >= era || header.chain !== chain) return undefined;
    const signer = setOfEra(sets, certifiedBy);
    if (!signer || !isSignedBySet(signer, header, signatures, verifySignature)) return undefined;
    const key = bytesToHex(stateTreeKeyBytes(STAKE_CONTRACT, validatorSetKey(era)));
    const valueHash = bytesToHex(stateValueHashBytes(bytes));
    if (!verifyStatePath(header.stateRoot, key, valueHash, path)) return undefined;
    const set = readValidatorSet(ordering, bytes);
    if (!set) return undefined;
    sets.push({ era, set });
  }
  return sets;
}

function setOfEra(sets: readonly KnownSet[], era: number): ValidatorSet | undefined {
  return sets.findLast((known) => known.era <= era)?.set;
}

/** The set whose weight Q signed the header, found by the changes that the certificate brings along. */
export function certifyingSet(
  ordering: EdaOrdering,
  header: Header,
  certificate: EdaCertificate,
  verifySignature: VerifySignature,
): ValidatorSet | undefined {
  const { era, handovers } = certificate;
  const sets = followSets(header.chain, ordering, handovers ?? [], verifySignature);
  const set = sets && setOfEra(sets, era);
  return set && isSignedBySet(set, header, certificate, verifySignature) ? set : undefined;
}

/** Whether a certificate, with the changes of the set it brings along, makes the header final. */
export function isEdaCertificate(
  ordering: EdaOrdering,
  header: Header,
  certificate: EdaCertificate,
  verifySignature: VerifySignature,
): boolean {
  return certifyingSet(ordering, header, certificate, verifySignature) !== undefined;
}
