/**
 * Datasets as inputs of jobs. What a UAI names is pinned to a version that the chain has, read with the
 * consumer's own key or grant, and compared with what the chain committed to. A job reads it in clear, so
 * the file has to say that its provider may.
 */
import { createReadStream, existsSync } from 'node:fs';
import { rename, rm } from 'node:fs/promises';
import { createWriteStream } from 'node:fs';
import { join } from 'node:path';
import { Readable } from 'node:stream';
import { pipeline } from 'node:stream/promises';
import { METADATA_CONTRACT, datasetRecord, metadataKeys, versionRecord } from '#contracts';
import { type Signer, sha256Hex } from '#libs/crypto';
import { type OwnerStore, type StoredDataset, fetchData, readGrant } from '#libs/data';
import { type Bytes, decodeWith, hexToBytes, utf8, utf8Decode } from '#libs/kernel';
import { makeDirectory } from '#libs/platform';
import type { NodeClient, UaiSource } from '#libs/sdk';
import {
  type BlobStore,
  contentCommitment,
  createX25519KeyUnwrap,
  openSealed,
} from '#libs/storage';
import { type Uai, parseUai } from '#libs/vtp';

const INPUT_MAX_BYTES = 2 ** 40;

type Fail = (what: string) => Error;

export interface DatasetReaderOptions {
  readonly node: NodeClient;
  readonly store: BlobStore;
  readonly signer: Signer;
  /** Secret half of the consumer's encryption key. */
  readonly secret: Bytes;
  readonly openOwner: () => OwnerStore;
  /** Where data that was fetched with a grant is kept, so that a use is used once. */
  readonly folder: string;
  /** Reads a file that the job file names. */
  readonly readFile: (path: string, fail: Fail) => Bytes;
  readonly signal: AbortSignal;
}

/** A version of a dataset, to be read in clear. */
export interface PinnedDataset {
  /** `UAI version`, for people. */
  readonly pinned: string;
  open(): Promise<AsyncIterable<Uint8Array>>;
}

export type DatasetReader = (source: UaiSource, fail: Fail) => Promise<PinnedDataset>;

interface Named {
  readonly owner: string;
  readonly path: string;
}

/** @throws what `fail` makes of it */
export async function namedByUai(
  node: Pick<NodeClient, 'genesis'>,
  text: string,
  fail: Fail,
): Promise<Named> {
  let uai: Uai;
  try {
    uai = parseUai(text);
  } catch (error) {
    throw fail((error as Error).message);
  }
  const { chainName } = await node.genesis();
  if (uai.chain.join('.') !== chainName) throw fail(`${text} is not on this chain, ${chainName}`);
  if (uai.account?.kind !== 'id' || uai.data.length === 0)
    throw fail(`${text} names no data of an account: chain://…/<account id>/data/<name>`);
  return { owner: uai.account.id, path: uai.data.join('/') };
}

export function createDatasetReader(options: DatasetReaderOptions): DatasetReader {
  const { node } = options;
  return async (source, fail) => {
    const named = await namedByUai(node, source.uai, fail);
    const { owner, path } = named;
    const found = await node.state(METADATA_CONTRACT, metadataKeys.dataset(owner, path));
    if (!found) throw fail(`the chain has no dataset ${source.uai}`);
    const dataset = decodeWith(datasetRecord, found);
    if (dataset.withdrawn) throw fail(`${source.uai} was withdrawn by its owner`);
    if (source.disclose !== 'provider')
      throw fail(
        `${source.uai} is encrypted for its readers. A job reads it in clear, and so does whoever runs it: say {uai: …, disclose: provider} if that may be, and where it may run by tier or placement`,
      );
    return source.grant === undefined
      ? ownDataset(options, named, source, fail)
      : grantedDataset(options, named, dataset.latest, { ...source, grant: source.grant }, fail);
  };
}

/** The account's own: its key is among the readers, and this home knows where the content lies. */
async function ownDataset(
  options: DatasetReaderOptions,
  { owner: account, path: dataPath }: Named,
  { uai, version: wanted, path }: UaiSource,
  fail: Fail,
): Promise<PinnedDataset> {
  const { store, node, secret, signal } = options;
  const owner = options.openOwner();
  try {
    const known = owner.datasets().find((one) => one.uai === uai || one.path === dataPath);
    if (!known || account !== options.signer.account)
      throw fail(`${uai} is not yours here: name the grant of its owner, {uai: …, grant: FILE}`);
    const dataset: StoredDataset = owner.dataset(known.name);
    const versions = owner.versions(dataset).filter(({ state }) => state === 'recorded');
    const version = wanted
      ? versions.find((one) => one.version === wanted)
      : versions.toSorted((a, b) => b.sequence - a.sequence)[0];
    if (!version) throw fail(`${uai} has no recorded version ${wanted ?? ''}`.trim());
    const { rootCid, contentSalt } = version.secrets;
    if (rootCid === undefined || contentSalt === undefined)
      throw fail(
        `${uai} stays with you and is not in storage: name the file ${dataset.settings.source} itself`,
      );
    const key = metadataKeys.version(account, dataPath, version.sequence);
    const record = await node.state(METADATA_CONTRACT, key);
    const committed = record && decodeWith(versionRecord, record).contentCommitment;
    const salt = hexToBytes(contentSalt) ?? new Uint8Array();
    if (committed === undefined || committed !== contentCommitment(rootCid, salt))
      throw fail(`${uai} ${version.version}: the chain committed to other content`);
    const sealed = await openSealed(store, rootCid, [createX25519KeyUnwrap(secret)], { signal });
    const limits = { maxBytes: INPUT_MAX_BYTES, signal };
    const pinned = `${uai} ${version.version}`;
    if (sealed.kind === 'blob') return { pinned, open: async () => sealed.read(limits) };
    const names = sealed.files.map((file) => file.path);
    const file = path ?? (names.length === 1 ? names[0] : undefined);
    if (file === undefined || !names.includes(file))
      throw fail(`${uai} is a folder (${names.slice(0, 5).join(', ')}…): say {uai: …, path: FILE}`);
    return { pinned, open: async () => sealed.read(file, limits) };
  } finally {
    owner.close();
  }
}

/** Another's: fetched from where the chain says it is served, once for each grant and file. */
async function grantedDataset(
  options: DatasetReaderOptions,
  { owner, path: dataPath }: Named,
  latest: number,
  { uai, grant: grantFile, path }: UaiSource & { readonly grant: string },
  fail: Fail,
): Promise<PinnedDataset> {
  const { node, signer, signal, folder } = options;
  const grant = utf8Decode(options.readFile(grantFile, fail)).trim();
  const stated = readGrant(grant);
  if (stated.owner !== owner || stated.path !== dataPath)
    throw fail(`the grant ${grantFile} is for ${stated.path} of another dataset`);
  const name = sha256Hex(utf8(JSON.stringify([grant, path ?? '', latest])));
  const local = join(folder, name);
  if (!existsSync(local)) {
    makeDirectory(folder, 0o700);
    const use = name.slice(0, 32);
    const file = path === undefined ? {} : { file: path };
    const fetched = await fetchData({ node, signer, grant, use, signal, ...file });
    const beside = `${local}.part`;
    try {
      await pipeline(Readable.from(fetched.body), createWriteStream(beside, { mode: 0o600 }));
      await rename(beside, local);
    } catch (error) {
      await rm(beside, { force: true });
      throw error;
    }
  }
  return {
    pinned: `${uai} as its version ${latest} was served`,
    open: async () => createReadStream(local, { highWaterMark: 2 ** 20 }),
  };
}
