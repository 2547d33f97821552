/** Guest text made safe for terminals and logs. */
import { LOG_LEVELS, type LogLine } from './task.ts';

/** Longest line kept, in UTF-16 units; the rest is counted, not shown. */
export const LOG_LINE_MAX = 8_192;

// C0 and C1 controls except tab, line and paragraph separators, bidirectional overrides and isolates
// (CVE-2021-42574), zero-width and byte-order marks.
const UNSAFE = /(?!\t)\p{Cc}|[\u061c\u200b\u200e\u200f\u2028-\u202e\u2066-\u2069\ufeff]/gu;

/** Replaces control characters by `\u….`, so that no text can move a cursor or hide other text. */
export function escapeControls(text: string): string {
  return text
    .toWellFormed()
    .replace(UNSAFE, (found) => `\\u${found.charCodeAt(0).toString(16).padStart(4, '0')}`);
}

/** The lines of one `log` call. */
export function linesOf(level: number, text: string): LogLine[] {
  return text.split(/\r?\n/).map((line) => ({
    level: LOG_LEVELS[level] ?? 'info',
    text:
      line.length > LOG_LINE_MAX
        ? `${escapeControls(line.slice(0, LOG_LINE_MAX))}… (${line.length - LOG_LINE_MAX} more)`
        : escapeControls(line),
  }));
}
