/** Everything an owner's command needs, put together: store, keys, shapes, chain, storage. */
import { existsSync, readFileSync } from 'node:fs';
import { dirname, join } from 'node:path';
import type { Signer } from '#libs/crypto';
import type { Bytes } from '#libs/kernel';
import { type ShapeValidator, createShapeValidator, readRdf } from '#libs/mdds';
import { createSystemClock, createSystemRandomness } from '#libs/platform';
import {
  type BlobStore,
  type KeyWrap,
  createX25519KeyWrap,
  encryptionKeyPairFromSeed,
  formatEncryptionKey,
  parseEncryptionKey,
} from '#libs/storage';
import { formatUai } from '#libs/vtp';
import { dataError } from '../errors.ts';
import type { OpenedSource } from '../extract/open-source.ts';
import {
  type DatasetSettings,
  type OwnerStore,
  type StoredDataset,
  isDatasetName,
} from './owner-store.ts';
import { type PublishOutcome, type Publisher, publish, resume } from './publish.ts';
import type { Rollout, VersionRecorder } from './version-recorder.ts';

/** The account that publishes. */
export interface OwnerAccount {
  /** Name in this home. */
  readonly name: string;
  readonly seed: Bytes;
  readonly signer: Signer;
}

export interface DataHomeOptions {
  readonly owner: OwnerStore;
  readonly account: OwnerAccount;
  readonly recorder: VersionRecorder;
  readonly store?: BlobStore;
  /** Folder for copies of databases while they are read. */
  readonly scratch: string;
}

const SHAPES_FILE = 'schemas/shapes.ttl';

/** The shapes that every published directory conforms to. */
export function readShapes(): ShapeValidator {
  let at = import.meta.dirname;
  while (!existsSync(join(at, SHAPES_FILE)) && dirname(at) !== at) at = dirname(at);
  const shapes = readFileSync(join(at, SHAPES_FILE), 'utf8');
  return createShapeValidator(readRdf(shapes, { format: 'turtle' }));
}

/** The UAI of a dataset of an account. @throws DATA_DESCRIPTION for a name that is none */
export function datasetUai(chainName: string, account: string, name: string): string {
  if (!isDatasetName(name))
    throw dataError(
      'DATA_DESCRIPTION',
      `"${name}" is no name of a dataset: lower-case letters, digits, dots, dashes, 64 at most`,
    );
  return formatUai({
    chain: chainName.split('.'),
    account: { kind: 'id', id: account },
    data: ['data', name],
    query: [],
  });
}

export const datasetPath = (name: string): string => `data/${name}`;

export class DataHome {
  readonly owner: OwnerStore;
  readonly recorder: VersionRecorder;
  readonly #options: DataHomeOptions;
  readonly #randomness = createSystemRandomness();
  readonly #clock = createSystemClock();
  #validator: ShapeValidator | undefined;

  constructor(options: DataHomeOptions) {
    this.#options = options;
    this.owner = options.owner;
    this.recorder = options.recorder;
  }

  get scratch(): string {
    return this.#options.scratch;
  }

  /** The owner's own key is always among the readers. */
  #wraps(keys: readonly string[] = []): readonly KeyWrap[] {
    const own = encryptionKeyPairFromSeed(this.#options.account.seed).publicKey;
    const all = new Set([formatEncryptionKey(own), ...keys]);
    return [...all].map((key) => createX25519KeyWrap(parseEncryptionKey(key), this.#randomness));
  }

  #publisher({ say }: DatasetSettings): Publisher {
    this.#validator ??= readShapes();
    const { store } = this.#options;
    return {
      ...{ owner: this.owner, recorder: this.recorder, validator: this.#validator },
      ...{ randomness: this.#randomness, clock: this.#clock },
      ...(store && { store }),
      recipients: this.#wraps(say.recipients),
      columnRecipients: new Map(
        Object.entries(say.columnRecipients ?? {}).map(([name, keys]) => [name, this.#wraps(keys)]),
      ),
    };
  }

  /** Publishes a version of what the source is now, if it says something new. */
  async publish(
    dataset: StoredDataset,
    opened: OpenedSource,
    more: { readonly rollout?: Rollout; readonly noticedUs?: number } = {},
  ): Promise<PublishOutcome> {
    const publisherIri = dataset.uai.slice(0, -(dataset.path.length + 1));
    return publish(this.#publisher(dataset.settings), {
      ...{ dataset, opened, publisherIri, ...more },
    });
  }

  /** Finishes a version that was begun and not recorded. */
  resume(dataset: StoredDataset): Promise<void> {
    return resume(this.#publisher(dataset.settings), dataset);
  }
}
