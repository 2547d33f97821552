/**
 * Quads as text, one line each, by the canonical N-Quads of RDFC-1.0 (section 5): the line is what is
 * hashed, compared, committed to and disclosed, so it is the identity of a quad everywhere here.
 */
import type { Quad, Term } from '@rdfjs/types';
import { utf8 } from '#libs/kernel';
import { mddsError } from './errors.ts';
import { MDDS_LIMITS, type MddsLimits } from './limits.ts';

export type { Quad, Term } from '@rdfjs/types';

const XSD_STRING = 'http://www.w3.org/2001/XMLSchema#string';
const SHORT_ESCAPES: Readonly<Record<string, string>> = {
  '\b': String.raw`\b`,
  '\t': String.raw`\t`,
  '\n': String.raw`\n`,
  '\f': String.raw`\f`,
  '\r': String.raw`\r`,
  '"': String.raw`\"`,
  '\\': String.raw`\\`,
};
const TO_ESCAPE = /[\u0000-\u001f"\\\u007f]/g;

function escapeCharacter(character: string): string {
  const code = character.charCodeAt(0).toString(16).toUpperCase().padStart(4, '0');
  return SHORT_ESCAPES[character] ?? String.raw`\u${code}`;
}

/** A term as canonical N-Quads writes it; the default graph is the empty text. */
export function termText(term: Term): string {
  switch (term.termType) {
    case 'NamedNode':
      return `<${term.value}>`;
    case 'BlankNode':
      return `_:${term.value}`;
    case 'DefaultGraph':
      return '';
    case 'Literal': {
      const text = `"${term.value.replace(TO_ESCAPE, escapeCharacter)}"`;
      if (term.language !== '') return `${text}@${term.language}`;
      const { value } = term.datatype;
      return value === XSD_STRING ? text : `${text}^^<${value}>`;
    }
    default:
      throw mddsError('MDDS_SYNTAX', `a ${term.termType} has no place in a metadata directory`);
  }
}

/** `<s> <p> "o" <g> .` without the line's end. */
export function quadLine({ subject, predicate, object, graph }: Quad): string {
  const name = termText(graph);
  const triple = `${termText(subject)} ${termText(predicate)} ${termText(object)}`;
  return name === '' ? `${triple} .` : `${triple} ${name} .`;
}

const byText = (a: string, b: string): number => {
  // UTF-16 order differs from the order of code points above the surrogates; RDFC-1.0 wants the latter.
  if (a === b) return 0;
  const n = Math.min(a.length, b.length);
  for (let i = 0; i < n; i++) {
    const [x, y] = [a.charCodeAt(i), b.charCodeAt(i)];
    if (x !== y) return isSurrogate(x) === isSurrogate(y) ? x - y : isSurrogate(x) ? 1 : -1;
  }
  return a.length - b.length;
};
const isSurrogate = (unit: number): boolean => unit >= 0xd800 && unit <= 0xdfff;

/** The lines of a graph without blank nodes: sorted by code points, each once. */
export function sortedLines(quads: Iterable<Quad>): readonly string[] {
  const lines = new Set<string>();
  for (const quad of quads) lines.add(quadLine(quad));
  return sortLines(lines);
}

/** In the order of code points. */
export const sortLines = (lines: Iterable<string>): readonly string[] =>
  [...lines].toSorted(byText);

const isAbsolute = (iri: string): boolean =>
  /^[a-z][a-z0-9+.-]*:[^\s<>"{}|\\^`\u0000-\u0020]*$/i.test(iri);

function checkIri(iri: string, limits: MddsLimits): void {
  if (iri.length > limits.iriCharsMax)
    throw mddsError(
      'MDDS_LIMIT',
      `an IRI of ${iri.length} characters; ${limits.iriCharsMax} are allowed`,
    );
  if (!isAbsolute(iri))
    throw mddsError('MDDS_SYNTAX', `${JSON.stringify(iri.slice(0, 80))} is not an absolute IRI`);
}

function checkTerm(term: Term, limits: MddsLimits): void {
  if (term.termType === 'NamedNode') checkIri(term.value, limits);
  if (term.termType !== 'Literal') return;
  if (
    term.value.length * 3 > limits.literalBytesMax &&
    utf8(term.value).length > limits.literalBytesMax
  )
    throw mddsError('MDDS_LIMIT', `a literal over ${limits.literalBytesMax} bytes`);
  if (!term.value.isWellFormed())
    throw mddsError('MDDS_SYNTAX', 'a literal holds half a surrogate pair');
  checkIri(term.datatype.value, limits);
}

/** Collects quads of one document: each once, all terms checked. */
export class QuadCollector {
  readonly #limits: MddsLimits;
  readonly #byLine = new Map<string, Quad>();

  constructor(limits: MddsLimits = MDDS_LIMITS) {
    this.#limits = limits;
  }

  /** @throws MDDS_LIMIT, MDDS_SYNTAX */
  add(quad: Quad): void {
    for (const term of [quad.subject, quad.predicate, quad.object, quad.graph])
      checkTerm(term, this.#limits);
    this.#byLine.set(quadLine(quad), quad);
    if (this.#byLine.size > this.#limits.quadsMax)
      throw mddsError('MDDS_LIMIT', `over ${this.#limits.quadsMax} statements`);
  }

  quads(): readonly Quad[] {
    return [...this.#byLine.values()];
  }
}
