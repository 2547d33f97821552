/** Validators of an EDA chain that certify whatever they are shown: consensus left out, signatures real. */
import { type Signer, createSigner, sha256 } from '#libs/crypto';
import { aggregateVotes, deriveBlsSigner } from '#libs/eda';
import { type Bytes, hexToBytes, utf8 } from '#libs/kernel';
import {
  type Chain,
  type EdaCertificate,
  type EdaOrdering,
  type Header,
  type OrderingPort,
  CERTIFICATE_DOMAIN,
  createSoloOrdering,
  genesisValidators,
  headerHash,
  provenBlsKey,
} from '#libs/ledger';

export const VALIDATOR_STAKE = 1_000n;

export interface SigningValidators {
  readonly ordering: EdaOrdering & { readonly kind: 'eda' };
  readonly signers: readonly Signer[];
  readonly seeds: readonly Bytes[];
  /** The certificate of weight Q, of validators by their place in the chain's set of that era. */
  certify(header: Header, era: number, set?: ReturnType<Chain['validators']>): EdaCertificate;
  /** One sequencer's pace, these validators' certificates, all of the era of genesis. */
  readonly port: OrderingPort;
}

/** @param bls whether they have BLS keys: above 64 they then sign as one */
export function createSigningValidators(
  count: number,
  { eraUs = 2 ** 32, bls = true }: { readonly eraUs?: number; readonly bls?: boolean } = {},
): SigningValidators {
  const seeds = Array.from({ length: count }, (_, i) => sha256(utf8(`signing validator ${i}`)));
  const signers = seeds.map(createSigner);
  const keys = bls ? seeds.map((seed) => deriveBlsSigner(seed)) : [];
  const ordering: SigningValidators['ordering'] = {
    kind: 'eda',
    validators: signers.map(({ publicKey }, i) => {
      const key = keys[i];
      return { publicKey, stake: VALIDATOR_STAKE, ...(key && { bls: provenBlsKey(key) }) };
    }),
    stakeUnit: VALIDATOR_STAKE,
    profile: 'seele-40',
    deltaUs: 50_000,
    epsilonUs: 128,
    eraUs,
    attestEveryUs: 0,
  };
  const certify: SigningValidators['certify'] = (
    header,
    era,
    set = genesisValidators(ordering),
  ) => {
    const hash = hexToBytes(headerHash(header)) as Bytes;
    const votes: { from: number; signature: Bytes }[] = [];
    let weight = 0;
    for (const [from, { publicKey, weight: own }] of set.validators.entries()) {
      const at = signers.findIndex((signer) => signer.publicKey === publicKey);
      const signer = set.isLarge ? keys[at] : signers[at];
      if (weight >= set.quorum || !signer) continue;
      votes.push({ from, signature: signer.sign(CERTIFICATE_DOMAIN, hash) });
      weight += own;
    }
    if (!set.isLarge) return { kind: 'eda', era, votes };
    return { kind: 'eda', era, votes: [], aggregate: aggregateVotes(set, votes) };
  };
  const solo = createSoloOrdering(signers[0] as Signer);
  const port: OrderingPort = {
    ...solo,
    kind: 'eda',
    certify: (header) => certify(header, Math.floor(header.timeUs / eraUs)),
  };
  return { ordering, signers, seeds, certify, port };
}
