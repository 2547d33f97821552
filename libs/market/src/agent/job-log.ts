/** Appends to a job's log as its baton holder, and cuts what is unsaved into signed batches. */
import {
  BATCH_ENTRIES_MAX,
  type EventBatch,
  type EventEntry,
  type LogPosition,
  appendEntry as appendToChain,
  signBatch,
} from '#libs/audit';
import { type CodecValue, encodeWith, utf8 } from '#libs/kernel';
import { PROVIDER_ENTRIES, type ProviderEntryKind } from './entries.ts';
import type { AgentSigner, JobLog, LogLevelName } from './model.ts';

/** Bytes of entries in one batch: with its frame far below AGENT_FRAME_MAX_BYTES. */
const BATCH_BYTES_MAX = 512 * 1024;
/** Lines are put into an entry once they are this long together. */
const LINES_BYTES_MAX = 32 * 1024;
const LINES_MAX = 512;

export function startJobLog(position: LogPosition, unsaved: readonly EventEntry[] = []): JobLog {
  const first = unsaved[0]?.seq ?? position.length;
  return { position, unsaved, sentTo: first, lines: [], lineBytes: 0 };
}

/** Appends one entry; waiting lines come before it. */
export function appendEntry<K extends ProviderEntryKind>(
  log: JobLog,
  job: string,
  timeUs: number,
  kind: K,
  data: CodecValue<(typeof PROVIDER_ENTRIES)[K]>,
): JobLog {
  const before = flushLines(log, job, timeUs);
  const codec = PROVIDER_ENTRIES[kind] as Parameters<typeof encodeWith<typeof data>>[0];
  const { entry, position } = appendToChain(job, before.position, {
    ...{ kind, timeUs },
    data: encodeWith(codec, data),
  });
  return { ...before, position, unsaved: [...before.unsaved, entry] };
}

/** Adds a line; it becomes part of an entry by time or by size. */
export function appendLine(
  log: JobLog,
  job: string,
  now: { readonly timeUs: number; readonly flushAtMs: number },
  line: { readonly level: LogLevelName; readonly text: string },
): JobLog {
  const lineBytes = log.lineBytes + utf8(line.text).length + 16;
  const next = {
    ...log,
    lines: [...log.lines, line],
    lineBytes,
    flushAtMs: log.flushAtMs ?? now.flushAtMs,
  };
  if (lineBytes < LINES_BYTES_MAX && next.lines.length < LINES_MAX) return next;
  return flushLines(next, job, now.timeUs);
}

/** Turns waiting lines into an entry. */
export function flushLines(log: JobLog, job: string, timeUs: number): JobLog {
  if (log.lines.length === 0) return log;
  const { lines } = log;
  return appendEntry({ ...log, lines: [], lineBytes: 0 }, job, timeUs, 'log', { lines });
}

/** Signed batches of everything not yet sent on this connection, and the log that says so. */
export function takeBatches(
  log: JobLog,
  signer: AgentSigner,
): { readonly log: JobLog; readonly batches: readonly EventBatch[] } {
  const fresh = log.unsaved.filter((entry) => entry.seq >= log.sentTo);
  const batches: EventBatch[] = [];
  for (let from = 0; from < fresh.length;) {
    let bytes = 0;
    let to = from;
    while (to < fresh.length && to - from < BATCH_ENTRIES_MAX) {
      bytes += (fresh[to] as EventEntry).data.length + 200;
      if (bytes > BATCH_BYTES_MAX && to > from) break;
      to++;
    }
    batches.push(signBatch(signer, fresh.slice(from, to)));
    from = to;
  }
  const { flushAtMs: _done, ...rest } = log;
  return { batches, log: { ...rest, sentTo: log.position.length } };
}

/** The market has everything up to `saved`; what it cannot have is ignored. */
export function acknowledge(log: JobLog, saved: LogPosition): JobLog {
  if (saved.length > log.position.length) return log;
  return { ...log, unsaved: log.unsaved.filter((entry) => entry.seq >= saved.length) };
}

/** A new connection: everything unsaved has to go again. */
export function unsend(log: JobLog): JobLog {
  return { ...log, sentTo: log.unsaved[0]?.seq ?? log.position.length };
}
