import { existsSync, mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { SeeleError } from '#libs/kernel';
import { readTrace } from './scheduler/openb.ts';
import {
  type PolicyName,
  readSimSchedulerArguments,
  type SchedulerSimulationReport,
  simulateScheduler,
} from './scheduler/main.ts';

const data = join(process.env['SEELE_SHARED'] ?? '../shared', 'data/openb');
const describeWithTrace = existsSync(data) ? describe : describe.skip;

describeWithTrace('the published openb runs (skipped when SEELE_SHARED has no trace)', () => {
  const workloads = ['default', 'cpu250'] as const;
  const run = (policy: PolicyName, workload: string, last: number): SchedulerSimulationReport =>
    simulateScheduler({
      nodes: join(data, 'openb_node_list_gpu_node.csv'),
      tasks: join(data, `openb_pod_list_${workload}.csv`),
      arrivals: join(data, `openb_arrivals_${workload}.txt.gz`),
      ranks: join(data, `openb_noderank_${workload}.txt.gz`),
      policy,
      from: 42,
      to: last,
      inflation: 1.3,
    });
  /** Published unallocated GPU at full demand by seed. */
  const published = (policy: string, workload: string): Map<number, number> => {
    const [header = '', ...lines] = readTrace(
      join(data, 'expected_analysis_allo_discrete.csv.gz'),
    ).split('\n');
    const column = header.split(',').indexOf('100');
    return new Map(
      lines
        .map((line) => line.split(','))
        .filter((row) => row[0] === `openb_pod_list_${workload}` && row[1] === policy)
        .map((row) => [Number(row[3]), 100 - Number(row[column])]),
    );
  };

  it.each(workloads)('fgd and best-fit give the published figures of %s', (workload) => {
    for (const [policy, name] of [
      ['fgd', '06-FGD'],
      ['best-fit', '05-BestFit'],
    ] as const) {
      const expected = published(name, workload);
      for (const { seed, unallocatedGpuPercent } of run(policy, workload, 42).seeds)
        expect(Math.abs((unallocatedGpuPercent ?? 0) - (expected.get(seed) ?? -1))).toBeLessThan(
          0.01,
        );
    }
  });

  it.each(workloads)('our own policy leaves less unallocated than fgd on %s', (workload) => {
    const { seeds } = run('seele', workload, 42);
    const expected = published('06-FGD', workload);
    for (const { seed, unallocatedGpuPercent } of seeds)
      expect(unallocatedGpuPercent).toBeLessThan(expected.get(seed) ?? 0);
  });
});

describe('seele sim scheduler', () => {
  const folder = mkdtempSync(join(tmpdir(), 'seele-sim-scheduler-'));
  afterAll(() => rmSync(folder, { recursive: true }));
  const file = (name: string, text: string): string => {
    const path = join(folder, name);
    writeFileSync(path, text);
    return path;
  };
  const nodes = file('nodes.csv', 'sn,cpu_milli,memory_mib,gpu,model\na,8000,8192,2,T4\n');
  const tasks = file(
    'tasks.csv',
    'name,cpu_milli,memory_mib,num_gpu,gpu_milli,gpu_spec\nx,1000,1024,1,1000,\ny,1000,1024,1,500,T4\n',
  );
  const base = { nodes, tasks, from: 1, to: 3, inflation: 1.3 } as const;

  it('replays by the seed and fills a small cluster', () => {
    const first = simulateScheduler({ ...base, policy: 'seele' });
    expect(simulateScheduler({ ...base, policy: 'seele' })).toEqual(first);
    expect(first.seeds.map(({ seed }) => seed)).toEqual([1, 2, 3]);
    // The rule adds copies until the next task could pass 1.3 times two GPUs.
    expect(first.arrivedTasks).toBeGreaterThanOrEqual(3 * 2);
    expect(first.failedTasks).toBeLessThan(first.arrivedTasks);
  });

  it.each([
    ['sn,cpu_milli\na,1\n', 'lack the columns'],
    ['sn,cpu_milli,memory_mib,gpu\n', 'empty'],
    ['sn,cpu_milli,memory_mib,gpu\na,-1,1,1\n', 'line 2'],
    ['sn,cpu_milli,memory_mib,gpu\na,1,1,9\n', '9 GPUs'],
    ['\u0000\u0001', 'lack the columns'],
  ])('refuses the node table %j', (text, reason) => {
    const wrong = file('wrong.csv', text);
    expect(() => simulateScheduler({ ...base, nodes: wrong, policy: 'fgd' })).toThrow(reason);
  });

  it.each([
    ['0 5\n', 'below 2'],
    ['0 x\n', '"x"'],
    ['0 1\n', 'no line for seed 1'],
  ])('refuses the arrivals %j', (text, reason) => {
    const arrivals = file('arrivals.txt', text);
    expect(() => simulateScheduler({ ...base, arrivals, policy: 'fgd' })).toThrow(reason);
  });

  it('refuses a file that is not there', () => {
    const nowhere = join(folder, 'nowhere.csv');
    expect(() => simulateScheduler({ ...base, nodes: nowhere, policy: 'fgd' })).toThrow(SeeleError);
  });

  it.each([
    [[], '--tasks'],
    [['--nodes', 'a', '--tasks', 'b', '--policy', 'best'], '--policy is one of'],
    [['--nodes', 'a', '--tasks', 'b', '--seeds', '5-1'], 'seeds'],
    [['--nodes', 'a', '--tasks', 'b', '--seeds', 'x'], 'seeds'],
    [['--nodes', 'a', '--tasks', 'b', '--inflation', 'NaN'], '--inflation'],
    [['--wrong'], 'wrong'],
  ])('refuses the arguments %j', (args, reason) => {
    expect(() => readSimSchedulerArguments(args)).toThrow(reason);
  });
});

describe('SWF', () => {
  const folder = mkdtempSync(join(tmpdir(), 'seele-sim-swf-'));
  afterAll(() => rmSync(folder, { recursive: true }));
  const simulate = (text: string) => {
    const path = join(folder, 'trace.swf');
    writeFileSync(path, text);
    return simulateScheduler({ tasks: path, policy: 'seele', from: 1, to: 1, inflation: 1 });
  };
  /** number submit wait run allocated cpu memory wanted requested memory status user */
  const job = (submit: number, run: number, processors: number, requested: number, user = 1) =>
    `1 ${submit} -1 ${run} ${processors} -1 -1 ${processors} ${requested} -1 1 ${user} 1 1 1 1 -1 -1`;

  it('EASY: a short job passes one that waits, a long one does not', () => {
    const head = '; MaxProcs: 32';
    const lines = [job(0, 100, 20, 100), job(1, 50, 32, 50), job(2, 90, 12, 90, 2)];
    expect(simulate([head, ...lines].join('\n')).waits).toMatchObject({
      p50Seconds: 0,
      p95Seconds: 99,
    });
    lines[2] = job(2, 120, 12, 120, 2);
    // 0, then 99 for the whole machine, then 148 for the one that would have delayed it.
    expect(simulate([head, ...lines].join('\n')).waits).toMatchObject({
      p50Seconds: 99,
      p95Seconds: 148,
    });
  });

  it('fails a job larger than the machine, and refuses what is no trace', () => {
    expect(simulate(`; MaxProcs: 4\n${job(0, 5, 8, 5)}\n${job(0, 5, 4, 5)}`)).toMatchObject({
      failedTasks: 1,
      costVsLowerBound: 1,
      jain: 1,
    });
    expect(() => simulate('; MaxProcs: 4\n1 2 x')).toThrow('line 2');
    expect(() => simulate('; MaxProcs: 4\n')).toThrow('no job');
    expect(() => simulate(job(0, 5, 4, 5))).toThrow('MaxProcs');
  });
});
