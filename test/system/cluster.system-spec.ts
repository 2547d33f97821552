/** Validators as real processes: killed, restarted, started wrongly. Longer runs: npm run test:cluster. */
import { rmSync } from 'node:fs';
import { join } from 'node:path';
import { tokenKeys } from '#contracts';
import { verifySignature } from '#libs/crypto';
import { verifyFinalityProof, verifyStateProof } from '#libs/ledger';
import { type Cluster, createCluster } from '../support/cluster.ts';
import { divergences, loadSigners, sameHead, startLoad } from '../support/cluster-load.ts';

const NODES = [0, 1, 2, 3];
const FUNDS = 10n ** 15n;
const PROGRESS_MS = 60_000;
const signers = loadSigners(6);
const allocations = signers.map(({ account }) => ({ account, amount: FUNDS }));
let cluster: Cluster;

beforeAll(async () => {
  cluster = await createCluster({ nodes: 4, allocations });
  await Promise.all(NODES.map((node) => cluster.start(node)));
});
afterAll(() => cluster.stop());

test('of four validators one is killed and finality goes on; two, and it stops; both back, it resumes', async () => {
  const load = startLoad(cluster, 4, signers);
  try {
    await load.progress(PROGRESS_MS);
    await cluster.kill(3);
    for (let i = 0; i < 5; i++) await load.progress(PROGRESS_MS);
    await cluster.kill(2);
    const heightOf = async () => (await cluster.client(0).status()).height;
    const height = await heightOf();
    await new Promise((resolve) => setTimeout(resolve, 1_500));
    // A cut that had its COMMITs may still be executed.
    expect(await heightOf()).toBeLessThanOrEqual(height + 1);
    // Then it stands, or this does not end.
    for (let [before, now] = [-1, await heightOf()]; now !== before; now = await heightOf()) {
      before = now;
      await new Promise((resolve) => setTimeout(resolve, 1_500));
    }
    await Promise.all([cluster.start(2), cluster.start(3)]);
    for (let i = 0; i < 5; i++) await load.progress(PROGRESS_MS);
  } finally {
    await load.stop();
  }
  const highest = Math.max(...load.final.values());
  const height = await sameHead(cluster, NODES, highest);
  expect(await divergences(cluster, NODES, height)).toEqual([]);
}, 180_000);

test('a proof verifies from the genesis alone, whichever node gives it', async () => {
  const account = signers[0]?.account as string;
  for (const node of NODES) {
    const proof = await cluster.client(node).prove('token', tokenKeys.balance(account));
    const { value, height } = verifyStateProof(cluster.genesis, proof, verifySignature);
    expect(value).toBeDefined();
    expect(height).toBeGreaterThan(0);
    const [first, ...rest] = proof.certificate.kind === 'eda' ? proof.certificate.votes : [];
    const certificate = {
      kind: 'eda',
      era: 0,
      votes: rest.slice(0, 1).concat(first ?? []),
    } as const;
    expect(() =>
      verifyStateProof(cluster.genesis, { ...proof, certificate }, verifySignature),
    ).toThrow('not final');
  }
});

test('the finality of a block is told with the weight of liars that could not undo it', async () => {
  const finality = async () => {
    const answer = await fetch(`${cluster.client(0).url}/v1/blocks/1/finality`);
    return (await answer.json()) as Record<string, unknown>;
  };
  expect(await finality()).toMatchObject({ height: 1, ordering: 'eda', certificate: 'eda' });
  // Three of four have attested: one of them may lie.
  const isStrong = async () => ((await finality())['strength'] as number) >= 1;
  for (let i = 0; i < 600 && !(await isStrong()); i++)
    await new Promise((resolve) => setTimeout(resolve, 100));
  expect(await isStrong()).toBe(true);
  // Any other node's proof of it holds from the genesis alone: one signature of those who attested.
  const proof = await cluster.client(3).finalityProof(1);
  const proven = verifyFinalityProof(cluster.genesis, proof, verifySignature);
  expect(proven).toMatchObject({ height: 1, total: 4 });
  expect(proven.weight).toBeGreaterThan(0);
  const [, ...later] = proof.headers;
  if (later.length > 0)
    expect(
      verifyFinalityProof(cluster.genesis, { ...proof, headers: later }, verifySignature).height,
    ).toBe(2);
});

test('a validator that lost everything watches first, and follows the chain all the while', async () => {
  await cluster.kill(1);
  rmSync(join(cluster.home(1), 'node'), { recursive: true });
  await cluster.start(1);
  const voting = async () => (await cluster.client(1).status()).consensus?.voting;
  expect(await voting()).not.toBe('yes');
  const load = startLoad(cluster, 4, signers);
  // It votes again once all the others answered and two more slots are final.
  for (let i = 0; i < 10 || (await voting()) !== 'yes'; i++) await load.progress(PROGRESS_MS);
  await load.stop();
  const height = await sameHead(cluster, NODES, Math.max(...load.final.values()));
  expect(await divergences(cluster, NODES, height)).toEqual([]);
  expect(await voting()).toBe('yes');
});
