/**
 * Contract `audit`: roots of append-only logs, anchored by whoever operates the log. Sizes only rise
 * and an anchored root never changes, so an operator cannot show two histories.
 *
 * State: `anchor/<operator, 32 bytes>/<size, 8 bytes big-endian>` → `anchor`, one per anchored size
 * and in size order; `latest/<operator>` → the highest of them.
 */
import {
  type AccountId,
  type Bytes,
  type CodecValue,
  bool,
  concatBytes,
  hash32,
  record,
  uint,
  utf8,
} from '#libs/kernel';
import { type SystemContract, defineMethod } from '#libs/ledger';
import {
  callBuilders,
  defineEvent,
  emit,
  numberKey,
  readValue,
  storageKey,
  writeValue,
} from '../contract-kit.ts';
import { demand } from '../errors.ts';

export const AUDIT_CONTRACT = 'audit';

export const anchor = record({
  /** Entries in the log. */
  size: uint(),
  /** RFC 9162 root over them. */
  root: hash32,
  /** Block that anchored it. */
  height: uint(),
  timeUs: uint(),
});
export type Anchor = CodecValue<typeof anchor>;

const anchorsOf = (operator: AccountId): Bytes =>
  concatBytes(storageKey('anchor/', operator), utf8('/'));

export const auditKeys = {
  /** → `anchor` */
  anchor: (operator: AccountId, size: number): Bytes =>
    concatBytes(anchorsOf(operator), numberKey(size)),
  /** Prefix of an operator's anchors, in order of size. */
  anchorsOf,
  /** → `anchor` */
  latest: (operator: AccountId): Bytes => storageKey('latest/', operator),
};

export const auditEvents = {
  anchored: defineEvent(
    AUDIT_CONTRACT,
    'anchored',
    record({ operator: hash32, size: uint(), root: hash32 }),
  ),
};

const methods = {
  /** Anyone, for the log it operates: `anchored` is false when this very root stood there before. */
  anchor: defineMethod({
    name: 'anchor',
    args: record({ size: uint(), root: hash32 }),
    returns: record({ anchored: bool }),
    run(context, { size, root }) {
      const operator = context.caller;
      const key = auditKeys.anchor(operator, size);
      const there = readValue(context.storage, key, anchor);
      demand(
        context,
        there === undefined || there.root === root,
        'AUDIT_CONFLICT',
        `root ${there?.root} stands at size ${size}`,
      );
      if (there) return { anchored: false };
      const latest = readValue(context.storage, auditKeys.latest(operator), anchor);
      demand(
        context,
        size > (latest?.size ?? 0),
        'AUDIT_SIZE',
        `size ${size} does not rise above ${latest?.size ?? 0}`,
      );
      const { height, timeUs } = context.block;
      const entry: Anchor = { size, root, height, timeUs };
      writeValue(context.storage, key, anchor, entry);
      writeValue(context.storage, auditKeys.latest(operator), anchor, entry);
      emit(context, auditEvents.anchored, { operator, size, root });
      return { anchored: true };
    },
  }),
};

export const auditMethods = methods;
export const auditCalls = callBuilders(AUDIT_CONTRACT, methods);
export const auditContract: SystemContract = { name: AUDIT_CONTRACT, methods };
