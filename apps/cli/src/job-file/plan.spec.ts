import { mkdirSync, mkdtempSync, readFileSync, rmSync, symlinkSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { isSeeleError, utf8 } from '#libs/kernel';
import { formatUai } from '#libs/vtp';
import { readJobFile } from '#libs/sdk';
import { createMemoryBlobStore } from '#libs/storage';
import { homeAt } from '../frame/home.ts';
import { type PlanOptions, planJobs } from './plan.ts';
import { type RunStateOptions, openRunState } from './run-state.ts';

let folder: string;
beforeEach(() => {
  folder = mkdtempSync(join(tmpdir(), 'seele-jobs-'));
  mkdirSync(join(folder, 'in'));
  for (const name of ['clean.js', 'report.js'])
    writeFileSync(join(folder, 'in', name), 'export default () => 1');
  writeFileSync(join(folder, 'in/raw.csv'), 'id\n1\n');
  writeFileSync(join(folder, 'secret'), 'secret');
});
afterEach(() => rmSync(folder, { recursive: true }));

const store = createMemoryBlobStore();
const datasets: PlanOptions['datasets'] = async ({ uai, disclose }, fail) => {
  if (disclose === undefined) throw fail('say disclose: provider');
  return { pinned: `${uai} 1.0.0`, open: async () => toChunks(utf8('rows')) };
};

async function* toChunks(bytes: Uint8Array) {
  yield bytes;
}

async function plan(text: string) {
  const area = { folder: join(folder, 'in'), within: join(folder, 'in') };
  return planJobs(readJobFile(text, 'job.yaml'), {
    ...{ area, minIsolation: 'S0', nowMs: Date.parse('2026-01-01') },
    store: () => store,
    datasets,
    ownData: async () => ({ chainName: 'seele', account: 'aa'.repeat(32) }),
  });
}

const refusal = (text: string) =>
  plan(text).then(
    () => 'taken',
    (error: unknown) => {
      if (isSeeleError(error)) return error.message;
      throw error;
    },
  );

describe('the plan of a job file', () => {
  it('of docs/job-files.md: CIDs without storing, manifests once results are known', async () => {
    const page = readFileSync(new URL('../../../../docs/job-files.md', import.meta.url), 'utf8');
    const [, example = ''] = /```yaml\n([^]*?)```/.exec(page) ?? [];
    const [clean, report] = await plan(example);
    expect(clean?.inputs).toEqual([{ name: 'raw', cid: expect.any(String), sizeBytes: 5 }]);
    await expect(store.getBlock(clean?.description.code ?? '')).rejects.toThrow();
    for (const upload of clean?.uploads ?? []) await upload(store);
    await expect(store.getBlock(clean?.description.code ?? '')).resolves.toBeDefined();
    const manifest = report?.manifest(new Map([['clean', 'ab'.repeat(32)]]));
    expect(manifest?.inputs).toEqual([]);
    expect(manifest?.from).toEqual([{ name: 'table', order: 'ab'.repeat(32) }]);
    expect(manifest?.placement).toEqual({
      ...{ domains: ['vetted', 'confidential'], regions: ['eu-west'] },
      weights: { cost: 1, time: 1, risk: 8 },
    });
    expect(report?.priceCap).toBe(500_000_000n);
    expect(report?.output).toBe(join(folder, 'in/report.json'));
  });

  it('reads datasets in clear where the file says so, and records results as data', async () => {
    const account = { kind: 'id', id: 'aa'.repeat(32) } as const;
    const uai = formatUai({ chain: ['seele'], account, data: ['data', 'results', 'x'], query: [] });
    const [job] = await plan(
      `code: clean.js\ninputs: {x: {uai: ${uai}, disclose: provider}}\noutput: ${uai}`,
    );
    expect(job?.inputs).toMatchObject([{ name: 'x', sizeBytes: 4, dataset: `${uai} 1.0.0` }]);
    expect(job?.manifest(new Map()).inputs).toEqual([
      { name: 'x', cid: expect.any(String), sizeBytes: 4 },
    ]);
    expect(job?.target).toEqual({ uai, path: 'data/results/x', name: 'results.x' });
    const other = uai.replace('data/results', 'code');
    expect(await refusal(`code: clean.js\noutput: ${other}`)).toContain('is no place for data');
  });

  it('lets jobs of many tasks feed each other, task by task or one of them', async () => {
    const [, second, third] = await plan(
      'jobs: {a: {code: clean.js, tasks: 3}, b: {code: clean.js, taskInput: {name: x, job: a}}, c: {code: clean.js, inputs: {y: {job: b, task: 2}}}}',
    );
    const orders = new Map([
      ['a', 'aa'.repeat(32)],
      ['b', 'bb'.repeat(32)],
    ]);
    const taskInput = { name: 'x', order: 'aa'.repeat(32) };
    expect(second?.manifest(orders).array).toMatchObject({ tasks: 3, taskInput });
    expect(third?.manifest(orders).from).toEqual([{ name: 'y', order: 'bb'.repeat(32), task: 2 }]);
    const wrong = 'jobs: {a: {code: clean.js}, b: {code: clean.js, taskInput: {name: x, job: a}}}';
    expect(await refusal(wrong)).toContain('"a" has one result: read it by inputs');
  });

  it('refuses what lies outside, is missing or is no file, saying where it stands', async () => {
    symlinkSync(join(folder, 'secret'), join(folder, 'in/link'));
    symlinkSync(folder, join(folder, 'in/up'));
    const outside = /^job.yaml:2:10 inputs.x: .* lies outside .* \(allow more with --files DIR\)$/;
    for (const path of ['../secret', 'link', 'up/secret', join(folder, 'secret')])
      expect(await refusal(`code: clean.js\ninputs: {x: ${path}}`)).toMatch(outside);
    for (const path of ['../out', 'link', 'up/out'])
      expect(await refusal(`code: clean.js\noutput: ${path}`)).toContain('lies outside');
    expect(await refusal('code: gone.js')).toBe(
      'job.yaml:1:1 code: cannot read gone.js (no such file)',
    );
    expect(await refusal('code: .')).toContain('is not a file');
    expect(await refusal('code: clean.js\noutput: nowhere/x')).toContain('cannot read nowhere');
  });

  it.each([
    [
      'output: chain://edu/alice/x',
      'output: a result is recorded under the account that pays: chain',
    ],
    ['inputs: {x: chain://edu/alice/x}', 'inputs.x: say disclose: provider'],
    ['inputs: {x: {uai: chain://a/b, disclose: all}}', 'inputs.x'],
    ['inputs: {x: {cid: nonsense}}', 'inputs.x: nonsense is not to be had'],
    ['completeBy: 2025-01-01T00:00:00Z', 'completeBy: 2025-01-01T00:00:00Z has passed'],
    ['taskInput: {name: x}', 'taskInput: say either each: [file, …] or job: name'],
    ['taskInput: {name: x, job: y}', 'taskInput.job: there is no job "y"'],
    ['tasks: 3\ntaskInput: {name: x, each: [raw.csv]}', 'tasks: is 3, but taskInput has 1'],
    ['metering: {fuel: 9}', 'metering: is for kind wasm or verifiable'],
  ])('refuses %j', async (line, message) => {
    expect(await refusal(`code: clean.js\n${line}`)).toContain(message);
  });
});

describe('the state of a run', () => {
  const options = (over: Partial<RunStateOptions>): RunStateOptions => ({
    ...{ home: homeAt(folder), file: '/job.yaml', account: 'a', chain: 'c', plan: 'p' },
    ...{ mode: 'new', nowMs: 0, ...over },
  });
  const ordered = {
    ...{ manifest: 'm', salt: 's', nowUs: 1, priceCap: '1', placeWithinMs: 1 },
    ...{ completeWithinMs: 1, order: 'o' },
  };

  it('is found again by the same command, which orders nothing twice', () => {
    const first = openRunState(options({}));
    expect(() => openRunState(options({}))).toThrow('is running');
    first.keep(new Map([['a', ordered]]));
    first.close();
    const second = openRunState(options({}));
    expect([second.isResumed, second.isAccepted]).toEqual([true, false]);
    expect(second.ordered('a')).toEqual(ordered);
    second.accepted();
    second.close();
    expect(() => openRunState(options({ plan: 'other' }))).toThrow('is not finished');
    expect(() => openRunState(options({ mode: 'resume', plan: 'other' }))).toThrow('changed');
    const resumed = openRunState(options({ mode: 'resume' }));
    expect(resumed.isAccepted).toBe(true);
    resumed.finish();
    resumed.close();
    const anew = openRunState(options({}));
    expect(anew.ordered('a')).toBeUndefined();
    anew.close();
  });

  it('takes over the lock of a process that is gone', () => {
    const first = openRunState(options({}));
    writeFileSync(`${first.path}.lock`, '999999999');
    const second = openRunState(options({}));
    expect(second.path).toBe(first.path);
    second.close();
  });
});
