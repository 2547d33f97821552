import { existsSync, mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { SeeleError } from '#libs/kernel';
import { readTrace } from './scheduler/openb.ts';
import {
  type PolicyName,
  readSimSchedulerArguments,
  type SchedulerSimulationReport,
  simulateOpenb,
} from './scheduler/main.ts';

const data = join(process.env['SEELE_SHARED'] ?? '../shared', 'data/openb');
const describeWithTrace = existsSync(data) ? describe : describe.skip;

describeWithTrace('the published openb runs (skipped when SEELE_SHARED has no trace)', () => {
  const workloads = ['default', 'cpu250'] as const;
  const run = (policy: PolicyName, workload: string, last: number): SchedulerSimulationReport =>
    simulateOpenb({
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
    const first = simulateOpenb({ ...base, policy: 'seele' });
    expect(simulateOpenb({ ...base, policy: 'seele' })).toEqual(first);
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
    expect(() => simulateOpenb({ ...base, nodes: wrong, policy: 'fgd' })).toThrow(reason);
  });

  it.each([
    ['0 5\n', 'below 2'],
    ['0 x\n', '"x"'],
    ['0 1\n', 'no line for seed 1'],
  ])('refuses the arrivals %j', (text, reason) => {
    const arrivals = file('arrivals.txt', text);
    expect(() => simulateOpenb({ ...base, arrivals, policy: 'fgd' })).toThrow(reason);
  });

  it('refuses a file that is not there', () => {
    const nowhere = join(folder, 'nowhere.csv');
    expect(() => simulateOpenb({ ...base, nodes: nowhere, policy: 'fgd' })).toThrow(SeeleError);
  });

  it.each([
    [[], '--nodes'],
    [['--nodes', 'a', '--tasks', 'b', '--policy', 'best'], '--policy is one of'],
    [['--nodes', 'a', '--tasks', 'b', '--seeds', '5-1'], 'seeds'],
    [['--nodes', 'a', '--tasks', 'b', '--seeds', 'x'], 'seeds'],
    [['--nodes', 'a', '--tasks', 'b', '--inflation', 'NaN'], '--inflation'],
    [['--wrong'], 'wrong'],
  ])('refuses the arguments %j', (args, reason) => {
    const command = readSimSchedulerArguments(args);
    expect('usage' in command && command.isWrong && command.usage).toContain(reason);
  });
});
