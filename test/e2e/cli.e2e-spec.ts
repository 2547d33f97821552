/** The command line as programs and people see it, without anything running behind it. */
import { mkdtempSync, readFileSync, rmSync, statSync, writeFileSync } from 'node:fs';
import { createServer } from 'node:net';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { seele } from '../support/local-machine.ts';

describe('seele', () => {
  let home: string;
  beforeEach(() => {
    home = mkdtempSync(join(tmpdir(), 'seele-cli-'));
  });
  afterEach(() => rmSync(home, { recursive: true, force: true }));

  // Every command's own text: apps/cli/src/program.spec.ts.
  it('explains itself and its commands', async () => {
    const helps = [['--help'], ['job', 'show', '--help'], ['sim', 'market', '--help']];
    for (const { code, stdout, stderr } of await Promise.all(helps.map((words) => seele(words)))) {
      expect([code, stderr]).toEqual([0, '']);
      expect(stdout).toMatch(/^Usage: seele [^]*\nExample:\n {2}\$ seele /);
    }
  });

  it('ends well when its reader has gone, in the midst of a help text too', async () => {
    const { code, stderr } = await seele(['run', '--help'], {}, { isRead: false });
    expect([code, stderr]).toEqual([0, '']);
  });

  it.each([
    [['nonsense']],
    [['account', 'send', 'onlyone']],
    [['run']],
    [['up', '--ports', 'some']],
    [['bench', 'merkle', '--seed', 'x']],
    [['bench', 'nonsense']],
    [['sim', 'eda', '--nodes', 'ten']],
    [['sim', 'market', '--seeds', '5-1']],
    [['sim', 'scheduler', '--tasks', 'x', '--policy', 'best']],
    [['job', 'show', 'not-hex']],
  ])('exits 2 on wrong usage: %j', async (args) => {
    const { code, stdout, stderr } = await seele([...args, '--home', home]);
    expect(stdout).toBe('');
    expect(stderr).toMatch(/^seele: .+\[CLI_(USAGE|NOT_UP|ACCOUNT_UNKNOWN)\]\n$/);
    if (stderr.includes('CLI_USAGE')) expect(code).toBe(2);
  });

  it('says one thing on one line, and one JSON document with --json', async () => {
    const { code, stdout, stderr } = await seele(['job', 'list', '--home', home, '--json']);
    expect(code).toBe(1);
    expect(stderr.trim().split('\n')).toHaveLength(1);
    const document = JSON.parse(stdout) as { error: Record<string, unknown> };
    expect(Object.keys(document.error).toSorted()).toEqual(
      ['code', 'fix', 'message', 'status', 'title'].toSorted(),
    );
  });

  it('makes an account once, encrypted, readable by its owner only', async () => {
    const made = await seele(['account', 'new', 'alice', '--home', home, '--json']);
    expect(made.code).toBe(0);
    const { address } = JSON.parse(made.stdout) as { address: string };
    expect(address).toMatch(/^seele1/);
    const file = join(home, 'keys/alice.json');
    expect(statSync(file).mode & 0o777).toBe(0o600);
    expect(JSON.parse(readFileSync(file, 'utf8'))).toMatchObject({ account: address });
    const again = await seele(['account', 'new', 'alice', '--home', home]);
    expect([again.code, again.stderr]).toEqual([1, expect.stringContaining('CLI_ACCOUNT_EXISTS')]);
    const bad = await seele(['account', 'new', '../alice', '--home', home]);
    expect(bad.code).toBe(2);
  });

  it('says so when the home cannot be used', async () => {
    const file = join(home, 'a-file');
    writeFileSync(file, '');
    const { code, stderr } = await seele(['up', '--ports', 'auto', '--home', join(file, 'x')]);
    expect([code, stderr]).toEqual([1, expect.stringMatching(/CLI_HOME/)]);
  });

  it('names the occupied port and who wanted it', async () => {
    const server = createServer().listen(7402, '127.0.0.1');
    await new Promise((resolve) => server.once('listening', resolve).once('error', resolve));
    try {
      const { code, stderr } = await seele(['up', '--home', home]);
      expect([code, stderr]).toEqual([1, expect.stringMatching(/port 740\d .*--ports auto/)]);
    } finally {
      server.close();
    }
  });

  it('has nothing to stop when nothing runs, and ignores what a dead supervisor left', async () => {
    const none = await seele(['down', '--home', home, '--json']);
    expect([none.code, none.stdout]).toEqual([0, '{"stopped":0}\n']);
    await seele(['account', 'new', 'x', '--home', home]);
    const stale = { pid: process.pid, startTicks: '1', processes: [], phase: 'ready' };
    writeFileSync(join(home, 'run/supervisor.json'), JSON.stringify(stale));
    const down = await seele(['down', '--home', home]);
    expect([down.code, down.stdout]).toEqual([0, 'Nothing was running.\n']);
  });
});
