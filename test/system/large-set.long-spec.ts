/**
 * A chain of more than 64 validators from genesis to a proof that a stranger checks: votes, results and
 * attestations by BLS, added up. In one process: so many real ones do not fit a machine of tests.
 */
import { setTimeout as sleep } from 'node:timers/promises';
import { tokenCalls, tokenKeys } from '#contracts';
import { createSigner, sha256, verifySignature } from '#libs/crypto';
import { utf8 } from '#libs/kernel';
import {
  type EdaCertificate,
  decodeStateProof,
  encodeStateProof,
  signTransaction,
  verifyCertifiedHeader,
  verifyStateProof,
} from '#libs/ledger';
import { type MemoryCluster, createMemoryCluster } from '../support/memory-cluster.ts';

const VALIDATORS = 66;
const payer = createSigner(sha256(utf8('payer of the large set')));
let cluster: MemoryCluster;

async function until(what: string, holds: () => boolean, limitMs = 200_000): Promise<void> {
  for (const limit = Date.now() + limitMs; !holds(); await sleep(50))
    if (Date.now() > limit) throw new Error(`${what}: not in ${limitMs} ms`);
}
const heights = () => [...cluster.nodes.values()].map(({ chain }) => chain.head.header.height);

function pay(node: number, nonce: number): void {
  const { chain } = [...cluster.nodes.values()][0] as { chain: { id: string } };
  cluster.submit(
    node,
    signTransaction(payer, {
      chain: chain.id,
      publicKey: payer.publicKey,
      nonce,
      validUntilUs: (Date.now() + 600_000) * 1_000,
      fuelLimit: 400_000n,
      fuelPrice: 1n,
      calls: [tokenCalls.transfer({ to: sha256Account, amount: 1n })],
    }),
  );
}
const sha256Account = createSigner(sha256(utf8('payee of the large set'))).account;

beforeAll(async () => {
  cluster = await createMemoryCluster({
    nodes: VALIDATORS,
    ordering: { deltaUs: 3_000_000, eraUs: 2 ** 32, attestEveryUs: 1_000_000 },
    allocations: [{ account: payer.account, amount: 10n ** 15n }],
  });
  for (let node = 0; node < VALIDATORS; node++) await cluster.start(node);
}, 300_000);
afterAll(() => cluster.stop(), 60_000);

test('66 validators: payments are final, with one signature of all; a proof holds from the genesis alone', async () => {
  const startedMs = performance.now();
  pay(3, 0);
  await until('the first block', () => Math.min(...heights()) >= 1);
  const firstMs = performance.now() - startedMs;
  // A third is cut off: collectors and leaders among them, too.
  for (let node = 40; node < 60; node++) await cluster.kill(node);
  pay(1, 1);
  await until('the second block', () => Math.min(...heights()) >= 2);
  console.log(
    `first block ${Math.round(firstMs)} ms, all ${Math.round(performance.now() - startedMs)} ms`,
  );
  const [first] = cluster.nodes.values();
  const chain = first?.chain;
  if (!chain) throw new Error('no node');
  const hashes = [...cluster.nodes.values()].map((node) => node.chain.header(2)?.header.stateRoot);
  expect(new Set(hashes).size).toBe(1);

  const proof = decodeStateProof(
    encodeStateProof(chain.prove('token', tokenKeys.balance(payer.account))),
  );
  expect(verifyStateProof(cluster.genesis, proof, verifySignature).height).toBeGreaterThan(1);
  const certificate = proof.certificate as EdaCertificate;
  expect(certificate.votes).toEqual([]);
  expect(encodeStateProof(proof).length).toBeLessThan(4_000);
  const isFinal = (changed: object) =>
    verifyCertifiedHeader(
      cluster.genesis,
      proof.header,
      { ...certificate, ...changed },
      verifySignature,
    );
  expect(isFinal({})).toBe(true);
  const { aggregate } = certificate;
  if (!aggregate) throw new Error('no sum');
  const more = aggregate.signers.map((byte) => byte | 1);
  const fewer = aggregate.signers.map((byte, i) => (i < 4 ? 0 : byte));
  for (const signers of [more.map((byte, i) => (i === 0 ? byte ^ 1 : byte)), fewer, more.slice(1)])
    if (signers.join() !== aggregate.signers.join())
      expect(isFinal({ aggregate: { ...aggregate, signers } })).toBe(false);
  expect(isFinal({ aggregate: undefined })).toBe(false);
}, 500_000);
