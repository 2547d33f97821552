/** Job files on real processes: a graph of jobs, many tasks, a command that is killed in between. */
import { spawn } from 'node:child_process';
import { mkdtempSync, readFileSync, readdirSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { type LocalMachine, startLocalMachine } from '../support/local-machine.ts';

const CLI = join(process.cwd(), 'dist/apps/cli/src/main.js');

const GRAPH = `
jobs:
  double:
    code: double.js
    inputs: { numbers: numbers.txt }
  sum:
    code: sum.js
    inputs: { list: { job: double } }
    output: sum.json
`;

interface Report {
  readonly jobs: readonly {
    readonly name: string;
    readonly is: string;
    readonly order: { id: string };
  }[];
}

let machine: LocalMachine;
let folder: string;
const file = (name: string) => join(folder, name);

beforeAll(async () => {
  machine = await startLocalMachine();
}, 180_000);
afterAll(async () => machine.stop(), 60_000);

beforeEach(() => {
  folder = mkdtempSync(join(tmpdir(), 'seele-job-files-'));
  const files = {
    'numbers.txt': '1\n2\n3\n',
    'double.js':
      'export default async ({ inputs }) => (await inputs.numbers.text()).trim().split("\\n").map((n) => 2 * n)',
    'sum.js':
      'export default async ({ inputs }) => JSON.parse(await inputs.list.text()).reduce((a, b) => Number(a) + Number(b), 0)',
    'square.js': 'export default async ({ task }) => task.index ** 2',
    'broken.js': 'export default async () => { throw new Error("no") }',
    'graph.yaml': GRAPH,
  };
  for (const [name, content] of Object.entries(files)) writeFileSync(file(name), content);
});
afterEach(() => rmSync(folder, { recursive: true }));

/** Of the two newest orders the one that reads the other. */
const newestReader = async () =>
  (await machine.market.orders({ limit: 2 })).find(({ inputs }) => inputs !== undefined);
const orders = async () => (await machine.market.orders({ limit: 100 })).length;

describe('seele run FILE.yaml', () => {
  it('tries it dry without an order, then runs the graph and writes the result', async () => {
    const before = await orders();
    const dry = await machine.seele('run', file('graph.yaml'), '--dry-run', '--json');
    expect(dry.code).toBe(0);
    expect(JSON.parse(dry.stdout)).toMatchObject({ isOrderable: true, order: ['double', 'sum'] });
    expect(await orders()).toBe(before);
    const ran = await machine.seele('run', file('graph.yaml'), '--follow', '--json');
    expect(ran.stderr).toBe('');
    const { jobs } = JSON.parse(ran.stdout) as Report;
    expect(jobs.map(({ name, is }) => [name, is])).toEqual([
      ['double', 'done'],
      ['sum', 'done'],
    ]);
    expect(readFileSync(file('sum.json'), 'utf8')).toBe('12');
    expect(await orders()).toBe(before + 2);
  }, 120_000);

  it('killed in between changes nothing for the jobs; the same command finds them: two orders', async () => {
    const before = await orders();
    const args = [CLI, 'run', file('graph.yaml'), '--home', machine.home];
    const child = spawn(process.execPath, args, { stdio: ['ignore', 'pipe', 'inherit'] });
    const gone = new Promise((resolve) => child.once('exit', resolve));
    child.stdout.once('data', () => child.kill('SIGKILL'));
    await gone;
    // Nobody is there to order the second job: the market has it.
    const sum = await newestReader();
    const end = await machine.market.waitForEnd(sum?.id ?? '', { timeoutMs: 60_000 });
    expect(end).toMatchObject({ status: 'settled', exit: 'ok', inputs: [{ name: 'list' }] });
    const resumed = await machine.seele('run', file('graph.yaml'), '--json');
    expect(resumed.stderr).toBe('goes on with the run that was begun before\n');
    expect(readFileSync(file('sum.json'), 'utf8')).toBe('12');
    expect(await orders()).toBe(before + 2);
    const shown = await machine.seele('run', file('graph.yaml'), '--resume', '--json');
    const ids = ({ jobs }: Report) => jobs.map(({ order }) => order.id);
    expect(ids(JSON.parse(shown.stdout) as Report)).toEqual(
      ids(JSON.parse(resumed.stdout) as Report),
    );
    expect(await orders()).toBe(before + 2);
  }, 120_000);

  it('gives the outputs of many tasks to the job that reads them, and a folder of them', async () => {
    const text =
      'jobs: {all: {code: square.js, tasks: 5, output: squares}, sum: {code: sum.js, inputs: {list: {job: all}}, output: sum.json}}';
    writeFileSync(file('many.yaml'), text);
    const ran = await machine.seele('run', file('many.yaml'), '--json');
    expect(ran.stderr).toBe('');
    expect(readdirSync(file('squares')).toSorted()).toEqual(['0', '1', '2', '3', '4']);
    expect(readFileSync(file('sum.json'), 'utf8')).toBe('30');
  }, 120_000);

  it('lets many tasks feed many tasks, and one of them a job', async () => {
    const text =
      'jobs: {a: {code: square.js, tasks: 3}, b: {code: next.js, taskInput: {name: x, job: a}, output: b}, c: {code: next.js, inputs: {x: {job: b, task: 2}}, output: c.json}}';
    writeFileSync(file('many.yaml'), text);
    const next = 'export default async ({ inputs }) => Number(await inputs.x.text()) + 1';
    writeFileSync(file('next.js'), next);
    const ran = await machine.seele('run', file('many.yaml'), '--json');
    expect(ran.stderr).toBe('');
    const outputs = [0, 1, 2].map((task) => readFileSync(file(`b/${task}`), 'utf8'));
    expect(outputs).toEqual(['1', '2', '5']);
    expect(readFileSync(file('c.json'), 'utf8')).toBe('6');
  }, 120_000);

  it('reads a dataset by its UAI where the file says so, and records the result once as another', async () => {
    const csv = 'id,amount\n1,10\n2,32\n';
    writeFileSync(file('sales.csv'), csv);
    const added = await machine.seele('data', 'add', file('sales.csv'), '--yes', '--json');
    const { uai } = JSON.parse(added.stdout) as { uai: string };
    const result = uai.replace(/data\/sales$/, 'data/results/total');
    const total =
      'export default async ({ inputs }) => (await inputs.sales.text()).trim().split("\\n").slice(1).reduce((sum, row) => sum + Number(row.split(",")[1]), 0)';
    writeFileSync(file('total.js'), total);
    const job = `code: total.js\ninputs: {sales: {uai: "${uai}"DISCLOSE}}\noutput: "${result}"`;
    writeFileSync(file('data.yaml'), job.replace('DISCLOSE', ''));
    const refused = await machine.seele('run', file('data.yaml'), '--follow');
    expect([refused.code, refused.stderr]).toEqual([
      1,
      expect.stringContaining('is encrypted for its readers'),
    ]);
    writeFileSync(file('data.yaml'), job.replace('DISCLOSE', ', disclose: provider'));
    const dry = await machine.seele('run', file('data.yaml'), '--dry-run');
    expect(dry.stdout).toContain(`${uai} 1.0.0, given to the provider in clear`);
    expect(dry.stdout).toContain(`result recorded as ${result}`);
    const ran = await machine.seele('run', file('data.yaml'), '--follow');
    expect(ran.stderr).toBe('');
    expect(ran.stdout).toContain(`recorded as ${result} 1.0.0`);
    const again = await machine.seele('run', file('data.yaml'), '--resume');
    expect(again.stdout).toContain(`was recorded before as ${result} 1.0.0`);
    writeFileSync(
      file('next.yaml'),
      `code: next.js\ninputs: {x: {uai: "${result}", disclose: provider}}\noutput: next.json`,
    );
    writeFileSync(
      file('next.js'),
      'export default async ({ inputs }) => Number(await inputs.x.text()) + 1',
    );
    const next = await machine.seele('run', file('next.yaml'), '--follow');
    expect(next.stderr).toBe('');
    expect(readFileSync(file('next.json'), 'utf8')).toBe('43');
  }, 120_000);

  it('gives the money of what reads from a job that failed back', async () => {
    const before = await orders();
    writeFileSync(file('bad.yaml'), GRAPH.replace('double.js', 'broken.js'));
    const ran = await machine.seele('run', file('bad.yaml'), '--json');
    expect([ran.code, ran.stderr]).toEqual([1, expect.stringContaining('CLI_JOB_FAILED')]);
    expect((JSON.parse(ran.stdout) as Report).jobs.map(({ is }) => is)).toEqual([
      'failed',
      'skipped',
    ]);
    expect(await orders()).toBe(before + 2);
    const skipped = await newestReader();
    expect(skipped).toMatchObject({
      ...{ status: 'cancelled', reason: { code: 'MARKET_INPUT_FAILED' } },
      chain: { state: 'cancelled', paid: '0' },
    });
  }, 120_000);
});
