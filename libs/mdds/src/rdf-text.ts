/** Turtle, TriG, N-Triples and N-Quads in and out, with limits. */
import { Parser, Writer } from 'n3';
import { type Bytes, isSeeleError, utf8Decode } from '#libs/kernel';
import { mddsError } from './errors.ts';
import { MDDS_LIMITS, type MddsLimits } from './limits.ts';
import { PREFIXES } from './namespaces.ts';
import { type Quad, QuadCollector, quadLine } from './quads.ts';

export const RDF_FORMATS = ['turtle', 'trig', 'n-triples', 'n-quads'] as const;
export type RdfFormat = (typeof RDF_FORMATS)[number];

export interface ReadRdfOptions {
  readonly format: RdfFormat;
  /** What relative IRIs are resolved against; without one they are refused. */
  readonly baseIri?: string;
  readonly limits?: MddsLimits;
}

export function textOf(document: Bytes | string, limits: MddsLimits): string {
  const tooLarge = document.length > limits.documentBytesMax;
  if (tooLarge)
    throw mddsError(
      'MDDS_LIMIT',
      `a document of ${document.length} bytes; ${limits.documentBytesMax} are allowed`,
    );
  if (typeof document === 'string') return document;
  try {
    return utf8Decode(document);
  } catch (cause) {
    throw mddsError('MDDS_SYNTAX', 'the document is not UTF-8', { cause });
  }
}

/** Deepest nesting of brackets outside of texts and IRIs; an upper bound is enough. */
function checkDepth(text: string, limits: MddsLimits): void {
  let depth = 0;
  for (const [token] of text.matchAll(
    /"""[^]*?"""|'''[^]*?'''|"(?:[^"\\\n]|\\.)*"|'(?:[^'\\\n]|\\.)*'|<[^>\s]*>|#[^\n]*|[[\](){}]/g,
  )) {
    if (token === '[' || token === '(' || token === '{') depth++;
    if (token === ']' || token === ')' || token === '}') depth--;
    if (depth > limits.depthMax)
      throw mddsError('MDDS_LIMIT', `nested deeper than ${limits.depthMax}`);
  }
}

/**
 * Reads a document; every statement once.
 *
 * @throws MDDS_SYNTAX, MDDS_LIMIT
 */
export function readRdf(document: Bytes | string, options: ReadRdfOptions): readonly Quad[] {
  const { format, baseIri, limits = MDDS_LIMITS } = options;
  const text = textOf(document, limits);
  if (format === 'turtle' || format === 'trig') checkDepth(text, limits);
  const parser = new Parser({ format, blankNodePrefix: '', ...(baseIri && { baseIRI: baseIri }) });
  const collector = new QuadCollector(limits);
  try {
    for (const quad of parser.parse(text)) collector.add(quad);
  } catch (cause) {
    if (isSeeleError(cause)) throw cause;
    const why = cause instanceof Error ? cause.message : String(cause);
    throw mddsError('MDDS_SYNTAX', why.slice(0, 300), { cause });
  }
  return collector.quads();
}

/** Writes a document for people (turtle, trig) or machines (n-quads, n-triples). */
export function writeRdf(quads: readonly Quad[], format: RdfFormat): string {
  if (format === 'n-quads' || format === 'n-triples')
    return quads.map((quad) => `${quadLine(quad)}\n`).join('');
  const writer = new Writer({ format, prefixes: PREFIXES });
  writer.addQuads([...quads]);
  let written = '';
  writer.end((error, text: string) => {
    if (error) throw mddsError('MDDS_SYNTAX', error.message, { cause: error });
    written = text;
  });
  return written;
}
