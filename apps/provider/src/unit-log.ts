/**
 * The first log lines of the tasks of a batch that failed: enough to see why, bounded whatever guests
 * write. Those of tasks that ended well are dropped.
 */
import { BATCH_LOG_MAX_CHARACTERS, UNIT_LOG_LINES_MAX, UNIT_LOG_LINE_MAX } from '#libs/market';

export interface UnitLog {
  /** A task begins, or begins anew: what it said before is forgotten. */
  begin(): void;
  take(line: { readonly level: string; readonly text: string }): void;
  /** What the task that failed has said, out of what is left for the batch; undefined for nothing. */
  keep(): string[] | undefined;
}

export function createUnitLog(): UnitLog {
  let lines: string[] = [];
  let left = BATCH_LOG_MAX_CHARACTERS;
  return {
    begin: () => {
      lines = [];
    },
    take: ({ level, text }) => {
      if (lines.length >= UNIT_LOG_LINES_MAX) return;
      const line = level === 'info' ? text : `${level}: ${text}`;
      lines.push(line.slice(0, UNIT_LOG_LINE_MAX).toWellFormed());
    },
    keep: () => {
      const kept: string[] = [];
      for (const line of lines) {
        if (line.length > left) break;
        left -= line.length;
        kept.push(line);
      }
      lines = [];
      return kept.length > 0 ? kept : undefined;
    },
  };
}
