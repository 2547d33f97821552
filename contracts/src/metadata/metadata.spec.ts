import fc from 'fast-check';
import { decodeWith } from '#libs/kernel';
import { createWorld, person } from '../testing/orders-world.ts';
import {
  METADATA_CONTRACT,
  datasetRecord,
  metadataKeys,
  metadataMethods,
  versionRecord,
} from './metadata.ts';
import { mergeRollout } from './rollout.ts';

const owner = person('owner');
const other = person('other');
const hash = (n: number): string => n.toString(16).padStart(2, '0').repeat(32);
const PATH = 'data/sales%202026';

type RecordArgs = Parameters<typeof metadataMethods.record.run>[1];

const versionOf = (n: number, extra: Partial<RecordArgs> = {}): RecordArgs => ({
  path: PATH,
  after: n - 1,
  version: `1.${n}.0`,
  document: { kind: 'inline', bytes: new Uint8Array([n]) },
  publicHash: hash(n),
  completeHash: hash(100 + n),
  quadRoot: hash(200 + n),
  quadCount: 10 + n,
  rollout: [],
  ...extra,
});

function setUp() {
  const world = createWorld({ people: [owner, other] });
  const recordVersion = (args: RecordArgs, by = owner) =>
    world.must(by, METADATA_CONTRACT, metadataMethods.record, args);
  const refusal = (args: RecordArgs, by = owner) =>
    world.refusal(by, METADATA_CONTRACT, metadataMethods.record, args);
  const dataset = () =>
    decodeWith(
      datasetRecord,
      world.get(METADATA_CONTRACT, metadataKeys.dataset(owner.account, PATH)) as Uint8Array,
    );
  const versions = () =>
    world
      .scan(METADATA_CONTRACT, metadataKeys.versionsOf(owner.account, PATH))
      .map(([, value]) => decodeWith(versionRecord, value));
  return { world, recordVersion, refusal, dataset, versions };
}

describe('metadata.record', () => {
  it('keeps every version, in order, with height and time', () => {
    const { world, recordVersion, dataset, versions } = setUp();
    expect(recordVersion(versionOf(1))).toEqual({ sequence: 1, recorded: true });
    expect(recordVersion(versionOf(2))).toEqual({ sequence: 2, recorded: true });
    expect(versions().map(({ sequence, version }) => [sequence, version])).toEqual([
      [1, '1.1.0'],
      [2, '1.2.0'],
    ]);
    expect(versions()[1]).toMatchObject({ height: world.height, timeUs: world.timeUs });
    expect(dataset()).toMatchObject({ latest: 2, grantEpoch: 0, withdrawn: false });
  });

  it('takes the same content once, whatever else is said with it', () => {
    const { world, recordVersion, versions } = setUp();
    recordVersion(versionOf(1));
    const before = world.scan(METADATA_CONTRACT);
    const again = versionOf(1, { after: 1, version: 'another name' });
    expect(recordVersion(again)).toEqual({ sequence: 1, recorded: false });
    expect(world.scan(METADATA_CONTRACT)).toEqual(before);
    expect(versions()).toHaveLength(1);
  });

  it.each([
    ['METADATA_SEQUENCE', versionOf(2, { after: 0 })],
    ['METADATA_SEQUENCE', versionOf(2, { after: 7 })],
    ['METADATA_VERSION_NAME', versionOf(2, { version: '1.1.0' })],
    ['METADATA_CONTENT_TAKEN', versionOf(1, { path: 'data/else', after: 0 })],
    ['METADATA_PATH', versionOf(2, { path: '' })],
    ['METADATA_PATH', versionOf(2, { path: 'a//b' })],
    ['METADATA_PATH', versionOf(2, { path: 'a/../b' })],
    ['METADATA_PATH', versionOf(2, { path: 'a b' })],
    ['METADATA_PATH', versionOf(2, { path: 'a?b=c' })],
    ['METADATA_ROLLOUT', versionOf(2, { rollout: [{ percent: 10, activationHeight: 5 }] })],
    [
      'METADATA_ROLLOUT',
      versionOf(2, { rollout: [{ percent: 10, activationHeight: 5 }], fallback: 2 }),
    ],
    [
      'METADATA_ROLLOUT',
      versionOf(2, {
        fallback: 1,
        rollout: [
          { percent: 10, activationHeight: 5 },
          { percent: 20, activationHeight: 5 },
        ],
      }),
    ],
  ])('refuses with %s', (code, args) => {
    const { recordVersion, refusal } = setUp();
    recordVersion(versionOf(1));
    expect(refusal(args)).toBe(code);
  });

  it('keeps owners apart: the same path and content of another is another dataset', () => {
    const { recordVersion, versions } = setUp();
    recordVersion(versionOf(1));
    expect(recordVersion(versionOf(1), other)).toEqual({ sequence: 1, recorded: true });
    expect(versions()).toHaveLength(1);
  });
});

describe('metadata.rollOut', () => {
  it('replaces steps to come and keeps those reached', () => {
    const { world, recordVersion, versions } = setUp();
    recordVersion(versionOf(1));
    const soon = world.height + 1;
    const rollout = [
      { percent: 10, activationHeight: soon },
      { percent: 50, activationHeight: soon + 1_000 },
    ];
    recordVersion(versionOf(2, { rollout, fallback: 1 }));
    const back = [{ percent: 0, activationHeight: world.height + 5 }];
    const args = { path: PATH, sequence: 2, rollout: back };
    world.must(owner, METADATA_CONTRACT, metadataMethods.rollOut, args);
    expect(versions()[1]?.rollout).toEqual([rollout[0], ...back]);
    const past = { ...args, rollout: [{ percent: 99, activationHeight: world.height }] };
    const { rollOut } = metadataMethods;
    expect(world.refusal(owner, METADATA_CONTRACT, rollOut, past)).toBe('METADATA_ROLLOUT');
    expect(world.refusal(other, METADATA_CONTRACT, rollOut, args)).toBe('METADATA_UNKNOWN');
    const unknown = { ...args, sequence: 3 };
    expect(world.refusal(owner, METADATA_CONTRACT, rollOut, unknown)).toBe('METADATA_UNKNOWN');
  });

  it('never changes what holds at a height that is reached', () => {
    const step = fc.record({ percent: fc.nat(100), activationHeight: fc.nat(20) });
    const steps = fc
      .uniqueArray(step, { maxLength: 6, selector: (s) => s.activationHeight })
      .map((list) => list.toSorted((a, b) => a.activationHeight - b.activationHeight));
    const at = (list: readonly { percent: number; activationHeight: number }[], height: number) =>
      list.filter(({ activationHeight }) => activationHeight <= height).at(-1)?.percent;
    fc.assert(
      fc.property(steps, steps, fc.nat(20), (before, after, height) => {
        const merged = mergeRollout(before, after, height);
        if (merged === undefined) return;
        for (let h = 0; h <= height; h++) expect(at(merged, h)).toBe(at(before, h));
      }),
    );
  });
});

describe('metadata: the dataset itself', () => {
  it('says where the owner serves it, voids grants, and is withdrawn and offered again', () => {
    const { world, recordVersion, dataset } = setUp();
    recordVersion(versionOf(1));
    const { serveAt, revokeGrants, withdraw } = metadataMethods;
    const endpoint = 'https://data.clinic.example/claims';
    world.must(owner, METADATA_CONTRACT, serveAt, { path: PATH, endpoint });
    expect(world.must(owner, METADATA_CONTRACT, revokeGrants, { path: PATH })).toEqual({
      grantEpoch: 1,
    });
    world.must(owner, METADATA_CONTRACT, withdraw, { path: PATH, withdrawn: true });
    expect(dataset()).toMatchObject({ endpoint, grantEpoch: 1, withdrawn: true });
    recordVersion(versionOf(2));
    world.must(owner, METADATA_CONTRACT, serveAt, { path: PATH });
    expect(dataset()).toEqual({
      owner: owner.account,
      path: PATH,
      latest: 2,
      grantEpoch: 1,
      withdrawn: false,
    });
  });

  it('refuses strangers, and endpoints that carry a user or are no URL', () => {
    const { world, recordVersion } = setUp();
    recordVersion(versionOf(1));
    const { serveAt, revokeGrants } = metadataMethods;
    expect(world.refusal(other, METADATA_CONTRACT, revokeGrants, { path: PATH })).toBe(
      'METADATA_UNKNOWN',
    );
    for (const endpoint of ['ftp://x', 'https://user:secret@x', 'x', 'https://a b'])
      expect(world.refusal(owner, METADATA_CONTRACT, serveAt, { path: PATH, endpoint })).toBe(
        'METADATA_ENDPOINT',
      );
  });
});
