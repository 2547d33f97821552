import { createSigner, sha256, verifySignature } from '#libs/crypto';
import { createValidatorSet } from '#libs/eda';
import { hexToBytes, utf8 } from '#libs/kernel';
import { CERTIFICATE_DOMAIN } from '#libs/ledger';
import { Results } from './results.ts';

const HASH = 'ab'.repeat(32);
const signers = Array.from({ length: 16 }, (_, i) => createSigner(sha256(utf8(`result ${i}`))));
const set = createValidatorSet(
  signers.map(({ publicKey }) => ({ publicKey, weight: 1 })),
  'seele-40',
);
const awaited = { height: 1, hash: HASH, era: 0, set };

function createBench() {
  let checks = 0;
  const results = new Results((...statement) => {
    checks++;
    return verifySignature(...statement);
  });
  /** Validator `from` says its result, signed by another when that is named. */
  const hear = (from: number, by = from): void => {
    const signature = signers[by]?.sign(CERTIFICATE_DOMAIN, hexToBytes(HASH) as Uint8Array);
    const said = { hash: HASH, signature: signature as Uint8Array };
    results.hear(signers[from]?.publicKey ?? '', 1, said, 0);
  };
  return { results, hear, checks: () => checks };
}

test('votes on a result are checked when there are enough, and no more of them than that', () => {
  const { results, hear, checks } = createBench();
  for (let from = 0; from < set.quorum - 1; from++) hear(from);
  expect([results.weigh(awaited).certificate, checks()]).toEqual([undefined, 0]);
  for (let from = set.quorum - 1; from < 16; from++) hear(from);
  expect(results.weigh(awaited).certificate?.votes).toHaveLength(set.quorum);
  expect(checks()).toBe(set.quorum);
});

test('forged votes do not count, are checked once, and keep no genuine one out', () => {
  const { results, hear, checks } = createBench();
  for (let from = 0; from < set.quorum; from++) hear(from, from < 2 ? 9 : from);
  for (let again = 0; again < 3; again++)
    expect(results.weigh(awaited).certificate).toBeUndefined();
  expect(checks()).toBe(set.quorum);
  hear(12);
  hear(13);
  const votes = results.weigh(awaited).certificate?.votes ?? [];
  expect(votes.map(({ from }) => from)).toEqual([2, 3, 4, 5, 6, 7, 8, 9, 12, 13]);
});
