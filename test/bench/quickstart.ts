/**
 * How long a newcomer waits: the quickstart in an installed checkout, and (with --full) from a bare
 * clone with nothing installed.
 */
import { execFileSync, spawnSync } from 'node:child_process';
import { mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import type { Bench } from './harness.ts';

function timed(command: string, args: readonly string[], cwd: string): number | string {
  const env = { ...process.env };
  for (const name of Object.keys(env))
    if (name.startsWith('npm_') || name.startsWith('SEELE_')) delete env[name];
  const startedMs = performance.now();
  const { status, stderr } = spawnSync(command, args, {
    cwd,
    env,
    encoding: 'utf8',
    timeout: 600_000,
  });
  if (status !== 0) return `exit ${status}: ${stderr.trim().split('\n').at(-1) ?? ''}`;
  return Number(((performance.now() - startedMs) / 1000).toFixed(2));
}

const npmQuickstart = ['run', 'quickstart', '--', '--json'] as const;

export const bench: Bench = async ({ full, note }) => {
  const skipped: Record<string, string> = {};
  const figure = (name: string, value: number | string): number | null => {
    if (typeof value === 'number') return value;
    skipped[name] = value;
    return null;
  };
  note('in this checkout');
  const installedSeconds = figure('installedSeconds', timed('npm', npmQuickstart, process.cwd()));
  if (!full) {
    skipped['bareCloneSeconds'] = 'only with --full';
    return { figures: { installedSeconds, bareCloneSeconds: null }, skipped };
  }
  note('from a bare clone');
  const folder = mkdtempSync(join(tmpdir(), 'seele-clone-'));
  try {
    execFileSync('git', ['clone', '--quiet', '--no-local', process.cwd(), join(folder, 'seele')]);
    const bare = timed('npm', npmQuickstart, join(folder, 'seele'));
    return {
      figures: { installedSeconds, bareCloneSeconds: figure('bareCloneSeconds', bare) },
      skipped,
    };
  } finally {
    rmSync(folder, { recursive: true, force: true });
  }
};
