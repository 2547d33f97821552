/** What is looked at again after it was accepted, and what came of that. */
import { disputedClaim } from '#contracts';
import { bool, type CodecValue, hash32, list, oneOf, optional, record, uint } from '#libs/kernel';

/**
 * `due` until the market has run the job again; `right`, `wrong`, or `undone` when it cannot be. A wrong one
 * is disputed on the chain with the claim found, once: `isOpened`.
 */
export const replayState = record({
  state: oneOf('due', 'right', 'wrong', 'undone'),
  claim: optional(disputedClaim),
  isOpened: optional(bool),
});
export type ReplayState = CodecValue<typeof replayState>;

/**
 * `due` until other operators have done it again; `right`, `wrong` (somebody is alone with its result: `odd`
 * is the order in which), or `undone`. `orders` are the market's own, at most two.
 */
export const auditState = record({
  state: oneOf('due', 'right', 'wrong', 'undone'),
  orders: list(hash32, 2),
  odd: optional(hash32),
  isOpened: optional(bool),
});
export type AuditState = CodecValue<typeof auditState>;

/** Of a batch the provider's word stands for: the tasks that others do again, and what came of it. */
export const AUDIT_TASKS_MAX = 4;
export const batchAudit = record({
  fence: uint(),
  /** Hash of the block that settled it: it drew the batch, and which of its tasks. */
  block: hash32,
  /** Absent until the batch's leaves were read. */
  tasks: optional(list(uint(), AUDIT_TASKS_MAX)),
  audit: auditState,
});
export type BatchAudit = CodecValue<typeof batchAudit>;
