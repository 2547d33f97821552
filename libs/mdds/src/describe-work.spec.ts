import { readFileSync } from 'node:fs';
import {
  type Quad,
  BUILT_IN_CONTEXTS,
  MDDS_CONTEXT_IRI,
  canonicalHash,
  createShapeValidator,
  describeCompute,
  describeJob,
  describeReceipt,
  describeStorage,
  readJsonLd,
  readRdf,
  writeJsonLd,
  writeRdf,
} from './index.ts';

const shapes = createShapeValidator(
  readRdf(readFileSync(new URL('../../../schemas/shapes.ttl', import.meta.url), 'utf8'), {
    format: 'turtle',
  }),
);
const own = 'chain://health.clinic/acc1';
const machine = {
  ...{ iri: `${own}/cmp/1`, title: 'node-7', publisher: own, cpuCores: 16 },
  ...{ cpuArchitecture: 'x86_64' as const, memoryBytes: 2 ** 36, diskBytes: 2e12, isolation: 2 },
  price: { amount: '0.0021', per: 'core-second' as const },
  modified: '2026-07-01T08:00:00Z',
};
const job = {
  ...{ iri: `${own}/job/31`, creator: own, issued: '2026-07-01T09:00:00Z' },
  ...{ used: [`${own}/ds/claims`], algorithm: `${own}/wasm/agg`, tier: 'C' as const },
  ...{ maxPrice: '300', deadline: '2026-07-01T10:00:00Z', minIsolation: 2 },
  shards: [0, 1].map(() => ({ cpuCores: 2, memoryBytes: 2 ** 32, diskBytes: 1e10 })),
};
const receipt = {
  ...{ iri: `${own}/job/31/receipt/0`, request: job.iri, shardIndex: 0, machine: machine.iri },
  ...{ used: job.used, startedAt: '2026-07-01T09:00:05Z', endedAt: '2026-07-01T09:03:44Z' },
  ...{ result: `${own}/job/31/out/0`, resultHash: 'ab'.repeat(32), cpuSeconds: '402.7' },
  ...{ peakMemoryBytes: 3.11e9, charged: '0.84' },
};
const storage = {
  ...{ iri: `${own}/sto/1`, title: 'ipfs-a', publisher: own, endpointUrl: `${own}/sto/1/rpc` },
  ...{ capacityBytes: 1e13, freeBytes: 7e12, erasure: { dataShards: 10, shards: 16 } },
  price: { amount: '0.5', per: 'gib-month' as const },
};

async function faults(quads: Promise<readonly Quad[]>): Promise<readonly string[]> {
  const report = await shapes.validate(await quads);
  return report.faults.map(({ path = '', constraint }) => `${path} ${constraint}`);
}

describe('machines, storage, jobs and receipts', () => {
  const all = [
    ['a machine', () => describeCompute(machine)],
    ['storage', () => describeStorage(storage)],
    ['a job', () => describeJob(job)],
    ['a receipt', () => describeReceipt(receipt)],
  ] as const;

  it.each(all)(
    '%s conforms to the shapes and keeps its hash through Turtle and JSON-LD',
    async (_what, make) => {
      expect(await faults(make())).toEqual([]);
      const quads = await make();
      const hash = await canonicalHash(quads);
      const turtle = readRdf(writeRdf(quads, 'turtle'), { format: 'turtle' });
      expect(await canonicalHash(turtle)).toBe(hash);
      const jsonLd = await writeJsonLd(quads, MDDS_CONTEXT_IRI, BUILT_IN_CONTEXTS);
      const back = await readJsonLd(JSON.stringify(jsonLd), { contexts: BUILT_IN_CONTEXTS });
      expect(await canonicalHash(back)).toBe(hash);
    },
  );

  it.each([
    ['no cores', describeCompute({ ...machine, cpuCores: 0 }), 'PosInt|MinInclusive|Node'],
    ['isolation S5', describeCompute({ ...machine, isolation: 5 }), 'MaxInclusive'],
    [
      'more free than there is',
      describeStorage({ ...storage, freeBytes: 2e13 }),
      'LessThanOrEquals',
    ],
    [
      'a shard without memory',
      describeJob({ ...job, shards: [{ cpuCores: 1, memoryBytes: 0, diskBytes: 1 }] }),
      'Node|MinInclusive',
    ],
    [
      'an end before its start',
      describeReceipt({ ...receipt, endedAt: '2026-07-01T09:00:00Z' }),
      'LessThanOrEquals',
    ],
    ['a result without a hash', describeReceipt({ ...receipt, resultHash: '00' }), 'Node|Length'],
  ])('shapes refuse %s', async (_what, quads, constraint) => {
    expect((await faults(quads)).join('; ')).toMatch(new RegExp(constraint));
  });

  it('a job without shards or inputs is refused', () => {
    expect(() => describeJob({ ...job, shards: [] })).toThrow('shard');
    expect(() => describeJob({ ...job, used: [] })).toThrow('input');
  });
});
