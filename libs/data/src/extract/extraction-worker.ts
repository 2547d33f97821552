/**
 * The process that looks into files. It may read them and nothing else (Node's permission model), has
 * little memory, and is killed when it takes too long: whatever a file does to its reader stays here.
 */
import { createWriteStream } from 'node:fs';
import { join } from 'node:path';
import { text } from 'node:stream/consumers';
import { isSeeleError } from '#libs/kernel';
import type { Cell } from '../profile/value-kinds.ts';
import { type ExtractionNews, type ExtractionRequest, NEWS_FD } from './extraction-protocol.ts';
import { SourceProfiler, readFormat } from './profile-file.ts';
import { FaultList } from './source-profile.ts';
import { isOfSystem, unreadable } from './unreadable.ts';

const out = createWriteStream('', { fd: NEWS_FD });
const say = (news: ExtractionNews): void => void out.write(`${JSON.stringify(news)}\n`);

// Readers read parts side by side; of several that fail one is reported, and the others end nothing.
process.on('unhandledRejection', () => undefined);

async function profile(request: ExtractionRequest & { is: 'profile' }): Promise<void> {
  const profiler = new SourceProfiler(request.kind);
  if (request.kind === 'file') await profiler.add(request.path, '');
  else
    for (const name of JSON.parse(await text(process.stdin)) as readonly string[]) {
      say({ is: 'at', name });
      await profiler.add(join(request.path, name), name);
    }
  say({ is: 'profile', profile: profiler.profile() });
}

/** A value of the column on each line, as JSON; rows without one give `null`. */
async function column({ path, column: name }: ExtractionRequest & { is: 'column' }): Promise<void> {
  let lines: string[] = [];
  const flush = (): void => {
    process.stdout.write(lines.join(''));
    lines = [];
  };
  await readFormat(path, new FaultList(), (record) => {
    const value: Cell = record[name] ?? null;
    const line = JSON.stringify(value, (_key, part: unknown) =>
      typeof part === 'bigint' ? String(part) : part,
    );
    if (lines.push(`${line}\n`) >= 1_024) flush();
  });
  flush();
}

try {
  const request = JSON.parse(process.argv[2] ?? '') as ExtractionRequest;
  await (request.is === 'profile' ? profile(request) : column(request));
} catch (thrown) {
  const error = isOfSystem(thrown) ? unreadable(thrown, '') : thrown;
  const code = isSeeleError(error) ? error.code : 'DATA_EXTRACTION';
  say({ is: 'refusal', code, message: error instanceof Error ? error.message : String(error) });
}
