/**
 * Above 64 validators a few of them collect what all say a result is, and tell one sum. A collector may lie or be
 * silent: whoever it tells believes none of it, names it where that can be told, and comes on by another.
 */
import { aggregateVotes, deriveBlsSigner } from '#libs/eda';
import { type Bytes, hexToBytes } from '#libs/kernel';
import { type EdaCertificate, CERTIFICATE_DOMAIN, genesisValidators } from '#libs/ledger';
import { collectorsOf } from './results.ts';
import { createExecutorStage } from '../../../../test/support/executor-stage.ts';
import type { ToldCertificate } from './told-certificates.ts';

const stage = createExecutorStage(66);
const { validators, era, cutOf } = stage;
const set = genesisValidators(validators.ordering);
const keys = validators.seeds.map((seed) => deriveBlsSigner(seed));
const invalid: unknown = expect.objectContaining({ code: 'LEDGER_CERTIFICATE_INVALID' });
const other = 'ab'.repeat(32);
const peer = (i: number): string => validators.signers[i]?.publicKey ?? '';

let node: Awaited<ReturnType<typeof stage.startExecutor>>;
let twin: Awaited<ReturnType<typeof stage.openChain>>;
let height = 0;
/** What honest collectors tell, by height. */
const told: ToldCertificate[] = [];
const honest = (at = height): ToldCertificate => told[at] as ToldCertificate;
const sumAt = (at = height) => honest(at).certificate as EdaCertificate;

beforeAll(async () => {
  twin = await stage.openChain();
  node = await stage.startExecutor();
});
afterAll(async () => {
  await node.stop();
  await twin.store.close();
});

/** Consensus decides the next cut; what honest nodes make of it is known. */
async function decideNext(): Promise<void> {
  height += 1;
  const { body, commit } = cutOf(height);
  const execution = twin.chain.execute(
    {
      ...{ height, parent: twin.chain.head.hash, timeUs: body.timeUs },
      ...{ transactions: [], decision: commit.hash },
    },
    'skip',
  );
  const certificate = validators.certify(execution.header, era);
  told[height] = { hash: execution.headerHash, certificate };
  await twin.chain.commit(execution, certificate);
  node.decide(height);
}

/** The node executes it: what it misses then is the certificate. */
async function executeIt(): Promise<void> {
  node.executor.ready(height, []);
  const { length } = node.said;
  const isVote = ({ message }: (typeof node.said)[number]) => message.kind === 'vote';
  await node.until(() => node.said.slice(length).some(isVote));
}

async function stored(): Promise<number> {
  await node.until(() => node.chain.head.header.height >= height);
  return node.chain.head.header.height;
}

/** A sum of these validators over this hash. */
function sumOf(hash: string, signers: readonly number[]): EdaCertificate {
  const bytes = hexToBytes(hash) as Bytes;
  const votes = signers.map((from) => {
    const { bls } = set.validators[from] as (typeof set.validators)[number];
    const key = keys.find(({ publicKey }) => publicKey === bls);
    return { from, signature: key?.sign(CERTIFICATE_DOMAIN, bytes) ?? new Uint8Array(96) };
  });
  return { kind: 'eda', era, votes: [], aggregate: aggregateVotes(set, votes) };
}

const withSum = (
  change: (sum: NonNullable<EdaCertificate['aggregate']>) => Partial<typeof sum>,
): ToldCertificate => {
  const { aggregate } = sumAt();
  if (!aggregate) throw new Error('no sum');
  const changed = { ...aggregate, ...change(aggregate) };
  return { ...honest(), certificate: { ...sumAt(), aggregate: changed } };
};

const lies: [string, () => ToldCertificate][] = [
  [
    'a sum over another result',
    () => ({
      ...honest(),
      certificate: sumOf(
        other,
        Array.from({ length: 60 }, (_, i) => i),
      ),
    }),
  ],
  [
    'a sum of too little weight',
    () => ({ ...honest(), certificate: sumOf(honest().hash, [0, 1, 2, 3]) }),
  ],
  [
    'a sum that claims more signers than signed',
    () => withSum(({ signers }) => ({ signers: signers.map((byte) => byte | 0x55) })),
  ],
  ['a list of signers cut short', () => withSum(({ signers }) => ({ signers: signers.slice(1) }))],
  ['a sum that is no point', () => withSum(() => ({ signature: new Uint8Array(96).fill(7) }))],
  [
    'the certificate of the block before',
    () => ({ ...honest(), certificate: honest(height - 1).certificate }),
  ],
  ['a result that nobody has', () => ({ ...honest(), hash: other })],
  ['an era to come', () => ({ ...honest(), certificate: { ...sumAt(), era: era + 1 } })],
  ['an era that never is', () => ({ ...honest(), certificate: { ...sumAt(), era: 2 ** 52 } })],
  [
    'single votes in place of a sum',
    () => ({ ...honest(), certificate: { kind: 'eda', era, votes: [] } }),
  ],
  [
    'the certificate of another kind of chain',
    () => ({ ...honest(), certificate: { kind: 'solo', signature: new Uint8Array(64) } }),
  ],
  ['no certificate', () => ({ ...honest(), certificate: { kind: 'genesis' } })],
];

describe('a certificate that a collector tells a node that has executed the block', () => {
  beforeAll(async () => {
    await decideNext();
    await executeIt();
    node.executor.hearCertificate(peer(0), height, honest());
    await stored();
    await decideNext();
    await executeIt();
  });

  it.each(lies)('is refused, and its link ends, when it is %s', (_what, lie) => {
    expect(() => node.executor.hearCertificate(peer(1), height, lie())).toThrow(invalid as Error);
    expect(node.chain.head.header.height).toBe(height - 1);
  });

  it('that is of the block before says nothing: this node is not wrong by it', async () => {
    node.executor.hearCertificate(peer(1), height, honest(height - 1));
    await node.until(() => node.failure !== undefined, 20);
    expect(node.failure).toBeUndefined();
  });

  it('is taken from another collector then; told twice, or late, it changes nothing', async () => {
    node.executor.hearCertificate(peer(2), height, honest());
    node.executor.hearCertificate(peer(2), height, honest());
    expect(await stored()).toBe(height);
    expect(node.chain.head.hash).toBe(honest().hash);
    node.executor.hearCertificate(peer(2), height, honest());
    expect(node.lies).toEqual([]);
  });
});

describe('a certificate that comes before the block is executed', () => {
  it('is looked at once it is: who lied is named, however many they are, and an honest one counts', async () => {
    await decideNext();
    for (const [i, [, lie]] of lies.entries())
      node.executor.hearCertificate(peer(i), height, lie());
    node.executor.hearCertificate(peer(20), height, honest());
    await executeIt();
    expect(await stored()).toBe(height);
    const liars = lies.map((_, i) => peer(i));
    expect(node.lies.map(([liar]) => liar).toSorted()).toEqual(liars.toSorted());
    node.lies.length = 0;
  });

  it('is kept of one height to come from who validates, of none far ahead and from no stranger', async () => {
    await decideNext();
    const stranger = '01'.padEnd(66, '7');
    node.executor.hearCertificate(stranger, height, { ...honest(), hash: other });
    node.executor.hearCertificate(peer(3), height + 1_000_000, { ...honest(), hash: other });
    node.executor.hearCertificate(peer(4), height, honest());
    await executeIt();
    expect(await stored()).toBe(height);
    expect(node.lies).toEqual([]);
  });
});

describe('collectors that tell nothing', () => {
  it('are passed over: others are asked, however much of no worth is told meanwhile', async () => {
    await decideNext();
    await executeIt();
    const isAgain = ({ message }: (typeof node.said)[number]) =>
      message.kind === 'again' && message.height === height;
    const noise = setInterval(() => {
      node.executor.hear(peer(5), height + 3, other, new Uint8Array(96));
    }, 20);
    await node.until(() => node.said.some(isAgain));
    clearInterval(noise);
    const beacon = node.executor.base.eraBeacon;
    expect(node.said.find(isAgain)?.to).toEqual(collectorsOf(set, beacon, height, 1));
    expect(collectorsOf(set, beacon, height, 1)).not.toEqual(collectorsOf(set, beacon, height, 0));
    node.executor.hearCertificate(peer(6), height, honest());
    expect(await stored()).toBe(height);
  });

  it('do not stop who gets the block itself from a peer', async () => {
    await decideNext();
    await executeIt();
    const block = twin.chain.block(height);
    if (!block) throw new Error('no block');
    const { header } = block;
    node.executor.synced({ ...block, header: { ...header, stateRoot: other } }, peer(7));
    await node.until(() => node.lies.length > 0);
    expect(node.lies.splice(0)).toEqual([[peer(7), height]]);
    node.executor.synced(block, peer(8));
    expect(await stored()).toBe(height);
  });
});

describe('what a collector is told', () => {
  it('comes together when some say what they did not sign, which is looked at once', async () => {
    await decideNext();
    await executeIt();
    const { hash } = honest();
    const bytes = hexToBytes(hash) as Bytes;
    for (const [from, { publicKey, bls }] of set.validators.entries()) {
      const key = keys.find((one) => one.publicKey === bls);
      const domain = from < 9 ? 'seele/other/1' : CERTIFICATE_DOMAIN;
      const signature = key?.sign(domain, bytes) ?? new Uint8Array(96);
      node.executor.hear(publicKey, height, hash, signature);
    }
    expect(await stored()).toBe(height);
    const told = node.said.findLast(({ message }) => message.kind === 'certified');
    expect(told?.message).toMatchObject({ height, hash });
  });
});

describe('a certificate of weight Q over another result', () => {
  it('says that this node is wrong: it ends, and blames nobody', async () => {
    await decideNext();
    await executeIt();
    const block = twin.chain.block(height);
    if (!block) throw new Error('no block');
    const header = { ...block.header, stateRoot: other };
    node.executor.synced(
      { ...block, header, certificate: validators.certify(header, era) },
      peer(9),
    );
    await node.until(() => node.failure !== undefined);
    expect(node.failure).toMatchObject({ code: 'LEDGER_DIVERGED' });
    expect(node.lies).toEqual([]);
  });
});
