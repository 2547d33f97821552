import { spawn } from 'node:child_process';
import { once } from 'node:events';
import { mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { createInterface } from 'node:readline';
import { type LocalMachine, seele, startLocalMachine } from '../support/local-machine.ts';

const page = readFileSync(join(process.cwd(), 'docs/data.md'), 'utf8');
const VERBS = ['add', 'list', 'watch', 'rollout', 'prove', 'grant', 'revoke', 'serve', 'fetch'];

function fenced(language: string): string {
  const found = page.split(`\n\`\`\`${language}\n`)[1]?.split('\n```')[0];
  if (found === undefined) throw new Error(`docs/data.md has no ${language} block`);
  return `${found}\n`;
}

/** `seele data serve` until stopped; resolves when it serves. */
async function serveAlongside(home: string): Promise<() => Promise<void>> {
  const main = join(process.cwd(), 'dist/apps/cli/src/main.js');
  const child = spawn(process.execPath, [main, 'data', 'serve', '--home', home], {
    stdio: ['ignore', 'pipe', 'inherit'],
  });
  const ended = once(child, 'exit');
  for await (const line of createInterface({ input: child.stdout }))
    if (line.startsWith('Serving at')) break;
  return async () => {
    child.kill('SIGTERM');
    await ended;
  };
}

describe('docs/data.md', () => {
  let machine: LocalMachine;
  let folder: string;
  beforeAll(async () => {
    folder = mkdtempSync(join(tmpdir(), 'seele-data-docs-'));
    machine = await startLocalMachine({}, 0);
  }, 120_000);
  afterAll(async () => {
    await machine.stop();
    rmSync(folder, { recursive: true, force: true });
  }, 60_000);

  it('the worked example does what it says', async () => {
    writeFileSync(join(folder, 'claims.csv'), fenced('csv'));
    writeFileSync(join(folder, 'claims.yaml'), fenced('yaml'));
    const answers: Record<string, unknown>[] = [];
    for (const line of fenced('sh').trim().split('\n')) {
      const args = line
        .split(' ')
        .slice(1)
        .map((word) =>
          /^[a-z]+\.(?:csv|yaml|nq|proof|grant)$/.test(word) ? join(folder, word) : word,
        );
      const { code, stdout, stderr } = await machine.seele(...args, '--json');
      expect([line, code, stderr]).toEqual([line, 0, '']);
      answers.push(JSON.parse(stdout) as Record<string, unknown>);
    }
    expect(answers[0]).toMatchObject({ published: true, version: '1.0.0', vetoed: ['patient_id'] });
    expect(answers[2]).toMatchObject({ valid: true, isWholePublic: true });
    expect(answers[4]).toMatchObject({ valid: true, isWholePublic: false });
    expect(answers[4]?.['statements']).toHaveLength(4);
    const directory = readFileSync(join(folder, 'claims.nq'), 'utf8');
    expect(directory).toContain('icd10');
    expect(directory).not.toContain('patient_id');
  }, 120_000);

  it('what stays with its owner is read with a grant, as often as it says', async () => {
    const stop = await serveAlongside(machine.home);
    try {
      const grant = join(folder, 'claims.grant');
      const out = join(folder, 'fetched.csv');
      const fetched = () => machine.seele('data', 'fetch', grant, '--out', out, '--json');
      expect((await fetched()).code).toBe(0);
      expect(readFileSync(out, 'utf8')).toBe(fenced('csv'));
      const { use } = JSON.parse((await fetched()).stdout) as { use: string };
      const range = ['--use', use, '--range', '0-9', '--json'];
      const more = await machine.seele('data', 'fetch', grant, '--out', out, ...range);
      expect([more.code, readFileSync(out, 'utf8')]).toEqual([0, 'patient_id']);
      expect((await fetched()).stderr).toContain('[DATA_GRANT]');
    } finally {
      await stop();
    }
  }, 120_000);

  it('every verb says what it takes, with an example', async () => {
    for (const verb of VERBS) {
      const { code, stdout } = await seele(['data', verb, '--help']);
      expect([verb, code]).toEqual([verb, 0]);
      expect(stdout).toContain(`Example:\n  $ seele data ${verb}`);
    }
  }, 60_000);
});
