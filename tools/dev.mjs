// Development loop: compiles on every change and restarts the local processes when a build settles.
// Usage: npm run dev [-- arguments of `seele up`]
import { spawn } from 'node:child_process';
import { watch } from 'node:fs';
import { join } from 'node:path';

const root = join(import.meta.dirname, '..');
const settleMs = 400;
const sources = ['apps', 'libs', 'contracts', 'sandbox', 'tools', 'test'];

const compiler = spawn(
  'swc',
  [...sources, '-d', 'dist', '--ignore', '**/*.spec.ts', '--watch', '--quiet'],
  { cwd: root, stdio: ['ignore', 'inherit', 'inherit'] },
);

let seele;
let stopping = false;

function start() {
  const main = join(root, 'dist/apps/cli/src/main.js');
  const args = [main, 'up', '--foreground', ...process.argv.slice(2)];
  seele = spawn(process.execPath, args, { cwd: root, stdio: 'inherit' });
}

function restart() {
  if (!seele || seele.exitCode !== null) return start();
  seele.once('exit', start);
  seele.kill('SIGTERM');
}

let timer;
watch(join(root, 'dist'), { recursive: true }, (_event, file) => {
  if (stopping || !file?.endsWith('.js')) return;
  clearTimeout(timer);
  timer = setTimeout(restart, settleMs);
});

for (const signal of ['SIGINT', 'SIGTERM'])
  process.once(signal, () => {
    stopping = true;
    compiler.kill();
    if (!seele || seele.exitCode !== null) process.exit(0);
    seele.once('exit', () => process.exit(0));
    seele.kill('SIGTERM');
  });

start();
