/**
 * Statements too long for one transaction (a tick of thousands of blocks has 300 kB, and its signature
 * covers all of them): handed in as parts by whoever reports, and put together by `stake.reportParts`.
 * What was handed in belongs to its sender, is bounded, and is gone after the report.
 */
import { sha256 } from '#libs/crypto';
import {
  type Bytes,
  byteString,
  bytesToHex,
  concatBytes,
  hash32,
  hexToBytes,
  record,
  uint,
  utf8,
} from '#libs/kernel';
import { type Context, defineMethod } from '#libs/ledger';
import { done } from '../contract-kit.ts';
import { demand } from '../errors.ts';

/** Longest part; a tick of 4,096 blocks has eight. */
export const STATEMENT_PART_BYTES = 40 * 1024;
const PARTS_PER_STATEMENT = 8;
/** Two statements. */
const PARTS_MAX = 2 * PARTS_PER_STATEMENT;
/** Decoding a statement, writing it canonically, hashing it for its signature: about 20 ns a byte. */
const CHECK_FUEL_PER_BYTE = 60n;

const PARTS = utf8('part/');
const bytesOf = (hex: string): Bytes => hexToBytes(hex) as Bytes;
const partsOf = (account: string): Bytes => concatBytes(PARTS, bytesOf(account));
const statementParts = (account: string, id: string): Bytes =>
  concatBytes(partsOf(account), bytesOf(id));

/** How a statement is named while its parts are handed in: the hash of all its bytes. */
export const statementId = (statement: Bytes): string => bytesToHex(sha256(statement));

/** A statement in parts, in order. */
export function statementInParts(statement: Bytes): readonly Bytes[] {
  const parts: Bytes[] = [];
  for (let at = 0; at < statement.length; at += STATEMENT_PART_BYTES)
    parts.push(statement.subarray(at, at + STATEMENT_PART_BYTES));
  return parts;
}

/** The statement that the caller handed in, taken out of the state. */
export function takeStatement(context: Context, id: string): Bytes {
  const stored = context.storage.scan(statementParts(context.caller, id), {
    limit: PARTS_PER_STATEMENT,
  });
  const statement = concatBytes(...stored.map(([, bytes]) => bytes));
  demand(
    context,
    statementId(statement) === id,
    'STAKE_PARTS_MISSING',
    `the ${stored.length} parts of ${id} do not make it up`,
  );
  context.charge(BigInt(statement.length) * CHECK_FUEL_PER_BYTE);
  for (const [key] of stored) context.storage.delete(key);
  return statement;
}

export const longEvidenceMethods = {
  /** Anyone: hands in one part of a long statement, for `reportParts`. */
  submitPart: defineMethod({
    name: 'submitPart',
    args: record({
      /** SHA-256 of the whole statement. */
      statement: hash32,
      part: uint(PARTS_PER_STATEMENT - 1),
      bytes: byteString(STATEMENT_PART_BYTES),
    }),
    returns: done,
    run(context, { statement, part, bytes }) {
      const mine = context.storage.scan(partsOf(context.caller), { limit: PARTS_MAX });
      const key = concatBytes(statementParts(context.caller, statement), Uint8Array.of(part));
      demand(
        context,
        mine.length < PARTS_MAX,
        'STAKE_PARTS_FULL',
        `${PARTS_MAX} parts of this account wait for a report already`,
      );
      context.storage.put(key, bytes);
      return {};
    },
  }),
  /** Anyone: takes back all parts handed in, as when somebody else has reported first. */
  dropParts: defineMethod({
    name: 'dropParts',
    args: done,
    returns: record({ dropped: uint(PARTS_MAX) }),
    run(context) {
      const mine = context.storage.scan(partsOf(context.caller), { limit: PARTS_MAX });
      for (const [key] of mine) context.storage.delete(key);
      return { dropped: mine.length };
    },
  }),
};
