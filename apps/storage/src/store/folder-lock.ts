import { createHash } from 'node:crypto';
import { realpath } from 'node:fs/promises';
import { createServer } from 'node:net';
import { platform } from 'node:os';

import { diskError } from './disk.ts';

/**
 * Holds a folder for this process alone; the kernel releases it when the process dies, however it
 * dies. An abstract socket does that without a file that outlives its owner, on Linux; elsewhere
 * nothing is held. @throws STORAGE_DISK when another process has it
 */
export async function lockFolder(path: string): Promise<() => Promise<void>> {
  if (platform() !== 'linux') return async () => {};
  const name = createHash('sha256')
    .update(await realpath(path))
    .digest('hex');
  const server = createServer((socket) => socket.destroy());
  await new Promise<void>((resolve, reject) => {
    server.once('error', (error: NodeJS.ErrnoException) => {
      const taken = error.code === 'EADDRINUSE';
      const why = taken ? 'another storage process uses it' : error.message;
      reject(diskError('STORAGE_DISK', `cannot open ${path}: ${why}`));
    });
    server.listen(`\0seele-storage-${name}`, resolve);
  });
  server.unref();
  return () => new Promise((resolve) => server.close(() => resolve()));
}
