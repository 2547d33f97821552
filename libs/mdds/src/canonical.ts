/**
 * Canonical text and hash of a graph: RDFC-1.0 (W3C Recommendation of 21 May 2024). A graph without
 * blank nodes needs no more than sorting; others go through rdf-canonize with a bound on its work,
 * since graphs exist that would keep it busy for years.
 */
import type { Quad } from '@rdfjs/types';
import { canonize } from 'rdf-canonize';
import { sha256Hex } from '#libs/crypto';
import { utf8 } from '#libs/kernel';
import { mddsError } from './errors.ts';
import { sortLines, sortedLines } from './quads.ts';

export interface CanonicalOptions {
  /** Most comparisons of blank nodes by their neighbourhoods; a clique of six needs more. */
  readonly comparisonsMax?: number;
  /** Hash inside the algorithm; directories use SHA-256. */
  readonly hash?: 'sha256' | 'sha384';
}

const COMPARISONS_MAX = 1_000;

const isBlank = ({ subject, object, graph }: Quad): boolean =>
  subject.termType === 'BlankNode' ||
  object.termType === 'BlankNode' ||
  graph.termType === 'BlankNode';

export const hasBlankNodes = (quads: readonly Quad[]): boolean => quads.some(isBlank);

/**
 * The lines of the canonical N-Quads document, and the labels that blank nodes got.
 *
 * @throws MDDS_TOO_COMPLEX
 */
export async function labelled(
  quads: readonly Quad[],
  { comparisonsMax = COMPARISONS_MAX, hash = 'sha256' }: CanonicalOptions = {},
): Promise<{ readonly lines: readonly string[]; readonly labels: ReadonlyMap<string, string> }> {
  const labels = new Map<string, string>();
  if (!hasBlankNodes(quads)) return { lines: sortedLines(quads), labels };
  try {
    const text = await canonize(asDataset(quads), {
      ...{ algorithm: 'RDFC-1.0', maxDeepIterations: comparisonsMax, canonicalIdMap: labels },
      ...{ messageDigestAlgorithm: hash },
    });
    return { lines: sortLines(text.split('\n').filter((line) => line !== '')), labels };
  } catch (cause) {
    const why = cause instanceof Error ? cause.message : String(cause);
    throw mddsError('MDDS_TOO_COMPLEX', why, { cause });
  }
}

/** rdf-canonize takes plain objects, and a set: a statement twice would change its hash. */
function asDataset(quads: readonly Quad[]): object[] {
  const seen = new Map<string, object>();
  for (const { subject, predicate, object, graph } of quads) {
    const plain = {
      subject: plainTerm(subject),
      predicate: plainTerm(predicate),
      object: plainTerm(object),
      graph: plainTerm(graph),
    };
    seen.set(JSON.stringify(plain), plain);
  }
  return [...seen.values()];
}

function plainTerm(term: Quad['object'] | Quad['graph']): object {
  const { termType } = term;
  // Its own parser leaves the `_:` in front of a blank node's label.
  if (termType === 'BlankNode') return { termType, value: `_:${term.value}` };
  if (termType !== 'Literal') return { termType, value: term.value };
  const { value, language, datatype } = term;
  return {
    ...{ termType, value, datatype: { termType: 'NamedNode', value: datatype.value } },
    ...(language !== '' && { language }),
  };
}

/** Canonical N-Quads, one line for each statement, without the lines' ends. @throws MDDS_TOO_COMPLEX */
export async function canonicalLines(
  quads: readonly Quad[],
  options: CanonicalOptions = {},
): Promise<readonly string[]> {
  return (await labelled(quads, options)).lines;
}

/** SHA-256 of the canonical document with its lines' ends, lower-case hex. */
export function hashOfLines(lines: readonly string[]): string {
  return sha256Hex(utf8(lines.map((line) => `${line}\n`).join('')));
}

/** `mdds:canonicalHash` of a graph. @throws MDDS_TOO_COMPLEX */
export async function canonicalHash(
  quads: readonly Quad[],
  options: CanonicalOptions = {},
): Promise<string> {
  return hashOfLines(await canonicalLines(quads, options));
}
