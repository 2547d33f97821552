/**
 * What is audited: the result of an order, or one batch of an order of many tasks. Both are judged alike;
 * here is where they differ.
 */
import { decodeUnitLeaf, splitUnitLeaves, unitLeafHashes, unitsOf, unitsRoot } from '#contracts';
import type { UnitAnswer } from '#contracts';
import { hashOf } from '#libs/crypto';
import { bytesToHex, utf8 } from '#libs/kernel';
import { createLogTree } from '#libs/merkle';
import { batchesOf } from '../arrays/batches.ts';
import type { AuditState, BatchAudit, OrderRow, UnitsRow } from '../model/rows.ts';
import { type Market, type Step, orderOf, updateOrder } from '../state.ts';
import { type ReplicaAnswer, answerKey } from '../verification/index.ts';

export interface Subject {
  readonly id: string;
  /** Of a batch. */
  readonly fence?: number;
}

export const subjectKey = ({ id, fence }: Subject): string =>
  fence === undefined ? id : `${id}/${fence}`;

const SALT_DOMAIN = 'seele/audit/1';
const SALT_DIGITS = 32;

/** By which an audit is known among the market's own orders: how often it was done again before, too. */
export const auditSalt = (subject: Subject, round: number): string =>
  hashOf(SALT_DOMAIN, utf8(`${subjectKey(subject)}/${round}`)).slice(0, SALT_DIGITS);

export function subjectOf(key: string): Subject {
  const [id = '', fence] = key.split('/');
  return fence === undefined ? { id } : { id, fence: Number(fence) };
}

/** What an order of the market itself does again. */
export const subjectOfAuditor = ({ auditOf: id, auditFence }: OrderRow): Subject | undefined =>
  id === undefined ? undefined : { id, ...(auditFence !== undefined && { fence: auditFence }) };

export const batchAuditOf = ({ audits = [] }: OrderRow, fence: number): BatchAudit | undefined =>
  audits.find((one) => one.fence === fence);

export function auditStateOf(market: Market, { id, fence }: Subject): AuditState | undefined {
  const row = market.orders.get(id);
  if (!row) return undefined;
  return fence === undefined ? row.audit : batchAuditOf(row, fence)?.audit;
}

export function setAuditState(step: Step, { id, fence }: Subject, audit: AuditState): void {
  if (fence === undefined) updateOrder(step, id, { audit });
  else changeBatchAudit(step, id, fence, { audit });
}

export function changeBatchAudit(
  step: Step,
  id: string,
  fence: number,
  change: Partial<BatchAudit>,
): void {
  const { audits = [] } = orderOf(step.market, id);
  const changed = audits.map((one) => (one.fence === fence ? { ...one, ...change } : one));
  updateOrder(step, id, { audits: changed });
}

/** How a program ends by itself is the same everywhere; what a limit of time or memory ends is not. */
const REPEATABLE: ReadonlySet<string> = new Set(['ok', 'guest-error']);
export const isRepeatable = (exit = ''): boolean => REPEATABLE.has(exit);

/** What one operator signed: who, what it comes to, and where that stands. */
export interface Voice {
  readonly provider: string;
  readonly key: string;
  readonly order: string;
  /** Of tasks: how to show each of them to the chain. */
  readonly units?: ReadonlyMap<number, UnitAnswer & { readonly key: string }>;
}

/** What an operator came to, or why that can be compared with nothing. */
export function voiceOf(
  market: Market,
  { id, fence }: Subject,
  row: OrderRow,
): Voice | string | undefined {
  if (fence === undefined) return wholeVoice(row);
  const audited = market.orders.get(id);
  const { tasks } = (audited && batchAuditOf(audited, fence)) ?? {};
  if (!tasks) return undefined;
  if (row.id !== id) return sampleVoice(market, row, tasks);
  const batch = market.batchesOf.get(id)?.get(fence);
  const leaves = market.auditLeaves.get(subjectKey({ id, fence }));
  return batch && leaves && unitVoice(batch, leaves, tasks);
}

function wholeVoice({ id: order, work, delivery, reason }: OrderRow): Voice | string {
  if (work !== 'done' || !delivery) return reason?.text ?? 'it was not done again';
  const { provider, exit, result } = delivery.delivery;
  if (!isRepeatable(exit)) return `the run ended as ${exit}`;
  return { provider, key: answerKey(exit, result), order };
}

/** The tasks as an order of the market's own has them, all out of one batch. */
function sampleVoice(
  market: Market,
  row: OrderRow,
  tasks: readonly number[],
): Voice | string | undefined {
  const batch = [...batchesOf(market, row.id)].find(({ state }) => state === 'delivered');
  if (row.work !== 'done' || !batch?.leaves) return row.reason?.text ?? 'it was not done again';
  return unitVoice(batch, batch.leaves, tasks) ?? 'more than one operator did its tasks';
}

function unitVoice(
  { order, provider, delivery }: UnitsRow,
  bytes: Uint8Array,
  tasks: readonly number[],
): Voice | string | undefined {
  const leaves = splitUnitLeaves(bytes) ?? [];
  if (!delivery || unitsRoot(leaves) !== delivery.delivery.root) return undefined;
  const all = unitsOf(delivery.delivery.units);
  const tree = createLogTree();
  for (const hash of unitLeafHashes(leaves)) tree.appendLeafHash(hash);
  const units = new Map<number, UnitAnswer & { readonly key: string }>();
  for (const task of tasks) {
    const at = all.indexOf(task);
    const leaf = leaves[at];
    const result = leaf && decodeUnitLeaf(leaf);
    if (!leaf || !result) return undefined;
    if (!isRepeatable(result.exit)) return `task ${task} ended as ${result.exit}`;
    const key = answerKey(result.exit, result.output && bytesToHex(result.output));
    units.set(task, { delivery, leaf, proof: tree.inclusionProof(at, leaves.length), key });
  }
  const key = [...units.values()].map((unit) => unit.key).join(' ');
  return { provider, key, order, units };
}

/** In the order in which they were given. */
export const answersOf = (voices: readonly Voice[]): ReplicaAnswer[] =>
  voices.map(({ provider, key }, replica) => ({ replica, provider, key }));
