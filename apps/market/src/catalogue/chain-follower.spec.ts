import { readFileSync } from 'node:fs';
import { join } from 'node:path';
import { setTimeout as sleep } from 'node:timers/promises';
import { type VersionRecord, datasetRecord, metadataKeys, versionRecord } from '#contracts';
import { type Bytes, bytesToHex, encodeWith, formatAccount, utf8 } from '#libs/kernel';
import {
  createShapeValidator,
  describeDataset,
  hashOfLines,
  readRdf,
  sortedLines,
  writeRdf,
} from '#libs/mdds';
import { createMemoryBlobStore } from '#libs/storage';
import { CatalogueReader } from './catalogue-reader.ts';
import { openCatalogueTables } from './catalogue-tables.ts';
import { CatalogueWriter } from './catalogue-writer.ts';
import { ChainFollower, type FollowerParts } from './chain-follower.ts';

const OWNER = 'ab'.repeat(32);
const CHAIN = 'health.clinic';
/** Some 350 000 bytes of statements. */
const LONG = Array.from({ length: 2_500 }, (_, i) => `keyword ${i}`);
const schema = join(import.meta.dirname, '../../../../schemas/shapes.ttl');

async function recordedDataset(blobs: FollowerParts['blobs'] & { put: PutBlob }, name: string) {
  const path = `data/${name}`;
  const { public: graph, ...made } = await describeDataset(
    {
      uai: `chain://${CHAIN}/${formatAccount(OWNER)}/${path}`,
      ...{ title: name, description: 'd', version: '1', modified: '2026-07-01T08:00:00Z' },
      // One is longer than what is read together with others.
      ...(name === 'long' && { keywords: LONG, publish: ['keywords'] as const }),
      publisher: { iri: `chain://${CHAIN}/${formatAccount(OWNER)}`, name: 'Clinic' },
      offer: { price: '1' },
      distributions: [{ id: 'csv', mediaType: 'text/csv', mechanism: 'on-chain-metadata-only' }],
    },
    new Uint8Array(32).fill(3),
  );
  const { cid } = await blobs.put(utf8(writeRdf(graph, 'n-quads')));
  const record: VersionRecord = {
    ...{ owner: OWNER, path, sequence: 1, version: '1', rollout: [], height: 1, timeUs: 1 },
    ...{ document: { kind: 'stored', cid }, publicHash: hashOfLines(sortedLines(graph)) },
    ...{ completeHash: made.canonicalHash, quadRoot: made.committed.root },
    quadCount: made.committed.commitment.size,
  };
  return { cid, record };
}
type PutBlob = ReturnType<typeof createMemoryBlobStore>['put'];

/** A chain that has these records and never a new block. */
function nodeWith(records: readonly VersionRecord[]): FollowerParts['node'] {
  async function* scan(_contract: string, prefix: Bytes) {
    const key = new Uint8Array();
    for (const record of records)
      if (bytesToHex(prefix) === bytesToHex(metadataKeys.versions))
        yield [key, encodeWith(versionRecord, record)] as const;
      else {
        const { owner, path } = record;
        const dataset = { owner, path, latest: 1, grantEpoch: 0, withdrawn: false };
        yield [key, encodeWith(datasetRecord, dataset)] as const;
      }
  }
  async function* blocks(_from: number, signal?: AbortSignal) {
    await sleep(60_000, undefined, { signal }).catch(() => undefined);
    yield* [];
  }
  return {
    status: () => Promise.resolve({ height: 1 }),
    genesis: () => Promise.resolve({ chainName: CHAIN }),
    state: () => Promise.resolve(undefined),
    ...{ scan, blocks },
  } as unknown as FollowerParts['node'];
}

describe('filling the catalogue from a chain', () => {
  it('takes documents together, and each that is long or failed alone', async () => {
    const store = createMemoryBlobStore();
    const names = ['a', 'b', 'long', 'late'];
    const recorded = await Promise.all(names.map((name) => recordedDataset(store, name)));
    const late = recorded[3]?.cid;
    const asked: string[] = [];
    const database = openCatalogueTables(':memory:', 'genesis');
    const reader = new CatalogueReader(database);
    let nowMs = 1;
    const follower = new ChainFollower({
      node: nodeWith(recorded.map(({ record }) => record)),
      blobs: {
        get(cid, options) {
          asked.push(cid);
          if (cid === late && asked.filter((one) => one === cid).length === 1)
            throw new Error('not there yet');
          return store.get(cid, options);
        },
      },
      writer: new CatalogueWriter(database),
      shapes: createShapeValidator(readRdf(readFileSync(schema, 'utf8'), { format: 'turtle' })),
      ...{ nowMs: () => nowMs, onNote: () => {} },
    });
    const running = follower.run();
    try {
      const shown = async (count: number) => {
        for (let i = 0; i < 400 && reader.status().datasets < count; i++) await sleep(10);
        return reader.search({}).entries.map(({ title }) => title);
      };
      expect((await shown(2)).toSorted()).toEqual(['a', 'b']);
      expect(reader.status().problems).toBe(2);
      nowMs = 10_000;
      expect((await shown(4)).toSorted()).toEqual(names.toSorted());
      expect(reader.status().problems).toBe(0);
      // Not again once they are in.
      expect(asked).toHaveLength(6);
    } finally {
      follower.stop();
      await running;
      database.close();
    }
  });
});
