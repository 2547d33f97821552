/**
 * Every course of one slot at W = 4 (u = r = 1, Q = 3): three honest validators, one that may say
 * anything to anybody at any time, two views, two bodies. Messages are never taken back and may arrive
 * at any time or never, so a state is what was said; the search visits all of them, using the voting
 * rules of the reducer itself.
 */
import {
  type EdaRules,
  type Lock,
  type VoteState,
  SOUND_RULES,
  boundHash,
  mayCommit,
  mayPrepare,
  raiseLock,
  reportedLock,
} from '#libs/eda';

const HONEST = 3;
const QUORUM = 3;
const BODIES = ['A', 'B'] as const;
type BodyName = (typeof BODIES)[number];

interface Node {
  readonly votes: VoteState;
  /** PREPAREs and COMMITs ever sent: bit (view * 2 + body). */
  readonly prepares: number;
  readonly commits: number;
  /** Lock reported in NEWVIEW(1): undefined when not sent. */
  readonly reported: Lock | 'none' | undefined;
}
type State = readonly Node[];

export interface ExhaustiveResult {
  readonly states: number;
  /** A shortest way to two decisions, if there is one. */
  readonly fork: readonly string[] | undefined;
}

const bit = (view: number, body: BodyName): number => 1 << (view * 2 + BODIES.indexOf(body));

/** Weight for (view, body), the liar's vote always among it. */
function weightOf(
  state: State,
  kind: 'prepares' | 'commits',
  view: number,
  body: BodyName,
): number {
  let weight = 1;
  for (const node of state) if (node[kind] & bit(view, body)) weight += 1;
  return weight;
}

function keyOf(state: State): string {
  // Honest validators are interchangeable.
  return state
    .map(({ votes, prepares, commits, reported }) => {
      const { view, prepared, committed, lock } = votes;
      const text = (l: Lock | 'none' | undefined) =>
        l === undefined ? '-' : l === 'none' ? 'n' : `${l.view}${l.hash}`;
      return `${view}${text(prepared)}${text(committed)}${text(lock)}/${prepares}/${commits}/${text(reported)}`;
    })
    .sort()
    .join('|');
}

/** Hashes that some justification for view 1 binds to; undefined stands for "derive, any body". */
function bindings(state: State): ReadonlySet<string | undefined> {
  const sent = state.flatMap(({ reported }) =>
    reported === undefined ? [] : [reported === 'none' ? null : reported],
  );
  // The liar reports no lock, or any certificate that exists.
  const lies: (Lock | null)[] = [null];
  for (const hash of BODIES)
    if (weightOf(state, 'prepares', 0, hash) >= QUORUM) lies.push({ view: 0, hash });
  const out = new Set<string | undefined>();
  if (sent.length >= QUORUM) out.add(boundHash(sent));
  for (let i = 0; i < sent.length; i++)
    for (let j = i + 1; j < sent.length; j++)
      for (const lie of lies) out.add(boundHash([sent[i], sent[j], lie]));
  return out;
}

function* steps(state: State, rules: EdaRules, forgets: boolean): Generator<[string, State]> {
  const change = (i: number, node: Node): State => state.map((old, j) => (i === j ? node : old));
  for (let i = 0; i < HONEST; i++) {
    const node = state[i] as Node;
    const { votes } = node;
    for (const view of [0, 1]) {
      const bound = view === 1 ? bindings(state) : new Set<string | undefined>([undefined]);
      for (const body of BODIES) {
        const isAllowed = bound.has(undefined) || bound.has(body);
        // A valid justification moves its reader; NEWVIEW(1) is then sent on its own.
        if (isAllowed && mayPrepare(votes, view))
          yield [
            `node ${i} PREPARE(${view}, ${body})`,
            change(i, {
              ...node,
              prepares: node.prepares | bit(view, body),
              votes: { ...votes, prepared: { view, hash: body } },
            }),
          ];
        if (weightOf(state, 'prepares', view, body) < QUORUM) continue;
        const raised = raiseLock(votes, { view, hash: body });
        if (raised !== votes)
          yield [
            `node ${i} sees the certificate (${view}, ${body})`,
            change(i, { ...node, votes: raised }),
          ];
        if (mayCommit(raised, view, rules))
          yield [
            `node ${i} COMMIT(${view}, ${body})`,
            change(i, {
              ...node,
              commits: node.commits | bit(view, body),
              votes: { ...raised, committed: { view, hash: body } },
            }),
          ];
      }
    }
    if (votes.view === 0)
      yield [
        `node ${i} NEWVIEW(1)`,
        change(i, {
          ...node,
          reported: reportedLock(votes, rules) ?? 'none',
          votes: { ...votes, view: 1 },
        }),
      ];
    if (forgets && i === 0 && (votes.prepared || votes.view > 0))
      yield [`node ${i} loses its journal`, change(i, { ...node, votes: { view: 0 } })];
  }
}

/** Searches everything; `forgets`: validator 0 may lose its memory although one other lies. */
export function exploreSlot(
  broken: Partial<EdaRules> = {},
  options: { readonly forgets?: boolean; readonly statesMax?: number } = {},
): ExhaustiveResult {
  const rules = { ...SOUND_RULES, ...broken };
  const fresh: Node = { votes: { view: 0 }, prepares: 0, commits: 0, reported: undefined };
  const start: State = Array.from({ length: HONEST }, () => fresh);
  const from = new Map<string, { readonly before: string | undefined; readonly step: string }>();
  from.set(keyOf(start), { before: undefined, step: 'start' });
  let layer: State[] = [start];
  while (layer.length > 0 && from.size < (options.statesMax ?? 2_000_000)) {
    const next: State[] = [];
    for (const state of layer) {
      const key = keyOf(state);
      const decided = BODIES.filter((body) =>
        [0, 1].some((view) => weightOf(state, 'commits', view, body) >= QUORUM),
      );
      if (decided.length > 1) return { states: from.size, fork: traceTo(key, from) };
      for (const [step, after] of steps(state, rules, options.forgets === true)) {
        const afterKey = keyOf(after);
        if (from.has(afterKey)) continue;
        from.set(afterKey, { before: key, step });
        next.push(after);
      }
    }
    layer = next;
  }
  return { states: from.size, fork: undefined };
}

function traceTo(
  key: string,
  from: ReadonlyMap<string, { readonly before: string | undefined; readonly step: string }>,
): string[] {
  const steps: string[] = [];
  for (let at: string | undefined = key; at !== undefined;) {
    const entry = from.get(at);
    if (!entry) break;
    if (entry.before !== undefined) steps.push(entry.step);
    at = entry.before;
  }
  return steps.reverse();
}
