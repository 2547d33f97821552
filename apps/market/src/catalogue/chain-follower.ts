/**
 * Fills the catalogue from the chain: first everything that contract `metadata` holds, then what each
 * final block changed. It reads the chain's records anew whenever an event names them, so an event seen
 * twice, or a restart anywhere in between, changes nothing.
 */
import { setTimeout as sleep } from 'node:timers/promises';
import {
  METADATA_CONTRACT,
  NAMES_CONTRACT,
  datasetRecord,
  metadataEvents,
  metadataKeys,
  nameRecord,
  namesKeys,
  readEvent,
  versionRecord,
} from '#contracts';
import { type Bytes, concatBytes, decodeWith } from '#libs/kernel';
import { decodeReceipt } from '#libs/ledger';
import { MDDS_LIMITS, type ShapeValidator } from '#libs/mdds';
import type { NodeClient } from '#libs/platform';
import type { BlobStore } from '#libs/storage';
import { type AdmissionParts, admitVersion, uaiOf } from './admit-version.ts';
import type { CatalogueWriter, MissingDocument } from './catalogue-writer.ts';

export interface FollowerParts {
  readonly node: Pick<NodeClient, 'status' | 'genesis' | 'state' | 'scan' | 'blocks'>;
  readonly blobs: Pick<BlobStore, 'get'>;
  readonly writer: CatalogueWriter;
  readonly shapes: ShapeValidator;
  readonly nowMs: () => number;
  readonly onNote: (note: Readonly<Record<string, unknown>>, text: string) => void;
}

const DOCUMENT_TIMEOUT_MS = 30_000;
const DOCUMENTS_AT_ONCE = 16;
const RETRY_MS = 1_000;
const IDLE_MS = 100;

type DatasetName = Pick<MissingDocument, 'owner' | 'path'>;

export class ChainFollower {
  readonly #parts: FollowerParts;
  readonly #stopped = new AbortController();
  #admission: AdmissionParts | undefined;

  constructor(parts: FollowerParts) {
    this.#parts = parts;
  }

  stop(): void {
    this.#stopped.abort();
  }

  /** Follows until it is stopped; what fails is tried again. */
  async run(): Promise<void> {
    const { signal } = this.#stopped;
    const documents = this.#readDocuments();
    while (!signal.aborted)
      try {
        await this.#follow();
      } catch (error) {
        if (signal.aborted) break;
        this.#parts.onNote({ error: String(error) }, 'the chain cannot be followed; trying again');
        await sleep(RETRY_MS, undefined, { signal }).catch(() => undefined);
      }
    await documents;
  }

  async #follow(): Promise<void> {
    const { node, writer } = this.#parts;
    const { signal } = this.#stopped;
    const { chainName } = await node.genesis();
    this.#admission = {
      chainName,
      shapes: this.#parts.shapes,
      resolveName: async (name) => {
        const value = await node.state(NAMES_CONTRACT, namesKeys.name(name));
        return value && decodeWith(nameRecord, value).account;
      },
    };
    if (writer.height === 0) await this.#takeAll(chainName);
    for await (const { height, receipts } of node.blocks(writer.height + 1, signal)) {
      const changed = receipts
        .flatMap((bytes) => decodeReceipt(bytes).events)
        .filter(({ contract }) => contract === METADATA_CONTRACT);
      for (const event of changed) {
        const version =
          readEvent(metadataEvents.recorded, event) ?? readEvent(metadataEvents.rolledOut, event);
        const dataset = version ?? readEvent(metadataEvents.changed, event);
        if (dataset) await this.#take(chainName, dataset, version?.sequence, height);
      }
      writer.inTransaction(() => writer.advance(height));
    }
  }

  /** Everything that stands on the chain now. What changes meanwhile comes again with its block. */
  async #takeAll(chainName: string): Promise<void> {
    const { node, writer } = this.#parts;
    const { height } = await node.status();
    for await (const [, value] of node.scan(METADATA_CONTRACT, metadataKeys.datasets)) {
      const record = decodeWith(datasetRecord, value);
      writer.inTransaction(() => writer.putDataset(uaiOf(chainName, record), record, height));
    }
    let versions = 0;
    for await (const [, value] of node.scan(METADATA_CONTRACT, metadataKeys.versions)) {
      writer.inTransaction(() => writer.putVersion(decodeWith(versionRecord, value), height));
      versions++;
    }
    writer.inTransaction(() => writer.advance(height));
    if (versions > 0) this.#parts.onNote({ versions, height }, 'catalogue filled from the chain');
  }

  async #take(
    chainName: string,
    { owner, path }: DatasetName,
    sequence: number | undefined,
    height: number,
  ): Promise<void> {
    const { node, writer } = this.#parts;
    const dataset = await node.state(METADATA_CONTRACT, metadataKeys.dataset(owner, path));
    if (dataset === undefined) return;
    const record = decodeWith(datasetRecord, dataset);
    const version =
      sequence === undefined
        ? undefined
        : await node.state(METADATA_CONTRACT, metadataKeys.version(owner, path, sequence));
    writer.inTransaction(() => {
      writer.putDataset(uaiOf(chainName, record), record, height);
      if (version) writer.putVersion(decodeWith(versionRecord, version), height);
    });
  }

  async #document(record: ReturnType<typeof readVersion>): Promise<Bytes> {
    const { document } = record;
    if (document.kind === 'inline') return document.bytes;
    const signal = AbortSignal.any([
      this.#stopped.signal,
      AbortSignal.timeout(DOCUMENT_TIMEOUT_MS),
    ]);
    const limits = { maxBytes: MDDS_LIMITS.documentBytesMax, signal };
    const chunks: Bytes[] = [];
    for await (const chunk of this.#parts.blobs.get(document.cid, limits)) chunks.push(chunk);
    return concatBytes(...chunks);
  }

  /** Reads documents as versions come in, those that could not be read again later. */
  async #readDocuments(): Promise<void> {
    const { writer, nowMs } = this.#parts;
    const { signal } = this.#stopped;
    while (!signal.aborted) {
      const admission = this.#admission;
      const missing = admission ? writer.missing(nowMs(), DOCUMENTS_AT_ONCE) : [];
      if (admission) for (const each of missing) await this.#readDocument(admission, each);
      if (missing.length === 0) await sleep(IDLE_MS, undefined, { signal }).catch(() => undefined);
    }
  }

  async #readDocument(
    admission: AdmissionParts,
    missing: MissingDocument & { readonly record: Bytes },
  ): Promise<void> {
    const { writer, nowMs } = this.#parts;
    writer.begin(missing, nowMs());
    try {
      const record = readVersion(missing.record);
      const bytes = await this.#document(record);
      const outcome = await admitVersion(admission, record, bytes);
      writer.inTransaction(() => {
        if (outcome.admitted) writer.admit(missing, outcome.entry, bytes, writer.height);
        else writer.refuse(missing, outcome.problem);
      });
    } catch (error) {
      if (this.#stopped.signal.aborted) return;
      const why = error instanceof Error ? error.message : String(error);
      writer.postpone(missing, `the document cannot be read: ${why}`);
    }
  }
}

const readVersion = (bytes: Bytes) => decodeWith(versionRecord, bytes);
