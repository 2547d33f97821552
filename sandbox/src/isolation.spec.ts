import { type Bytes, utf8 } from '#libs/kernel';
import { DEFAULT_JOB_LIMITS } from '#libs/market';
import { levelOf } from './isolation.ts';
import { namespacesLayer } from './layers/namespaces.ts';
import { runTool } from './layers/run-tool.ts';
import { seccompFilter } from './layers/seccomp-filter.ts';
import { elfInterpreter } from './layers/slot-root.ts';
import { createSlotPool, defaultLayers } from './pool.ts';

describe('the level', () => {
  const up = ['process', 'watchdog', 'permission', 'prlimit', 'no-new-privileges', 'namespaces'];
  const reports = (names: readonly string[]) =>
    names.map((name) => ({ name, holds: true, evidence: 'seen' }));

  it('is what the lowest failing layer leaves, and names it', () => {
    expect(levelOf(reports(up))).toMatchObject({ level: 'S2', failing: { name: 'seccomp' } });
    expect(levelOf(reports([...up, 'seccomp', 'cgroup']))).toMatchObject({
      level: 'S3',
      failing: { name: 'virtual-machine' },
    });
    expect(levelOf(reports([...up.slice(0, 3), 'namespaces', 'seccomp', 'cgroup']))).toMatchObject({
      level: 'S0',
      failing: { name: 'prlimit' },
    });
  });
});

describe('layers the machine may lack', () => {
  it.each([
    ['without bubblewrap, an own root by unshare', ['unshare']],
    ['without either, the levels below', []],
  ] as const)('%s', async (_what, tools) => {
    const layers = defaultLayers(DEFAULT_JOB_LIMITS.memoryBytes, tools);
    const weaker = await createSlotPool({ slots: 1, spares: 0, layers, kinds: ['js'] });
    const { level, layers: found, failing } = weaker.isolation;
    const holds = (name: string) => found.some((layer) => layer.name === name && layer.holds);
    // A tool that works here makes a slot that starts: a layer is never lost silently.
    expect(holds('namespaces')).toBe((await namespacesLayer(tools).unavailable()) === undefined);
    expect(level).toBe(holds('namespaces') ? 'S2' : 'S1');
    expect(failing?.name).toBe(holds('namespaces') ? 'seccomp' : 'namespaces');
    const task = {
      code: utf8('export default () => 1'),
      inputs: {},
      params: '{}',
      limits: DEFAULT_JOB_LIMITS,
    };
    expect(await weaker.run(task)).toMatchObject({ exit: 'ok' });
    weaker.close();
  });
});

describe('tools', () => {
  it('that are not there are named', async () => {
    expect(await runTool('seele-no-such-tool', [])).toBe('seele-no-such-tool is not installed');
  });

  it('an executable names its loader, a script has none', () => {
    expect(elfInterpreter(process.execPath) ?? '/').toMatch(/^\//);
    expect(elfInterpreter(import.meta.filename)).toBeUndefined();
  });
});

describe('the system call filter', () => {
  /** A small interpreter of classic BPF: enough to ask what the filter answers. */
  function answer(program: Bytes, call: { arch: number; number: number; first?: number }): number {
    const code = new DataView(program.buffer);
    const data: Record<number, number> = { 0: call.number, 4: call.arch, 16: call.first ?? 0 };
    let value = 0;
    for (let at = 0; ; at++) {
      const [op, k] = [code.getUint16(at * 8, true), code.getUint32(at * 8 + 4, true)];
      const [yes, no] = [code.getUint8(at * 8 + 2), code.getUint8(at * 8 + 3)];
      if (op === 0x06) return k;
      if (op === 0x20) value = (data[k] as number) >>> 0;
      else if (op === 0x15) at += value === k ? yes : no;
      else if (op === 0x35) at += value >= k ? yes : no;
      else at += (value & k) === 0 ? no : yes;
    }
  }

  it.each([
    ['x64', 0xc000003e, { read: 0, socket: 41, clone: 56, fork: 57, ptrace: 101, bpf: 321 }],
    ['arm64', 0xc00000b7, { read: 63, socket: 198, clone: 220, ptrace: 117, bpf: 280 }],
  ])('of %s allows what Node needs and refuses the rest', (name, arch, calls) => {
    const program = seccompFilter(name) as Bytes;
    const of = (number: number, first?: number) =>
      answer(program, { arch, number, ...(first === undefined ? {} : { first }) });
    expect(of(calls.read)).toBe(0x7fff0000);
    expect(of(calls.clone, 0x3d0f00)).toBe(0x7fff0000);
    expect(of(calls.clone, 17)).toBe(0x50001);
    expect(of(435)).toBe(0x50026);
    for (const number of [calls.socket, calls.ptrace, calls.bpf, 0x40000000])
      expect(of(number)).toBe(0x50001);
    expect(answer(program, { arch: 1, number: calls.read })).toBe(0x80000000);
  });

  it('has none for a machine it does not know', () =>
    expect(seccompFilter('riscv64')).toBeUndefined());
});
