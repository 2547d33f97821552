/** What the voting of one slot sees of the node: its positions, its time, its chain. */
import { type Bytes, concatBytes, utf8 } from '#libs/kernel';
import type { Axis } from './axis.ts';
import type { CutContext } from './cuts.ts';
import type { Decisions } from './decisions.ts';
import { backlogOf, leaderCut, rowsOf, verdictOn } from './local-checks.ts';
import type { Body, CutEntry } from './messages.ts';
import type { Positions } from './positions.ts';
import type { Roster } from './roster.ts';
import type { EdaRules } from './rules.ts';
import { type EdaConfig, SETTLE_DELTAS } from './types.ts';
import type { VotingHost } from './voting-types.ts';

/** A block that has waited so long without agreement makes its slot leave view 0. */
const OVERDUE_DELTAS = SETTLE_DELTAS + 14;

export interface SlotParts extends Pick<VotingHost, 'decided' | 'cutIntervalUs'> {
  readonly config: EdaConfig;
  readonly rules: EdaRules;
  readonly roster: Roster;
  readonly me: number;
  readonly positions: Positions;
  readonly axis: Axis;
  readonly decisions: Decisions;
  /** Era of the slot. */
  readonly era: number;
  readonly settleUs: number;
}

function contextOf({
  config,
  roster,
  positions,
  decisions,
  era,
}: SlotParts): CutContext | undefined {
  const { last, executed } = decisions;
  if (executed.slot !== last.slot) return undefined;
  return {
    chain: config.chain,
    era,
    slot: last.slot + 1,
    prevHash: last.hash,
    prevTimeUs: last.timeUs,
    set: roster.at(era).set,
    nextSetHash: roster.at(era + 1).set.hash,
    roots: executed.roots,
    endOf: positions.endOf,
  };
}

const alphaOf = (decisions: Decisions, slot: number): Bytes =>
  concatBytes(decisions.eraBeacon, utf8(`cut/${slot}`));

function completeBody(
  { config, roster, me, decisions }: SlotParts,
  context: CutContext,
  timeUs: number,
  entries: readonly CutEntry[],
): Body {
  const { chain, era, slot, prevHash, roots, set, nextSetHash } = context;
  return {
    chain,
    era,
    slot,
    prevHash,
    timeUs,
    entries,
    ...roots,
    setHash: set.hash,
    nextSetHash,
    parentHeader: null,
    creator: roster.at(era).indexOf(me),
    vrf: config.auth.prove(alphaOf(decisions, slot)).proof,
  };
}

/** Bodies whose proof held: a proposal is looked at again with every block that arrives. */
const proven = new WeakSet<Body>();

function isCreator({ config, roster, decisions }: SlotParts, body: Body, leader: number): boolean {
  const publicKey = roster.at(body.era).set.validators[leader]?.publicKey;
  if (body.creator !== leader || publicKey === undefined) return false;
  if (proven.has(body)) return true;
  const alpha = alphaOf(decisions, body.slot);
  if (config.auth.verifyProof(publicKey, alpha, body.vrf) === undefined) return false;
  proven.add(body);
  return true;
}

/** Own index in the slot's set; -1 also for who has not the key it votes by in a large set. */
function voterIndex({ config, roster, me, era }: SlotParts): number {
  const { set, indexOf } = roster.at(era);
  const index = indexOf(me);
  const mayVote =
    !set.isLarge || config.auth.bls.signerOf(set.validators[index]?.bls) !== undefined;
  return mayVote ? index : -1;
}

export function createSlotHost(parts: SlotParts): VotingHost {
  const { config, rules, positions, axis, era } = parts;
  const { deltaUs } = config.parameters;
  const { epsilonUs = config.parameters.epsilonUs } = parts.roster.at(era).parameters;
  const rows = () => rowsOf(positions, era);
  const cutTimeUs = (nowUs: number) => axis.cutTimeUs(nowUs, parts.settleUs, rules.connectedTime);
  return {
    auth: config.auth,
    rules,
    deltaUs,
    cutIntervalUs: parts.cutIntervalUs,
    myIndex: voterIndex(parts),
    context: () => contextOf(parts),
    backlog: (nowUs) => backlogOf(rows(), cutTimeUs(nowUs), nowUs, OVERDUE_DELTAS * deltaUs),
    firstCut: (context, nowUs) => leaderCut(context, rows(), cutTimeUs(nowUs), rules),
    completeBody: (context, timeUs, entries) => completeBody(parts, context, timeUs, entries),
    isCreator: (body, leader) => isCreator(parts, body, leader),
    localVerdict: (context, body, nowUs) =>
      verdictOn({
        context,
        body,
        nowUs,
        rows: rows(),
        cutTimeUs: cutTimeUs(nowUs),
        deltaUs,
        epsilonUs,
      }),
    cutTimeUs: (nowUs) => Math.max(0, cutTimeUs(nowUs)),
    reports: () => positions.reports(),
    signedTime: (timeUs) => axis.raiseTo(timeUs),
    decided: parts.decided,
  };
}
