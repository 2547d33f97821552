import { readFileSync } from 'node:fs';
import fc from 'fast-check';
import { isSeeleError } from '#libs/kernel';
import { orderJobs } from './job-graph.ts';
import { readJobFile } from './read-job-file.ts';
import { jobFileSchema } from './schema.ts';

const root = new URL('../../../../', import.meta.url);
const text = (path: string) => readFileSync(new URL(path, root), 'utf8');

function refusal(source: string): string {
  try {
    readJobFile(source, 'job.yaml');
  } catch (error) {
    if (isSeeleError(error) && error.code === 'SDK_JOB_FILE') return error.message;
    throw error;
  }
  return 'taken';
}

describe('a job file', () => {
  it('has the published schema, and the examples point to it', () => {
    expect(JSON.parse(text('schemas/job.schema.json'))).toEqual(jobFileSchema());
    for (const name of ['top-words', 'shared-words']) {
      const example = text(`examples/jobs/${name}.yaml`);
      expect(example).toContain('# yaml-language-server: $schema=../../schemas/job.schema.json');
      expect(readJobFile(example, name).jobs.length).toBeGreaterThan(0);
    }
  });

  it('gives parents before the jobs that read them, whatever the order they stand in', () => {
    const { jobs } = readJobFile(
      'jobs: {last: {code: a.js, inputs: {x: {job: mid}}}, mid: {code: b.js, inputs: {x: {job: first}, y: {job: first}}}, first: {code: c.js}}',
      'f',
    );
    expect(jobs.map(({ name }) => name)).toEqual(['first', 'mid', 'last']);
    expect(jobs.map(({ parents }) => parents)).toEqual([[], ['first'], ['mid']]);
  });

  it('is JSON as well, and tells files, CIDs and UAIs apart', () => {
    const cid = 'bafkreigh2akiscaildcqabsyg3dfr6chu3fgpregiymsck7e7aqa4s52zy';
    const source = { code: cid, inputs: { a: 'x/y.csv', b: cid, c: 'chain://edu/alice/sales' } };
    const [job] = readJobFile(JSON.stringify(source, null, '\t'), 'f').jobs;
    expect(job?.code).toEqual({ cid });
    const found = job?.inputs.map(({ source: where }) => Object.keys(where)[0]);
    expect(found).toEqual(['file', 'cid', 'uai']);
  });

  it.each([
    ['code: a.js\nlimts: {}', 'job.yaml:2:1 limts: nothing of that name can stand here; "limits"?'],
    [
      'jobs:\n  a:\n    code: a.js\n    limits:\n      memory: 3',
      'job.yaml:5:7 jobs.a.limits.memory: nothing of that name can stand here; "memoryMiB"?',
    ],
    [
      'code: a.js\nlimits: {memoryMiB: .nan}',
      'job.yaml:2:10 limits.memoryMiB: must be number, received NaN',
    ],
    ['code: a.js\nresources: {cores: -1}', 'job.yaml:2:13 resources.cores: must be at least 1'],
    ['code: a.js\nresources: {cores: 1e30}', 'job.yaml:2:13 resources.cores: '],
    ['code: a.js\nlimits: {wallSeconds: .inf}', 'job.yaml:2:10 limits.wallSeconds: '],
    ['cod: a.js', 'job.yaml:1:1 cod: nothing of that name can stand here; "code"?'],
    ['name: x', 'job.yaml:1:1 code: must be string, is missing'],
    ['code: 7', 'job.yaml:1:1 code: must be string, received number'],
    ['code: a.js\ntier: D', 'job.yaml:2:1 tier: must be one of "A"|"B"|"C"'],
    ['code: a.js\ntier: A\ntier: B', 'job.yaml:3:1 is not YAML: Map keys must be unique'],
    [
      'jobs:\n  a: {code: a.js}\n  a: {code: b.js}',
      'job.yaml:3:3 is not YAML: Map keys must be unique',
    ],
    ['jobs: {}', 'job.yaml:1:1 jobs: name at least one job'],
    [
      'jobs: {"a b": {code: x}}',
      'job.yaml:1:8 jobs.a b: a name has 1 to 64 letters, digits, _ . -',
    ],
    ['code: [', 'job.yaml:1:8 is not YAML'],
    ['', 'job.yaml is not a job'],
    ['- 1', 'job.yaml:1:1 is not a job'],
    ['code: !!js/function x', 'job.yaml:1:7 is not YAML: Unresolved tag'],
    ['code: a.js\ninputs: {x: {fil: y}}', 'job.yaml:2:10 inputs.x: write a file, a CID'],
    ['code: a.js\npriceCap: -3', 'job.yaml:2:1 priceCap: must be above 0'],
    ['code: a.js\ncompleteBy: tomorrow', 'job.yaml:2:1 completeBy: write a time like'],
    [
      'jobs:\n  a:\n    code: a.js\n    inputs:\n      x: {job: clen}\n  clean: {code: b.js}',
      'job.yaml:5:7 jobs.a.inputs.x: there is no job "clen" in this file; "clean"?',
    ],
    [
      'jobs:\n  a: {code: x, inputs: {i: {job: b}}}\n  b: {code: x, inputs: {i: {job: c}}}\n  c: {code: x, inputs: {i: {job: b}}}',
      'job.yaml:3:3 jobs.b: jobs wait for each other: b → c → b',
    ],
    ['jobs: {a: {code: x, inputs: {i: {job: a}}}}', 'jobs wait for each other: a → a'],
  ])('%j is refused in one line that says where', (source, message) => {
    expect(refusal(source)).toContain(message);
    expect(refusal(source)).not.toContain('\n');
  });

  it('does not unfold bombs, follow deep nesting or read what is too long', () => {
    const bomb = Array.from({ length: 9 }, (_, i) =>
      i === 0 ? 'a0: &a0 [x,x,x,x,x,x,x,x,x]' : `a${i}: &a${i} [${`*a${i - 1},`.repeat(9)}]`,
    ).join('\n');
    expect(refusal(bomb)).toContain('unfold to too much');
    const wide = `x: &x ${'y'.repeat(100_000)}\nparams: [${'*x,'.repeat(99)}]`;
    expect(refusal(wide)).toContain('unfold to too much');
    expect(refusal('code: &a [*a]')).not.toBe('taken');
    expect(refusal(`params: ${'['.repeat(20_000)}`)).toContain('nested too deeply');
    expect(refusal(`params: ${'['.repeat(5_000)}${']'.repeat(5_000)}`)).not.toBe('taken');
    expect(refusal(`code: ${'x'.repeat(300_000)}`)).toContain('is longer than');
    expect(refusal('code: a\n__proto__: {x: 1}')).toContain('__proto__');
  });

  it('of any bytes gives jobs or one line, never another failure', () => {
    const example = text('examples/jobs/shared-words.yaml');
    const mutated = fc
      .tuple(fc.nat(example.length), fc.nat(12), fc.string({ maxLength: 12 }))
      .map(([at, length, put]) => example.slice(0, at) + put + example.slice(at + length));
    fc.assert(
      fc.property(fc.oneof(mutated, fc.string({ unit: 'binary', maxLength: 200 })), (source) => {
        expect(refusal(source)).not.toContain('\n');
      }),
      { numRuns: 40 },
    );
  });
});

describe('the order of jobs', () => {
  it('is of every graph without a cycle, parents first; else a cycle is shown that is one', () => {
    const graph = fc.integer({ min: 1, max: 8 }).chain((size) =>
      fc.array(fc.uniqueArray(fc.nat(size - 1), { maxLength: 2 }), {
        minLength: size,
        maxLength: size,
      }),
    );
    fc.assert(
      fc.property(graph, (edges) => {
        const jobs = edges.map((parents, i) => ({ name: `${i}`, parents: parents.map(String) }));
        const order = orderJobs(jobs);
        if ('ordered' in order) {
          const place = new Map(order.ordered.map(({ name }, i) => [name, i]));
          expect(place.size).toBe(jobs.length);
          for (const { name, parents } of jobs)
            for (const parent of parents)
              expect(place.get(parent)).toBeLessThan(place.get(name) as number);
        } else {
          const { cycle } = order;
          cycle.forEach((name, i) =>
            expect(jobs[Number(name)]?.parents).toContain(cycle[(i + 1) % cycle.length]),
          );
        }
      }),
      { numRuns: 100 },
    );
  });
});
