/**
 * From a source to a recorded version. Three steps, each durable before the next: prepared (all of the
 * version with its secrets is in the owner's store), stored (content pinned, document in storage),
 * recorded (the chain has it). Whatever dies when, the next run goes on with the very same version:
 * the chain knows it by the hash of its complete directory.
 */
import type { Clock, Randomness } from '#libs/kernel';
import { bytesToHex, utf8 } from '#libs/kernel';
import {
  type DescribedDataset,
  SECRET_BYTES,
  type ShapeValidator,
  canonicalLines,
  describeDataset,
  hashOfLines,
} from '#libs/mdds';
import { declareFailpoints, failpoint } from '#libs/platform';
import { type BlobStore, type KeyWrap, SEALED_CHUNK_BYTES, contentCommitment } from '#libs/storage';
import { type DescribeInput, type StoredAs, describeSource } from '../describe/describe-source.ts';
import { dataError } from '../errors.ts';
import type { OpenedSource } from '../extract/open-source.ts';
import type { OwnerStore, StoredDataset, StoredVersion } from './owner-store.ts';
import { sealContent } from './seal-content.ts';
import type { Rollout, VersionRecorder, VersionToRecord } from './version-recorder.ts';

export interface Publisher {
  readonly owner: OwnerStore;
  readonly recorder: VersionRecorder;
  readonly validator: ShapeValidator;
  readonly randomness: Randomness;
  readonly clock: Clock;
  /** Needed for what is encrypted and stored, and for documents that are too large for the chain. */
  readonly store?: BlobStore;
  readonly recipients: readonly KeyWrap[];
  readonly columnRecipients: ReadonlyMap<string, readonly KeyWrap[]>;
}

export interface PublishRequest {
  readonly dataset: StoredDataset;
  readonly opened: OpenedSource;
  readonly publisherIri: string;
  readonly rollout?: Rollout;
  readonly noticedUs?: number;
}

export type PublishOutcome =
  | { readonly is: 'unchanged'; readonly latest: StoredVersion }
  | {
      readonly is: 'recorded';
      readonly version: StoredVersion;
      readonly vetoed: readonly string[];
    };

/** Public directories up to so many bytes stand on the chain itself when nothing is stored anyway. */
const INLINE_BYTES_MAX = 24 * 1024;
const CONTENT_SALT_BYTES = 32;
const DRAFT_SECRET = new Uint8Array(SECRET_BYTES);
const DRAFT = { version: 'draft', modified: '2000-01-01T00:00:00Z' } as const;

declareFailpoints(
  'data.prepare.before',
  'data.prepare.after',
  'data.store.after',
  'data.record.after',
);

const textOfLines = (lines: readonly string[]) => lines.map((line) => `${line}\n`).join('');

const inputOf = ({ dataset, opened, publisherIri }: PublishRequest): DescribeInput => ({
  identity: { uai: dataset.uai, publisherIri, name: dataset.name },
  profile: opened.extracted.profile,
  source: opened.iri,
  say: dataset.settings.say,
});

/** Hash of what would be said, without what every version says anew: equal when nothing changed. */
async function draftHashOf(request: PublishRequest): Promise<string> {
  const { mode, perColumn } = request.dataset.settings;
  const input = { ...inputOf(request), source: `urn:seele:${mode}:${perColumn}` };
  const draft = describeSource(input, { ...DRAFT, storedAs: { mechanism: 'local-file' } });
  return (await describeDataset(draft, DRAFT_SECRET)).canonicalHash;
}

export async function publish(
  publisher: Publisher,
  request: PublishRequest,
): Promise<PublishOutcome> {
  const { owner } = publisher;
  const { dataset } = request;
  await resume(publisher, dataset);
  const latest = owner.latest(dataset);
  const draftHash = await draftHashOf(request);
  if (latest?.draftHash === draftHash) return { is: 'unchanged', latest };
  const { version, vetoed } = await prepare(publisher, request, draftHash, latest);
  failpoint('data.prepare.before');
  owner.addVersion(dataset, version);
  failpoint('data.prepare.after');
  return { is: 'recorded', version: await carryOn(publisher, dataset, version), vetoed };
}

/** Finishes a version that was begun. */
export async function resume(publisher: Publisher, dataset: StoredDataset): Promise<void> {
  const latest = publisher.owner.latest(dataset);
  if (latest !== undefined && latest.state !== 'recorded')
    await carryOn(publisher, dataset, latest);
}

async function storedAs(
  publisher: Publisher,
  { dataset, opened }: PublishRequest,
  version: string,
): Promise<{ readonly as: StoredAs; readonly salt?: string }> {
  const { mode, perColumn } = dataset.settings;
  if (mode === 'metadata-only') return { as: { mechanism: 'on-chain-metadata-only' } };
  const { store, randomness, recipients, columnRecipients } = publisher;
  if (store === undefined) throw dataError('DATA_SOURCE', 'there is no storage to put it into');
  const rootCid = await sealContent(opened, {
    ...{ store, randomness, recipients, columnRecipients, perColumn },
    context: `${dataset.uai}@${version}`,
  });
  const salt = randomness.bytes(CONTENT_SALT_BYTES);
  const directoryRootHash = contentCommitment(rootCid, salt);
  const encryption = { keyWrap: 'x25519', chunkSizeBytes: SEALED_CHUNK_BYTES } as const;
  return {
    as: { mechanism: 'ipfs', encryption, directoryRootHash, rootCid },
    salt: bytesToHex(salt),
  };
}

async function prepare(
  publisher: Publisher,
  request: PublishRequest,
  draftHash: string,
  latest: StoredVersion | undefined,
): Promise<{ readonly version: StoredVersion; readonly vetoed: readonly string[] }> {
  const { validator, randomness, clock } = publisher;
  const { dataset, rollout = { rollout: [] }, noticedUs } = request;
  const sequence = (latest?.sequence ?? 0) + 1;
  const version = `1.${sequence - 1}.0`;
  const nowUs = clock.nowUs();
  const now = new Date(nowUs / 1000).toISOString();
  const { as, salt } = await storedAs(publisher, request, version);
  const directoryOf = (name: string) => `${dataset.uai}/directories/${name}/public`;
  const description = describeSource(inputOf(request), {
    ...{ version, modified: now, endedAt: now, storedAs: as },
    ...(latest && { previousVersion: directoryOf(latest.version) }),
  });
  const secret = randomness.bytes(SECRET_BYTES);
  const described: DescribedDataset = await describeDataset(description, secret);
  await validator.demand(described.public);
  const [lines, complete] = await Promise.all([
    canonicalLines(described.public),
    canonicalLines(described.complete),
  ]);
  const { root, size } = described.committed.commitment;
  return {
    vetoed: described.vetoed,
    version: {
      ...{ sequence, version, draftHash, state: 'prepared', noticedUs: noticedUs ?? nowUs },
      publicHash: hashOfLines(lines),
      completeHash: described.canonicalHash,
      quadRoot: root,
      quadCount: size,
      rollout: rollout.rollout,
      ...(rollout.fallback !== undefined && { fallback: rollout.fallback }),
      ...(as.directoryRootHash !== undefined && { contentCommitment: as.directoryRootHash }),
      secrets: {
        complete: textOfLines(complete),
        public: textOfLines(lines),
        secret: bytesToHex(secret),
        ...(as.rootCid !== undefined && { rootCid: as.rootCid }),
        ...(salt !== undefined && { contentSalt: salt }),
      },
    },
  };
}

/** From whatever state a version is in to recorded. */
async function carryOn(
  publisher: Publisher,
  dataset: StoredDataset,
  given: StoredVersion,
): Promise<StoredVersion> {
  const { owner, store, recorder, clock } = publisher;
  const { secrets } = given;
  let version: StoredVersion = given;
  const document = utf8(secrets.public);
  const isInline = dataset.settings.mode === 'metadata-only' && document.length <= INLINE_BYTES_MAX;
  if (version.state === 'prepared') {
    if (store === undefined && (!isInline || secrets.rootCid !== undefined))
      throw dataError('DATA_SOURCE', 'there is no storage to put the directory into');
    if (secrets.rootCid !== undefined) await store?.pin(secrets.rootCid);
    const publicCid = isInline ? undefined : (await store?.put(document))?.cid;
    const more = publicCid === undefined ? {} : { publicCid };
    owner.advance(dataset, version, 'stored', more);
    version = { ...version, ...more, state: 'stored', secrets };
    failpoint('data.store.after');
  }
  if (version.state === 'stored') {
    const { height } = await recorder.record(toRecord(dataset, version, document));
    failpoint('data.record.after');
    const more = { height, recordedUs: clock.nowUs() };
    owner.advance(dataset, version, 'recorded', more);
    version = { ...version, ...more, state: 'recorded', secrets };
  }
  return version;
}

function toRecord(
  { path }: StoredDataset,
  { sequence, version, publicHash, completeHash, quadRoot, quadCount, ...rest }: StoredVersion,
  document: Uint8Array,
): VersionToRecord {
  const { publicCid, contentCommitment: commitment, rollout, fallback } = rest;
  return {
    ...{ path, sequence, version, publicHash, completeHash, quadRoot, quadCount, rollout },
    document:
      publicCid === undefined
        ? { kind: 'inline', bytes: document }
        : { kind: 'stored', cid: publicCid },
    ...(commitment !== undefined && { contentCommitment: commitment }),
    ...(fallback !== undefined && { fallback }),
  };
}
