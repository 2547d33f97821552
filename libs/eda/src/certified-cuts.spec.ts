import { type Signer, createSigner, verifySignature } from '#libs/crypto';
import {
  type EraBorder,
  type TrustedEra,
  crossBorder,
  cutHeadHash,
  cutHeadOf,
  isFinalCut,
} from './certified-cuts.ts';
import { cutHash } from './cuts.ts';
import { type Body, signedBytes, signingDomain } from './messages.ts';
import { createValidatorSet } from './validator-set.ts';

const zero = '00'.repeat(32);
const chain = 'c1'.repeat(32);
const signers = Array.from({ length: 8 }, (_, i) => createSigner(new Uint8Array(32).fill(i + 1)));
const setOf = (members: readonly Signer[]) =>
  createValidatorSet(
    members.map(({ publicKey }) => ({ publicKey, weight: 1 })),
    'classic',
  );
const [firstMembers, nextMembers] = [signers.slice(0, 4), signers.slice(3, 8)];
const trusted: TrustedEra = { chain, era: 7, set: setOf(firstMembers) };
const next = setOf(nextMembers);

function bodyOf(changes: Partial<Body> = {}): Body {
  return {
    chain,
    era: 7,
    slot: 12,
    prevHash: zero,
    timeUs: 1_000_000,
    entries: [{ era: 7, author: 1, seq: 1, hash: zero, pos: 999_000, raw: 999_000 }],
    stateRoot: zero,
    receiptsRoot: zero,
    outboxRoot: zero,
    setHash: trusted.set.hash,
    nextSetHash: next.hash,
    parentHeader: null,
    creator: 0,
    vrf: new Uint8Array(80),
    ...changes,
  };
}

function borderOf(
  body: Body,
  voters: readonly number[] = [0, 1, 2],
  members = firstMembers,
): EraBorder {
  const hash = cutHash(body);
  const signed = signedBytes('commit', {
    chain: body.chain,
    era: body.era,
    slot: body.slot,
    view: 2,
    hash,
  });
  const votes = voters.map((from) => ({
    from,
    signature: (members[from] as Signer).sign(signingDomain('commit'), signed),
  }));
  return {
    head: cutHeadOf(body),
    certificate: { view: 2, hash, votes },
    validators: next.validators,
  };
}
const isFinal = ({ head, certificate }: EraBorder) =>
  isFinalCut(trusted, head, certificate, verifySignature);
const code = (border: EraBorder, from = trusted): string => {
  try {
    crossBorder(from, border, verifySignature);
  } catch (error) {
    return (error as { code: string }).code;
  }
  return 'crossed';
};

describe('cuts somebody else certified', () => {
  it('have the same hash with and without their entries', () => {
    expect(cutHeadHash(cutHeadOf(bodyOf()))).toBe(cutHash(bodyOf()));
    const changed = { ...cutHeadOf(bodyOf()), count: 2 };
    expect(cutHeadHash(changed)).not.toBe(cutHash(bodyOf()));
  });

  it('are final with COMMITs of weight Q of their era, and of nothing less', () => {
    expect(isFinal(borderOf(bodyOf()))).toBe(true);
    expect(isFinal(borderOf(bodyOf(), [0, 1]))).toBe(false);
    expect(isFinal(borderOf(bodyOf(), [0, 1, 1]))).toBe(false);
    expect(isFinal(borderOf(bodyOf(), [0, 1, 2], nextMembers))).toBe(false);
    expect(isFinal(borderOf(bodyOf({ chain: zero })))).toBe(false);
    expect(isFinal(borderOf(bodyOf({ era: 8 })))).toBe(false);
    expect(isFinal(borderOf(bodyOf({ setHash: next.hash })))).toBe(false);
    const good = borderOf(bodyOf());
    expect(isFinal({ ...good, head: cutHeadOf(bodyOf({ stateRoot: chain })) })).toBe(false);
    expect(isFinal({ ...good, certificate: { ...good.certificate, view: 1 } })).toBe(false);
  });

  it('lead from one set to the next, and not past one', () => {
    const crossed = crossBorder(trusted, borderOf(bodyOf()), verifySignature);
    expect(crossed).toMatchObject({ chain, era: 8 });
    expect(crossed.set.hash).toBe(next.hash);
    // The old set proves nothing any more; the new one does.
    const later = { era: 8, setHash: next.hash };
    expect(code(borderOf(bodyOf(later), [0, 1, 2], firstMembers), crossed)).toBe(
      'EDA_CERTIFICATE_INVALID',
    );
    expect(code(borderOf(bodyOf(later), [0, 1, 2, 3], nextMembers), crossed)).toBe('crossed');
    expect(code(borderOf(bodyOf(later), [0, 1, 2, 3], nextMembers), trusted)).toBe(
      'EDA_CERTIFICATE_INVALID',
    );
  });

  it('lead to no other set than the one they name', () => {
    const stolen = { ...borderOf(bodyOf()), validators: trusted.set.validators };
    expect(code(stolen)).toBe('EDA_CERTIFICATE_INVALID');
    expect(code({ ...borderOf(bodyOf()), validators: [] })).toBe('EDA_SET_INVALID');
  });
});
