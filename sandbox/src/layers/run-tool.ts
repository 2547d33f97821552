import { execFile } from 'node:child_process';

/** Runs a small system tool with an empty environment; resolves with why it failed, if it did. */
export function runTool(tool: string, args: readonly string[]): Promise<string | undefined> {
  return new Promise((resolve) => {
    const env = { PATH: '/usr/sbin:/usr/bin:/sbin:/bin' };
    execFile(tool, [...args], { env, timeout: 5_000 }, (error, _stdout, stderr) => {
      if (error === null) resolve(undefined);
      else if (error.code === 'ENOENT') resolve(`${tool} is not installed`);
      else resolve(`${tool}: ${(stderr.trim() || error.message).slice(0, 200)}`);
    });
  });
}
