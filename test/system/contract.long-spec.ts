/** A user's contract from template to chain, by the commands alone. */
import { mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { type LocalMachine, startLocalMachine } from '../support/local-machine.ts';

describe('a user’s contract', () => {
  let machine: LocalMachine;
  let folder: string;
  beforeAll(async () => {
    machine = await startLocalMachine({}, 0);
    folder = join(mkdtempSync(join(tmpdir(), 'seele-contract-')), 'bee');
  }, 120_000);
  afterAll(async () => {
    await machine.stop();
    rmSync(folder, { recursive: true, force: true });
  }, 60_000);

  const contract = async (...args: readonly string[]) => {
    const { code, stdout, stderr } = await machine.seele('contract', ...args, '--json');
    return { code, stderr, answer: JSON.parse(stdout || '{}') as Record<string, unknown> };
  };

  it('is begun from a template, tested, deployed, called and asked', async () => {
    expect(await contract('new', folder, '--template', 'token')).toMatchObject({ code: 0 });
    expect(await contract('test', folder)).toMatchObject({ code: 0, answer: { failed: 0 } });
    const init = ['--init', 'init', '--args', '["BEE", 1000]', '--name', 'bee'];
    const deployed = await contract('deploy', folder, ...init);
    expect(deployed).toMatchObject({ code: 0, stderr: '', answer: { kind: 'js', name: 'bee' } });
    const address = deployed.answer['contract'] as string;
    const shown = await machine.seele('account', 'show', '--json');
    const { address: me } = JSON.parse(shown.stdout) as { address: string };

    const sent = await contract('call', address, 'transfer', '--args', `["${address}", 30]`);
    expect(sent).toMatchObject({ code: 0, answer: { events: [{ topic: 'transfer' }] } });
    const view = ['balance', '--args', `["${me}"]`, '--view'];
    expect(await contract('call', 'bee', ...view)).toMatchObject({
      answer: { result: expect.anything() as unknown },
    });
    const refused = await contract('call', 'bee', 'transfer', '--args', `["${address}", 5000]`);
    expect([refused.code, refused.stderr]).toEqual([1, expect.stringContaining('BALANCE')]);
    const dry = await contract('call', 'bee', 'balance', '--args', '[]', '--view', '--value', 'x');
    expect(dry.stderr).toContain('CLI_USAGE');
    const again = await contract('deploy', folder, '--salt', '');
    expect([again.code, again.stderr]).toEqual([1, expect.stringMatching(/\[\w+\]\n$/)]);
  }, 120_000);

  it('that recurses for ever ends by the counted stack, in its tests as on the chain', async () => {
    const deep = `${folder}-deep`;
    await contract('new', deep, '--template', 'token');
    writeFileSync(
      join(deep, 'contract.ts'),
      'const down = (n) => 1 + down(n + 1);\nexport function dive(ctx) { return BigInt(down(0)); }\n',
    );
    writeFileSync(
      join(deep, 'contract.test.ts'),
      `export const tests = { dives: (chain) => chain.equal(chain.failure('dive', []), 'THREW') };\n`,
    );
    expect(await contract('test', deep)).toMatchObject({ code: 0, answer: { failed: 0 } });
    const { answer } = await contract('deploy', deep);
    const call = await contract('call', answer['contract'] as string, 'dive');
    expect([call.code, call.stderr]).toEqual([1, expect.stringContaining('THREW')]);
    const log = readFileSync(join(machine.home, 'logs/node.log'), 'utf8');
    expect(log).not.toContain('VM_HOST_FAULT');
  }, 120_000);
});
