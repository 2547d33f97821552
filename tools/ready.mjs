// Makes a checkout ready to run: installs what package-lock.json pins when it changed, then
// compiles. Plain JavaScript, because it runs before anything is installed, on any Node >= 20.11.
import { execFileSync } from 'node:child_process';
import { createHash } from 'node:crypto';
import { readFileSync, writeFileSync } from 'node:fs';
import { delimiter, join } from 'node:path';

const root = join(import.meta.dirname, '..');
const stamp = join(root, 'node_modules', '.seele-installed');
const env = {
  ...process.env,
  PATH: join(root, 'node_modules', '.bin') + delimiter + process.env.PATH,
};

const run = (command, ...args) =>
  execFileSync(command, args, { cwd: root, env, stdio: ['ignore', 'inherit', 'inherit'] });

const read = (path) => {
  try {
    return readFileSync(path, 'utf8');
  } catch {
    return '';
  }
};

// Contents, not modification times: git writes files in any order.
const wanted = createHash('sha256')
  .update(read(join(root, 'package.json')))
  .update(read(join(root, 'package-lock.json')))
  .digest('hex');

if (read(stamp) !== wanted) {
  // Not `npm ci`: it refuses lockfiles written where a registry lacks other platforms' binaries.
  run('npm', 'install', '--no-save', '--ignore-scripts', '--prefer-offline', '--loglevel=error');
  writeFileSync(stamp, wanted);
}
const sources = ['apps', 'libs', 'contracts', 'sandbox', 'tools', 'test'];
const tests = '**/*.spec.ts,**/*.e2e-spec.ts,**/*.system-spec.ts,**/peers/**';
run('swc', ...sources, '-d', 'dist', '--ignore', tests, '--quiet');
