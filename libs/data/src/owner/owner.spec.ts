import {
  appendFileSync,
  mkdtempSync,
  readFileSync,
  rmSync,
  statSync,
  writeFileSync,
} from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import fc from 'fast-check';
import { createSigner } from '#libs/crypto';
import { createSeededRandomness, isSeeleError, utf8 } from '#libs/kernel';
import { armFailpoints } from '#libs/platform';
import {
  createMemoryBlobStore,
  createX25519KeyUnwrap,
  encryptionKeyPairFromSeed,
  formatEncryptionKey,
  isContentCommitment,
  openSealed,
} from '#libs/storage';
import { describeFileSchema, parseDescribeFile } from '../describe/describe-file.ts';
import { draftDescribeFile, proposalOf } from '../describe/proposal.ts';
import { type OpenedSource, openSource } from '../extract/open-source.ts';
import { checkGrant, readGrant, signGrant } from '../grant/grant.ts';
import { DataHome, datasetPath, datasetUai } from './data-home.ts';
import { type DataMode, OwnerStore, type StoredDataset } from './owner-store.ts';
import { checkProof, proveVersion } from './prove.ts';
import { createRecordSeal } from './sealed-record.ts';
import type { VersionRecorder, VersionToRecord } from './version-recorder.ts';

const randomness = createSeededRandomness(5);
const seed = randomness.bytes(32);
const friend = encryptionKeyPairFromSeed(randomness.bytes(32));
const signer = createSigner(seed);
const source = `patient_id,icd10,amount
P-1,A01,10
P-2,B02,12.5
P-3,A01,7
`;
const say = {
  title: 'Claims',
  publish: ['rowCount' as const],
  columns: {
    icd10: { visibility: 'public' as const },
    patient_id: { visibility: 'public' as const, statistics: 'public' as const },
  },
};

/** The rules of contract `metadata` that versions rely on. */
class MemoryChain implements VersionRecorder {
  readonly versions: VersionToRecord[] = [];
  async record(version: VersionToRecord) {
    const there = await this.find(version.path, version.completeHash);
    if (there !== undefined) return there;
    if (version.sequence !== this.versions.length + 1) throw new Error('METADATA_SEQUENCE');
    this.versions.push(version);
    return { sequence: version.sequence, height: 10 + version.sequence };
  }
  async find(_path: string, completeHash: string) {
    const at = this.versions.findIndex((version) => version.completeHash === completeHash);
    return at < 0 ? undefined : { sequence: at + 1, height: 11 + at };
  }
  dataset = async () => ({ latest: this.versions.length, grantEpoch: 0 });
  height = async () => 100;
  rollOut = async () => undefined;
  serveAt = async () => undefined;
  revokeGrants = async () => undefined;
}

let folder: string;
let owner: OwnerStore;
let chain: MemoryChain;
const store = createMemoryBlobStore();

function openHome(): DataHome {
  owner = new OwnerStore(join(folder, 'data'), () => createRecordSeal(seed, randomness));
  return new DataHome({
    ...{ owner, store, recorder: chain, scratch: join(folder, 'scratch') },
    account: { name: 'default', seed, signer },
  });
}

function datasetOf(mode: DataMode, more: object = {}, perColumn = false): StoredDataset {
  const settings = {
    source: join(folder, 'claims.csv'),
    mode,
    perColumn,
    say: { ...say, ...more },
  };
  const name = 'claims';
  const uai = datasetUai('test', signer.account, name);
  return { name, uai, path: datasetPath(name), account: 'default', settings };
}

/** Extraction starts a process: what does not change the source shares one. */
let shared: OpenedSource;
let sharedFolder: string;
beforeAll(async () => {
  sharedFolder = mkdtempSync(join(tmpdir(), 'seele-owner-'));
  writeFileSync(join(sharedFolder, 'claims.csv'), source);
  shared = await openSource(join(sharedFolder, 'claims.csv'), sharedFolder);
});
afterAll(() => rmSync(sharedFolder, { recursive: true, force: true }));

function publish(home: DataHome, dataset: StoredDataset, opened = shared) {
  home.owner.putDataset(dataset);
  return home.publish(dataset, opened);
}

beforeEach(() => {
  folder = mkdtempSync(join(tmpdir(), 'seele-owner-'));
  chain = new MemoryChain();
});
afterEach(() => {
  armFailpoints(undefined);
  owner.close();
  rmSync(folder, { recursive: true, force: true });
});

describe('publishing a dataset', () => {
  it('encrypts, commits, records; keeps its secrets sealed; says nothing twice', async () => {
    const home = openHome();
    const keys = [formatEncryptionKey(friend.publicKey)];
    const dataset = datasetOf('ipfs', { recipients: keys });
    const first = await publish(home, dataset);
    if (first.is !== 'recorded') throw new Error('not recorded');
    // The detector keeps it private although it was asked for.
    expect(first.vetoed).toEqual(['patient_id']);
    const { secrets, contentCommitment, publicCid } = first.version;
    expect(secrets.public).toContain('icd10');
    expect(secrets.public).not.toContain('patient_id');
    expect(secrets.complete).toContain('patient_id');
    const { rootCid = '', contentSalt = '' } = secrets;
    expect(secrets.public).not.toContain(rootCid);
    const salt = new Uint8Array(Buffer.from(contentSalt, 'hex'));
    expect(isContentCommitment(contentCommitment ?? '', rootCid, salt)).toBe(true);
    expect(await store.isPinned(publicCid ?? '')).toBe(true);
    const sealed = await openSealed(store, rootCid, [createX25519KeyUnwrap(friend.secret)]);
    if (sealed.kind !== 'folder') throw new Error('not a folder');
    const parts: Buffer[] = [];
    for await (const part of sealed.read('claims.csv')) parts.push(Buffer.from(part));
    expect(Buffer.concat(parts).toString()).toBe(source);

    expect((await publish(home, dataset)).is).toBe('unchanged');
    expect(chain.versions).toHaveLength(1);
    const more = join(folder, 'claims.csv');
    writeFileSync(more, `${source}P-4,C03,1\n`);
    const changed = await openSource(more, home.scratch);
    appendFileSync(more, 'P-5,C03,1\n');
    await expect(publish(home, dataset, changed)).rejects.toMatchObject({ code: 'DATA_CHANGED' });
    writeFileSync(more, `${source}P-4,C03,1\n`);
    expect((await publish(home, dataset, await openSource(more, home.scratch))).is).toBe(
      'recorded',
    );
    expect(chain.versions.map(({ version }) => version)).toEqual(['1.0.0', '1.1.0']);

    const file = join(folder, 'data/owner.sqlite');
    expect(statSync(file).mode & 0o777).toBe(0o600);
    for (const each of [file, `${file}-wal`])
      expect(readFileSync(each).includes(Buffer.from('patient_id'))).toBe(false);
    const other = createRecordSeal(randomness.bytes(32), randomness);
    const stranger = new OwnerStore(join(folder, 'data'), () => other);
    expect(() => stranger.dataset('claims')).toThrow(
      expect.objectContaining({ code: 'DATA_STORE' }),
    );
    stranger.close();
  });

  it('gives each column readers of its own', async () => {
    const home = openHome();
    const key = formatEncryptionKey(friend.publicKey);
    const more = { recipients: [key], columnRecipients: { patient_id: [] } };
    const outcome = await publish(home, datasetOf('ipfs', more, true));
    if (outcome.is !== 'recorded') throw new Error('not recorded');
    const cid = outcome.version.secrets.rootCid ?? '';
    const columnOf = async (secret: Uint8Array, name: string) => {
      const sealed = await openSealed(store, cid, [createX25519KeyUnwrap(new Uint8Array(secret))]);
      if (sealed.kind !== 'folder') throw new Error('not a folder');
      let text = '';
      for await (const part of sealed.read(`columns/${name}.jsonl`))
        text += Buffer.from(part).toString();
      return text;
    };
    const own = encryptionKeyPairFromSeed(seed).secret;
    expect(await columnOf(friend.secret, 'icd10')).toBe('"A01"\n"B02"\n"A01"\n');
    expect(await columnOf(own, 'patient_id')).toBe('"P-1"\n"P-2"\n"P-3"\n');
    await expect(columnOf(friend.secret, 'patient_id')).rejects.toMatchObject({
      code: 'STORAGE_SEALED',
    });
  });

  it.each(['data.prepare.before', 'data.prepare.after', 'data.store.after', 'data.record.after'])(
    'goes on after %s with one version and no more',
    async (point) => {
      const dataset = datasetOf('metadata-only');
      armFailpoints(`${point}=error`);
      await expect(publish(openHome(), dataset)).rejects.toMatchObject({
        code: 'PLATFORM_FAILPOINT',
      });
      armFailpoints(undefined);
      owner.close();
      const home = openHome();
      await publish(home, dataset);
      expect(chain.versions).toHaveLength(1);
      expect(owner.versions(dataset).map(({ state }) => state)).toEqual(['recorded']);
      expect(chain.versions[0]?.completeHash).toBe(owner.latest(dataset)?.completeHash);
    },
  );

  it('proves the public part, or single statements, to whoever has the public directory', async () => {
    const home = openHome();
    const outcome = await publish(home, datasetOf('metadata-only'));
    if (outcome.is !== 'recorded') throw new Error('not recorded');
    const { version } = outcome;
    const whole = checkProof(version.secrets.public, proveVersion(version).bytes);
    expect(whole).toMatchObject({ isWholePublic: true });
    const { bytes } = proveVersion(version, (line) => line.includes('#distinct>'));
    const some = checkProof(version.secrets.public, bytes);
    expect(some.isWholePublic).toBe(false);
    expect(some.lines).toHaveLength(3);
    expect(whole.unproved).toEqual([]);
    const said = version.secrets.public.replace('"Claims"', '"Other claims"');
    const { isWholePublic, unproved } = checkProof(said, proveVersion(version).bytes);
    expect(isWholePublic).toBe(false);
    expect(unproved).toEqual([expect.stringContaining('"Other claims"')]);
    const altered = bytes.slice();
    altered[altered.length - 5] = (altered.at(-5) ?? 0) ^ 1;
    let code = '';
    try {
      checkProof(version.secrets.public, altered);
    } catch (error) {
      code = isSeeleError(error) ? error.code : String(error);
    }
    expect(code).not.toBe('');
  });

  it('keeps a change that comes while another is in work, and one that was in work when it died', () => {
    openHome();
    owner.noticeChange('claims', 1);
    owner.noticeChange('claims', 2);
    const first = owner.takeChange('claims');
    expect(first?.noticedUs).toBe(1);
    owner.noticeChange('claims', 3);
    owner.close();
    openHome();
    expect(owner.takeChange('claims')).toEqual(first);
    owner.settleChange(first?.id ?? 0);
    expect(owner.takeChange('claims')?.noticedUs).toBe(3);
  });
});

describe('the description file', () => {
  it('has the published schema', () => {
    openHome();
    const file = new URL('../../../../schemas/describe.schema.json', import.meta.url);
    expect(JSON.parse(readFileSync(file, 'utf8'))).toEqual(describeFileSchema());
  });

  it('is proposed with everything private, and says why what cannot be public', () => {
    openHome();
    const proposal = proposalOf(
      shared.extracted.profile,
      parseDescribeFile('columns: {nothing: {}}'),
    );
    expect(proposal.unknownColumns).toEqual(['nothing']);
    expect(proposal.columns.map(({ visibility }) => visibility)).toEqual(Array(3).fill('private'));
    expect(proposal.columns[0]?.veto).toBe('person-id by its name');
    const draft = draftDescribeFile('claims', proposal);
    const read = parseDescribeFile(draft);
    expect(Object.keys(read.columns ?? {})).toEqual(['icd10', 'amount']);
  });

  it.each([
    ['a: &a [*a]', 'is not YAML'],
    ['title: [', 'is not YAML'],
    ['titel: x', 'nothing called "titel" is known here'],
    ['publish: [everything]', 'publish.0: "everything" where is wanted: one of keywords'],
    ['offer: {price: -1}', 'offer.price: -1 where is wanted'],
    ['offer: {price: "12,5"}', 'offer.price: "12,5" where is wanted: a number'],
    ['- 1', 'the file: [1] where is wanted'],
  ])('refuses %j, naming file, place and what stands there', (text, words) => {
    openHome();
    const message = expect.stringMatching(/^claims\.yaml/);
    const refused = expect.objectContaining({ code: 'DATA_DESCRIPTION', message }) as Error;
    expect(() => parseDescribeFile(text, 'claims.yaml')).toThrow(refused);
    expect(() => parseDescribeFile(text, 'claims.yaml')).toThrow(words);
  });
});

describe('grants', () => {
  const body = {
    ...{ id: 'ab'.repeat(16), path: 'data/claims', reader: 'cd'.repeat(32), purpose: 'research' },
    ...{ uses: 3, untilUs: 1_000, epoch: 2 },
  };
  const use = {
    owner: signer.account,
    path: 'data/claims',
    reader: body.reader,
    epoch: 2,
    nowUs: 999,
  };

  it('allow what they say, and nothing else', () => {
    openHome();
    const grant = readGrant(signGrant(signer, body));
    expect(() => checkGrant(grant, use)).not.toThrow();
    for (const other of [
      { owner: 'ee'.repeat(32) },
      { path: 'data/other' },
      { reader: 'ee'.repeat(32) },
      { epoch: 3 },
      { nowUs: 1_001 },
    ])
      expect(() => checkGrant(grant, { ...use, ...other })).toThrow(
        expect.objectContaining({ code: 'DATA_GRANT' }),
      );
  });

  it('count each use once, over a restart too', () => {
    openHome();
    expect(['a', 'b', 'a', 'c', 'b'].map((id) => owner.useGrant('g', id, 2, 1))).toEqual([
      ...[true, true, true, false, true],
    ]);
    owner.close();
    openHome();
    expect([
      owner.useGrant('g', 'c', 2, 1),
      owner.useGrant('g', 'a', 2, 1),
      owner.usesOf('g'),
    ]).toEqual([false, true, 2]);
  });

  it('that were altered, or are any bytes, are refused', () => {
    openHome();
    const text = signGrant(signer, body);
    const bytes = Buffer.from(text.slice('seele-grant:'.length), 'base64url');
    const refused = (given: string) =>
      expect(() => readGrant(given)).toThrow(expect.objectContaining({ code: 'DATA_GRANT' }));
    fc.assert(
      fc.property(fc.nat(bytes.length - 1), fc.integer({ min: 1, max: 255 }), (at, change) => {
        const altered = Buffer.from(bytes);
        altered[at] = (altered[at] ?? 0) ^ change;
        refused(`seele-grant:${altered.toString('base64url')}`);
      }),
      { numRuns: 40 },
    );
    fc.assert(
      fc.property(fc.string(), (any) => refused(`seele-grant:${any}`)),
      { numRuns: 30 },
    );
    refused(Buffer.from(utf8('x')).toString());
  });
});
