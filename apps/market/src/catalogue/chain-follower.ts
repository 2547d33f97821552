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
import type { CatalogueWriter, DueDocument, MissingDocument } from './catalogue-writer.ts';

export interface FollowerParts {
  readonly node: Pick<NodeClient, 'status' | 'genesis' | 'state' | 'scan' | 'blocks'>;
  readonly blobs: Pick<BlobStore, 'get'>;
  readonly writer: CatalogueWriter;
  readonly shapes: ShapeValidator;
  readonly nowMs: () => number;
  readonly onNote: (note: Readonly<Record<string, unknown>>, text: string) => void;
}

const DOCUMENT_TIMEOUT_MS = 30_000;
const DOCUMENTS_AT_ONCE = 32;
/** Of documents read together; a longer one is read alone. */
const SHORT_DOCUMENT_BYTES = 256 * 1024;
/** Records of the chain that one transaction takes in. */
const RECORDS_AT_ONCE = 500;
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
    await inBatches(node.scan(METADATA_CONTRACT, metadataKeys.datasets), (values) =>
      writer.inTransaction(() => {
        for (const record of values.map((value) => decodeWith(datasetRecord, value)))
          writer.putDataset(uaiOf(chainName, record), record, height);
      }),
    );
    let versions = 0;
    await inBatches(node.scan(METADATA_CONTRACT, metadataKeys.versions), (values) =>
      writer.inTransaction(() => {
        for (const value of values) writer.putVersion(readVersion(value), height);
        versions += values.length;
      }),
    );
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

  async #document({ document }: ReturnType<typeof readVersion>, maxBytes: number): Promise<Bytes> {
    if (document.kind === 'inline') return document.bytes;
    const signal = AbortSignal.any([
      this.#stopped.signal,
      AbortSignal.timeout(DOCUMENT_TIMEOUT_MS),
    ]);
    const chunks: Bytes[] = [];
    for await (const chunk of this.#parts.blobs.get(document.cid, { maxBytes, signal }))
      chunks.push(chunk);
    return concatBytes(...chunks);
  }

  /** Reads documents as versions come in, those that could not be read again later. */
  async #readDocuments(): Promise<void> {
    const { writer, nowMs } = this.#parts;
    const { signal } = this.#stopped;
    while (!signal.aborted) {
      const admission = this.#admission;
      const due = admission ? writer.missing(nowMs(), DOCUMENTS_AT_ONCE) : [];
      const [first] = due;
      if (!admission || !first) await sleep(IDLE_MS, undefined, { signal }).catch(() => undefined);
      // Together while nothing speaks against it; one that failed, or ended this thread, is read alone.
      else if (first.tries > 0) await this.#read(admission, [first], MDDS_LIMITS.documentBytesMax);
      else {
        const fresh = due.filter(({ tries }) => tries === 0);
        await this.#read(admission, fresh, SHORT_DOCUMENT_BYTES);
      }
    }
  }

  /** Fetches at once, then takes in with one transaction: each alone costs several writes. */
  async #read(
    admission: AdmissionParts,
    due: readonly DueDocument[],
    maxBytes: number,
  ): Promise<void> {
    const { writer, nowMs } = this.#parts;
    writer.inTransaction(() => {
      for (const each of due) writer.begin(each, nowMs());
    });
    const outcomes = await Promise.all(due.map((each) => this.#outcome(admission, each, maxBytes)));
    if (this.#stopped.signal.aborted) return;
    writer.inTransaction(() => {
      for (const [i, each] of due.entries()) outcomes[i]?.(each);
    });
  }

  /** What is to be written of a document. */
  async #outcome(
    admission: AdmissionParts,
    { record: bytes }: DueDocument,
    maxBytes: number,
  ): Promise<(of: MissingDocument) => void> {
    const { writer } = this.#parts;
    try {
      const record = readVersion(bytes);
      const document = await this.#document(record, maxBytes);
      const outcome = await admitVersion(admission, record, document);
      if (!outcome.admitted) return (of) => writer.refuse(of, outcome.problem);
      return (of) => writer.admit(of, outcome.entry, document, writer.height);
    } catch (error) {
      const why = error instanceof Error ? error.message : String(error);
      return (of) => writer.postpone(of, `the document cannot be read: ${why}`);
    }
  }
}

/** The values of a scan, some at a time. */
async function inBatches(
  scan: AsyncIterable<readonly [Bytes, Bytes]>,
  take: (values: readonly Bytes[]) => void,
): Promise<void> {
  let values: Bytes[] = [];
  for await (const [, value] of scan) {
    values.push(value);
    if (values.length < RECORDS_AT_ONCE) continue;
    take(values);
    values = [];
  }
  take(values);
}

const readVersion = (bytes: Bytes) => decodeWith(versionRecord, bytes);
