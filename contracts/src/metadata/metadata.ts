/**
 * Contract `metadata`: versions of datasets' public directories. A version commits to the whole
 * directory that its owner keeps, never changes and stays for ever; what may change later is who reads
 * it (the roll-out) and where the owner serves the data itself.
 *
 * State: `dataset/<owner, 32 bytes><path>` → `datasetRecord`;
 * `version/<owner><path>\0<sequence, 4 bytes big-endian>` → `versionRecord`, a dataset's in order;
 * `content/<owner><canonical hash of the complete directory>` → `contentRecord`.
 */
import {
  type AccountId,
  type Bytes,
  type CodecValue,
  bool,
  byteString,
  cid,
  concatBytes,
  hash32,
  optional,
  record,
  text,
  uint,
  utf8,
  variant,
} from '#libs/kernel';
import { type Context, type SystemContract, defineMethod } from '#libs/ledger';
import { isDataPath } from '#libs/vtp';
import {
  callBuilders,
  defineEvent,
  done,
  emit,
  readValue,
  storageKey,
  writeValue,
} from '../contract-kit.ts';
import { demand } from '../errors.ts';
import { type RolloutStep, isRollout, mergeRollout, rolloutSteps } from './rollout.ts';

export const METADATA_CONTRACT = 'metadata';
/** Longest path of a dataset below its owner, in bytes: it is part of a state key. */
export const DATASET_PATH_MAX = 160;
/** Largest public directory that stands on the chain itself; larger ones go by content identifier. */
export const INLINE_DOCUMENT_MAX_BYTES = 24 * 1024;
const VERSION_NAME_MAX = 64;
const ENDPOINT_MAX = 512;
const SEQUENCE_MAX = 0xffff_ffff;
const QUADS_MAX = 65_536;

const datasetPath = text(DATASET_PATH_MAX);
const sequenceNumber = uint(SEQUENCE_MAX);

/** The public directory as canonical N-Quads: on the chain, or by content identifier. */
export const directoryDocument = variant({
  inline: record({ bytes: byteString(INLINE_DOCUMENT_MAX_BYTES) }),
  stored: record({ cid }),
});
export type DirectoryDocument = CodecValue<typeof directoryDocument>;

const versionFields = {
  /** The version's name as its directory says it (`dcat:version`); of this dataset only once. */
  version: text(VERSION_NAME_MAX),
  document: directoryDocument,
  /** SHA-256 of the document's canonical text. */
  publicHash: hash32,
  /** `mdds:canonicalHash` of the complete directory: the same content is recorded once. */
  completeHash: hash32,
  /** `mdds:quadMerkleRoot` and `mdds:quadCount` of the complete directory. */
  quadRoot: hash32,
  quadCount: uint(QUADS_MAX),
  /** Hash over domain, salt and root CID of the encrypted data, when it lies in storage. */
  contentCommitment: optional(hash32),
} as const;

export const versionRecord = record({
  owner: hash32,
  path: datasetPath,
  /** 1 for the first version of a dataset, one more for each later one. */
  sequence: sequenceNumber,
  ...versionFields,
  /** Empty: every reader takes it. */
  rollout: rolloutSteps,
  /** The version that the other readers keep. */
  fallback: optional(sequenceNumber),
  height: uint(),
  timeUs: uint(),
});
export type VersionRecord = CodecValue<typeof versionRecord>;

export const datasetRecord = record({
  owner: hash32,
  path: datasetPath,
  /** Sequence of the newest version. */
  latest: sequenceNumber,
  /** Where the owner serves the data to holders of a grant; absent when it lies in storage only. */
  endpoint: optional(text(ENDPOINT_MAX)),
  /** Grants that name a lower number are void. */
  grantEpoch: uint(SEQUENCE_MAX),
  /** The owner offers it no more; its versions stay readable. */
  withdrawn: bool,
});
export type DatasetRecord = CodecValue<typeof datasetRecord>;

export const contentRecord = record({ path: datasetPath, sequence: sequenceNumber });

function sequenceBytes(sequence: number): Bytes {
  const bytes = new Uint8Array(4);
  new DataView(bytes.buffer).setUint32(0, sequence);
  return bytes;
}

const versionsOf = (owner: AccountId, path: string): Bytes =>
  concatBytes(storageKey('version/', owner), utf8(`${path}\0`));

export const metadataKeys = {
  /** → `datasetRecord` */
  dataset: (owner: AccountId, path: string): Bytes =>
    concatBytes(storageKey('dataset/', owner), utf8(path)),
  datasetsOf: (owner: AccountId): Bytes => storageKey('dataset/', owner),
  datasets: utf8('dataset/'),
  /** → `versionRecord` */
  version: (owner: AccountId, path: string, sequence: number): Bytes =>
    concatBytes(versionsOf(owner, path), sequenceBytes(sequence)),
  /** Prefix of a dataset's versions, in order. */
  versionsOf,
  versions: utf8('version/'),
  /** → `contentRecord` */
  content: (owner: AccountId, completeHash: string): Bytes =>
    storageKey('content/', owner, completeHash),
};

const versionEvent = record({ owner: hash32, path: datasetPath, sequence: sequenceNumber });
const datasetEvent = record({ owner: hash32, path: datasetPath });

export const metadataEvents = {
  recorded: defineEvent(METADATA_CONTRACT, 'recorded', versionEvent),
  rolledOut: defineEvent(METADATA_CONTRACT, 'rolledOut', versionEvent),
  /** Endpoint, grants or offering changed. */
  changed: defineEvent(METADATA_CONTRACT, 'changed', datasetEvent),
};

function readVersion(context: Context, path: string, sequence: number): VersionRecord | undefined {
  return readValue(
    context.storage,
    metadataKeys.version(context.caller, path, sequence),
    versionRecord,
  );
}

function ownDataset(context: Context, path: string): DatasetRecord {
  return (
    readValue(context.storage, metadataKeys.dataset(context.caller, path), datasetRecord) ??
    context.revert(
      'METADATA_UNKNOWN',
      `${context.caller} has no dataset ${JSON.stringify(path.slice(0, 80))}`,
    )
  );
}

function writeDataset(context: Context, dataset: DatasetRecord): void {
  const key = metadataKeys.dataset(dataset.owner, dataset.path);
  writeValue(context.storage, key, datasetRecord, dataset);
}

function writeVersion(context: Context, version: VersionRecord): void {
  const { owner, path, sequence } = version;
  const key = metadataKeys.version(owner, path, sequence);
  writeValue(context.storage, key, versionRecord, version);
}

/** A roll-out that leaves readers out names an earlier version for them. */
function checkRollout(
  context: Context,
  { path, sequence }: { readonly path: string; readonly sequence: number },
  steps: readonly RolloutStep[],
  fallback: number | undefined,
): void {
  demand(context, isRollout(steps), 'METADATA_ROLLOUT', 'heights do not rise, or over 100 percent');
  const partial = steps.length > 0;
  demand(
    context,
    !partial || fallback !== undefined || steps.every(({ percent }) => percent === 100),
    'METADATA_ROLLOUT',
    'readers that are left out have no version: name a fallback',
  );
  demand(
    context,
    fallback === undefined ||
      (fallback < sequence && readVersion(context, path, fallback) !== undefined),
    'METADATA_ROLLOUT',
    `version ${fallback} is no earlier version of the dataset`,
  );
}

const methods = {
  /**
   * Anyone, for a dataset of its own: records a version. `recorded` is false when this very content
   * of this dataset stands there already; `sequence` is then the one it has.
   */
  record: defineMethod({
    name: 'record',
    args: record({
      path: datasetPath,
      /** The newest sequence that the caller knows of, 0 for a new dataset. */
      after: sequenceNumber,
      ...versionFields,
      rollout: rolloutSteps,
      fallback: optional(sequenceNumber),
    }),
    returns: record({ sequence: sequenceNumber, recorded: bool }),
    run(context, { after, ...given }) {
      const owner = context.caller;
      const { path, completeHash, rollout, fallback } = given;
      const shown = JSON.stringify(path.slice(0, 80));
      demand(context, isDataPath(path), 'METADATA_PATH', `${shown} is no path of a UAI`);
      const contentKey = metadataKeys.content(owner, completeHash);
      const there = readValue(context.storage, contentKey, contentRecord);
      if (there) {
        demand(
          context,
          there.path === path,
          'METADATA_CONTENT_TAKEN',
          `the same directory is version ${there.sequence} of ${JSON.stringify(there.path)}`,
        );
        return { sequence: there.sequence, recorded: false };
      }
      const key = metadataKeys.dataset(owner, path);
      const before = readValue(context.storage, key, datasetRecord);
      const latest = before?.latest ?? 0;
      demand(
        context,
        after === latest,
        'METADATA_SEQUENCE',
        `the newest version is ${latest}, not ${after}`,
      );
      const previous = latest === 0 ? undefined : readVersion(context, path, latest);
      demand(
        context,
        previous?.version !== given.version,
        'METADATA_VERSION_NAME',
        `version ${latest} is called ${JSON.stringify(given.version)} too`,
      );
      const sequence = latest + 1;
      checkRollout(context, { path, sequence }, rollout, fallback);
      const { height, timeUs } = context.block;
      writeVersion(context, { owner, ...given, sequence, height, timeUs });
      writeValue(context.storage, contentKey, contentRecord, { path, sequence });
      writeDataset(context, {
        ...(before ?? { owner, path, grantEpoch: 0 }),
        latest: sequence,
        withdrawn: false,
      });
      emit(context, metadataEvents.recorded, { owner, path, sequence });
      return { sequence, recorded: true };
    },
  }),
  /** The owner: says who takes a version from which heights on. Steps that are reached stay. */
  rollOut: defineMethod({
    name: 'rollOut',
    args: record({
      path: datasetPath,
      sequence: sequenceNumber,
      rollout: rolloutSteps,
      fallback: optional(sequenceNumber),
    }),
    returns: done,
    run(context, { path, sequence, rollout, fallback: given }) {
      ownDataset(context, path);
      const version =
        readVersion(context, path, sequence) ??
        context.revert('METADATA_UNKNOWN', `there is no version ${sequence}`);
      const fallback = given ?? version.fallback;
      const steps = mergeRollout(version.rollout, rollout, context.block.height);
      demand(
        context,
        steps !== undefined,
        'METADATA_ROLLOUT',
        `steps begin after block ${context.block.height} and fit together with those reached`,
      );
      checkRollout(context, version, steps, fallback);
      writeVersion(context, {
        ...version,
        rollout: steps,
        ...(fallback !== undefined && { fallback }),
      });
      emit(context, metadataEvents.rolledOut, { owner: context.caller, path, sequence });
      return {};
    },
  }),
  /** The owner: where it serves the data, or that it does so no more. */
  serveAt: defineMethod({
    name: 'serveAt',
    args: record({ path: datasetPath, endpoint: optional(text(ENDPOINT_MAX)) }),
    returns: done,
    run(context, { path, endpoint }) {
      const { endpoint: _before, ...dataset } = ownDataset(context, path);
      demand(
        context,
        endpoint === undefined || /^(?:https?|chain):\/\/[^\s@]+$/.test(endpoint),
        'METADATA_ENDPOINT',
        'an endpoint is an http, https or chain URL without a user',
      );
      writeDataset(context, { ...dataset, ...(endpoint !== undefined && { endpoint }) });
      emit(context, metadataEvents.changed, { owner: context.caller, path });
      return {};
    },
  }),
  /** The owner: voids every grant given so far. */
  revokeGrants: defineMethod({
    name: 'revokeGrants',
    args: record({ path: datasetPath }),
    returns: record({ grantEpoch: uint(SEQUENCE_MAX) }),
    run(context, { path }) {
      const dataset = ownDataset(context, path);
      const grantEpoch = dataset.grantEpoch + 1;
      writeDataset(context, { ...dataset, grantEpoch });
      emit(context, metadataEvents.changed, { owner: context.caller, path });
      return { grantEpoch };
    },
  }),
  /** The owner: offers the dataset no more, or again. */
  withdraw: defineMethod({
    name: 'withdraw',
    args: record({ path: datasetPath, withdrawn: bool }),
    returns: done,
    run(context, { path, withdrawn }) {
      writeDataset(context, { ...ownDataset(context, path), withdrawn });
      emit(context, metadataEvents.changed, { owner: context.caller, path });
      return {};
    },
  }),
};

export const metadataMethods = methods;
export const metadataCalls = callBuilders(METADATA_CONTRACT, methods);
export const metadataContract: SystemContract = { name: METADATA_CONTRACT, methods };
