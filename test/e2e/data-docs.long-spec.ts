import { mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { type LocalMachine, seele, startLocalMachine } from '../support/local-machine.ts';

const page = readFileSync(join(process.cwd(), 'docs/data.md'), 'utf8');
const VERBS = ['add', 'list', 'watch', 'rollout', 'prove', 'grant', 'revoke', 'serve', 'fetch'];

function fenced(language: string): string {
  const found = page.split(`\n\`\`\`${language}\n`)[1]?.split('\n```')[0];
  if (found === undefined) throw new Error(`docs/data.md has no ${language} block`);
  return `${found}\n`;
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

  it('every verb says what it takes, with an example', async () => {
    for (const verb of VERBS) {
      const { code, stdout } = await seele(['data', verb, '--help']);
      expect([verb, code]).toEqual([verb, 0]);
      expect(stdout).toContain(`Example:\n  $ seele data ${verb}`);
    }
  }, 60_000);
});
