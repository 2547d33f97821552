import { mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { createMemoryBlobStore } from '#libs/storage';
import { type JobOptions, prepareJob } from './job-input.ts';

const CHECK = 'export default async ({ params }) => params.least > 0;';
let folder: string;
beforeAll(() => {
  folder = mkdtempSync(join(tmpdir(), 'seele-validator-'));
  writeFileSync(join(folder, 'sum.js'), 'export default () => 1;');
  writeFileSync(join(folder, 'check.js'), CHECK);
});
afterAll(() => rmSync(folder, { recursive: true }));

const prepare = (options: Partial<JobOptions>) =>
  prepareJob(createMemoryBlobStore(), join(folder, 'sum.js'), {
    ...{ in: [], param: [], tier: 'A', wall: '60', memory: '256', from: 'default' },
    ...options,
  });

test('--validator FILE goes into the manifest with params and fuel, and limits the output', async () => {
  const { manifest } = await prepare({
    validator: join(folder, 'check.js'),
    ...{ validatorParam: ['least=10', 'mode=strict'], validatorFuel: '5000000' },
  });
  const { validator, limits } = manifest;
  expect(validator).toMatchObject({ params: '{"least":10,"mode":"strict"}', fuel: 5_000_000n });
  expect(limits.outputBytes).toBe(16 * 2 ** 20);
  // One that is stored already is named by its id.
  const again = await prepare({ validator: validator?.code ?? '' });
  expect(again.manifest.validator).toEqual({ code: validator?.code, params: '{}' });
  expect((await prepare({})).manifest.validator).toBeUndefined();
});

test.each([
  ['no such file', { validator: 'nowhere.js' }, 'CLI_FILE'],
  ['fuel that is no number', { validator: 'check.js', validatorFuel: '-5' }, 'CLI_USAGE'],
  ['fuel of nothing', { validatorFuel: '5' }, 'CLI_USAGE'],
  ['a parameter of nothing', { validatorParam: ['a=1'] }, 'CLI_USAGE'],
  ['a parameter without a value', { validator: 'check.js', validatorParam: ['a'] }, 'CLI_USAGE'],
  [
    'more fuel than a market spends',
    { validator: 'check.js', validatorFuel: '9'.repeat(19) },
    'SDK_INPUT_INVALID',
  ],
] as const)('%s is refused in one line', async (_, given, code) => {
  const there = (path: string): string => (path === 'check.js' ? join(folder, path) : path);
  const options = 'validator' in given ? { ...given, validator: there(given.validator) } : given;
  const refusal = await prepare(options).then(
    () => undefined,
    (error: { code: string; message: string }) => error,
  );
  expect(refusal).toMatchObject({ code });
  expect(refusal?.message).not.toContain('\n');
});
