/**
 * Which pairs of signed statements an honest validator never makes: what a stake contract takes as
 * proof to slash. Signatures are the caller's to check.
 */
import { equalBytes } from '#libs/kernel';
import { type Sealed, type SignedKind, type SignedMessages, signedBytes } from './messages.ts';

/** Something signed, with its kind. */
export type Statement = {
  [K in SignedKind]: { readonly kind: K } & Sealed<SignedMessages[K]>;
}[SignedKind];
type Of<K extends SignedKind> = Extract<Statement, { kind: K }>;

function isSame(a: Statement, b: Statement): boolean {
  return (
    a.kind === b.kind &&
    equalBytes(
      signedBytes(a.kind, a.message as SignedMessages[typeof a.kind]),
      signedBytes(b.kind, b.message as SignedMessages[typeof b.kind]),
    )
  );
}

/** Two acknowledgements, in one tick or two, of different blocks of one author and number. */
function acknowledgesTwice(a: Of<'tick'>, b: Of<'tick'>): boolean {
  const first = new Map<string, string>();
  for (const { era, author, seq, hash } of [...a.message.entries, ...b.message.entries]) {
    const name = `${era}/${author}/${seq}`;
    const known = first.get(name);
    if (known !== undefined && known !== hash) return true;
    first.set(name, hash);
  }
  return false;
}

/** A COMMIT, and a NEWVIEW of a later view that reports a lower lock (or none). */
function forgetsItsLock(commit: Of<'commit'>, newView: Of<'newview'>): boolean {
  const { slot, view } = commit.message;
  const { slot: otherSlot, view: later, highQc } = newView.message;
  return slot === otherSlot && later > view && (highQc === null || highQc.view < view);
}

/**
 * Whether two statements of one validator on one chain and era exclude each other: two TICKs of one
 * number, two ACKs or BLOCKs of one place, two PREPAREs, COMMITs, NEWVIEWs or PROPOSALs of one view,
 * two ATTESTs of one slot, a COMMIT that a later NEWVIEW denies.
 */
export function isContradiction(first: Statement, second: Statement): boolean {
  const [a, b] = [first, second];
  if (a.message.chain !== b.message.chain || a.from !== b.from) return false;
  if (a.message.era !== b.message.era) return false;
  if (a.kind === 'commit' && b.kind === 'newview') return forgetsItsLock(a, b);
  if (a.kind === 'newview' && b.kind === 'commit') return forgetsItsLock(b, a);
  if (a.kind === 'tick' && b.kind === 'tick')
    return (a.message.k === b.message.k && !isSame(a, b)) || acknowledgesTwice(a, b);
  if (a.kind !== b.kind || isSame(a, b)) return false;
  if (a.kind === 'ack') {
    const other = (b as Of<'ack'>).message;
    return a.message.author === other.author && a.message.seq === other.seq;
  }
  if (a.kind === 'block') return a.message.seq === (b as Of<'block'>).message.seq;
  const [one, other] = [a.message, b.message] as { slot: number; view?: number }[];
  return one?.slot === other?.slot && one?.view === other?.view;
}
