/** Messages as text: for traces, and to see whether a node contradicts itself. */
import type { EdaMessage } from '#libs/eda';

/** A message in words, for people. */
export function wordsOf(message: EdaMessage): string {
  switch (message.kind) {
    case 'prepare':
    case 'commit':
      return `${message.kind} slot ${message.message.slot} view ${message.message.view} ${message.message.hash.slice(0, 8)}`;
    case 'proposal':
      return `proposal slot ${message.message.slot} view ${message.message.view}, ${message.message.body.entries.length} blocks`;
    case 'newview':
      return `newview slot ${message.message.slot} view ${message.message.view}, lock ${message.message.highQc?.view ?? 'none'}`;
    case 'block':
      return `block ${message.message.author}/${message.message.seq}`;
    default:
      return message.kind;
  }
}

/** What a signed message says: two of one node for one place must be equal. */
export function saidBy(message: EdaMessage): string {
  if (message.kind === 'prepare' || message.kind === 'commit') return message.message.hash;
  if (message.kind === 'newview') {
    const { timeUs, reports, highQc } = message.message;
    return `${timeUs}/${reports.length}/${highQc?.view ?? ''}/${highQc?.hash ?? ''}`;
  }
  if (message.kind === 'tick')
    return `${message.message.axis}/${message.message.entries.map(({ x, hash }) => hash + x).join()}`;
  return '';
}
