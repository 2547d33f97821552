/** Proofs about a version: that the public directory is part of the complete one, or what single statements say. */
import { type Bytes, hexToBytes, isSeeleError } from '#libs/kernel';
import {
  CommittedDirectory,
  type Disclosure,
  decodeDisclosure,
  encodeDisclosure,
  quadLine,
  readPublicDirectory,
  readRdf,
  sortedLines,
  verifyDisclosure,
  verifyPublicDirectory,
} from '#libs/mdds';
import { dataError } from '../errors.ts';
import type { StoredVersion } from './owner-store.ts';

const linesOf = (text: string): readonly string[] => text.split('\n').filter((line) => line !== '');

/** The proof that is handed out: all that the public directory repeats, or what `shows` picks. */
export function proveVersion(
  { secrets }: StoredVersion,
  shows?: (line: string) => boolean,
): { readonly bytes: Bytes; readonly disclosure: Disclosure } {
  const complete = linesOf(secrets.complete);
  const committed = new CommittedDirectory(complete, hexToBytes(secrets.secret) as Bytes);
  const shared = new Set(linesOf(secrets.public));
  const disclosure = committed.disclose(shows ?? ((line) => shared.has(line)));
  if (disclosure.entries.length === 0)
    throw dataError('DATA_UNKNOWN', 'no statement of the complete directory matches');
  return { bytes: encodeDisclosure(disclosure), disclosure };
}

export interface CheckedProof {
  readonly uai: string;
  readonly root: string;
  readonly size: number;
  /** The statements that are proved. */
  readonly lines: readonly string[];
  /** True when they are exactly what the public directory repeats. */
  readonly isWholePublic: boolean;
  /** Statements of the public directory that the proof says nothing about. */
  readonly unproved: readonly string[];
}

/**
 * Checks a proof against the public directory alone; nothing is asked of anybody.
 *
 * @param directory canonical N-Quads or Turtle of the public directory
 * @throws MDDS_PROOF_INVALID, MDDS_SYNTAX, MDDS_SHAPE
 */
export function checkProof(directory: string, proof: Bytes): CheckedProof {
  const quads = readRdf(directory, { format: 'turtle' });
  const { commitment, uai, records } = readPublicDirectory(quads);
  const disclosure = decodeDisclosure(proof);
  const lines = verifyDisclosure(disclosure, commitment);
  let isWholePublic = true;
  try {
    verifyPublicDirectory(quads, disclosure);
  } catch (error) {
    if (!isSeeleError(error)) throw error;
    isWholePublic = false;
  }
  const proved = new Set([...lines, ...records.map(quadLine)]);
  const unproved = sortedLines(quads).filter((line) => !proved.has(line));
  return { uai, ...commitment, lines, isWholePublic, unproved };
}
