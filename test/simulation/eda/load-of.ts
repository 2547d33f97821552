/** What messages of EDA weigh on links and processors. */
import { type EdaMessage, encodeMessage } from '#libs/eda';
import type { Load } from './links.ts';

const loads = new WeakMap<EdaMessage, Load>();

function signaturesIn(message: EdaMessage): number {
  switch (message.kind) {
    case 'proposal':
      return 1 + message.message.justification.length;
    case 'final':
      return message.certificate.votes.length;
    case 'newview':
      return 1 + (message.message.highQc?.votes.length ?? 0);
    case 'body':
    case 'fetch':
      return 0;
    default:
      return 1;
  }
}

function entriesIn(message: EdaMessage): number {
  if (message.kind === 'tick') return message.message.entries.length;
  if (message.kind === 'proposal') return message.message.body.entries.length;
  if (message.kind === 'newview') return message.message.reports.length;
  return message.kind === 'final' || message.kind === 'body' ? message.body.entries.length : 0;
}

/** Transactions are not made: a block says how many it stands for, and weighs as much. */
export function loadOf(message: EdaMessage, transactionBytes: number): Load {
  const known = loads.get(message);
  if (known) return known;
  const transactions = message.kind === 'block' ? message.message.count : 0;
  const load = {
    bytes: encodeMessage(message).length + transactions * transactionBytes,
    signatures: signaturesIn(message),
    entries: entriesIn(message),
    transactions,
  };
  loads.set(message, load);
  return load;
}
