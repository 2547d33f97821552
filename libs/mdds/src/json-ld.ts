/** JSON-LD in and out. Nothing is ever fetched: a context is in the document, or it is ours. */
import type { Quad } from '@rdfjs/types';
import jsonld from 'jsonld';
import type { JsonLdObj } from 'jsonld/jsonld-spec.js';
import { type Bytes, isSeeleError } from '#libs/kernel';
import { mddsError } from './errors.ts';
import { MDDS_LIMITS, type MddsLimits } from './limits.ts';
import { QuadCollector, quadLine } from './quads.ts';
import { readRdf, textOf } from './rdf-text.ts';

/** IRI of the context that documents may refer to instead of carrying it. */
export const MDDS_CONTEXT_IRI = 'https://w3id.org/mdds/context.jsonld';

export interface JsonLdOptions {
  /** Contents of the contexts that may be referred to, by IRI. */
  readonly contexts?: Readonly<Record<string, object>>;
  readonly baseIri?: string;
  readonly limits?: MddsLimits;
}

/** jsonld.js recurses; depth is checked before it sees anything. */
function checkDepth(value: unknown, limits: MddsLimits, depth = 0): void {
  if (depth > limits.depthMax)
    throw mddsError('MDDS_LIMIT', `nested deeper than ${limits.depthMax}`);
  if (typeof value !== 'object' || value === null) return;
  for (const item of Object.values(value)) checkDepth(item, limits, depth + 1);
}

function parsed(document: Bytes | string, limits: MddsLimits): object {
  try {
    const value: unknown = JSON.parse(textOf(document, limits));
    checkDepth(value, limits);
    if (typeof value !== 'object' || value === null) throw new Error('not an object or a list');
    return value;
  } catch (cause) {
    if (isSeeleError(cause)) throw cause;
    const why = cause instanceof Error ? cause.message : String(cause);
    throw mddsError('MDDS_SYNTAX', why.slice(0, 300), { cause });
  }
}

type Loader = NonNullable<jsonld.Options.DocLoader['documentLoader']>;

const loaderFor =
  (contexts: Readonly<Record<string, object>>): Loader =>
  (url) => {
    const document = Object.hasOwn(contexts, url) ? contexts[url] : undefined;
    return document === undefined
      ? Promise.reject(mddsError('MDDS_REMOTE_CONTEXT', `${url.slice(0, 200)} is not built in`))
      : Promise.resolve({ documentUrl: url, document: document as JsonLdObj });
  };

/** jsonld.js wraps what a loader throws in errors of its own. */
function causeOf(error: unknown): unknown {
  for (let inner = error; inner instanceof Error;) {
    if (isSeeleError(inner)) return inner;
    const { details } = inner as { details?: { cause?: unknown } };
    inner = details?.cause ?? inner.cause;
  }
  return error;
}

/**
 * Reads a document; every statement once.
 *
 * @throws MDDS_SYNTAX, MDDS_LIMIT, MDDS_REMOTE_CONTEXT
 */
export async function readJsonLd(
  document: Bytes | string,
  { contexts = {}, baseIri, limits = MDDS_LIMITS }: JsonLdOptions = {},
): Promise<readonly Quad[]> {
  const value = parsed(document, limits);
  let lines: string;
  try {
    lines = (await jsonld.toRDF(value, {
      ...{ format: 'application/n-quads', documentLoader: loaderFor(contexts) },
      ...(baseIri !== undefined && { base: baseIri }),
    })) as unknown as string;
  } catch (error) {
    const cause = causeOf(error);
    if (isSeeleError(cause)) throw cause;
    const why = cause instanceof Error ? cause.message : String(cause);
    throw mddsError('MDDS_SYNTAX', why.slice(0, 300), { cause });
  }
  const collector = new QuadCollector(limits);
  for (const quad of readRdf(lines, { format: 'n-quads', limits })) collector.add(quad);
  return collector.quads();
}

/** Writes a graph with the given context, compact. */
export async function writeJsonLd(
  quads: readonly Quad[],
  contextIri: string,
  contexts: Readonly<Record<string, object>>,
): Promise<object> {
  const text = quads.map((quad) => `${quadLine(quad)}\n`).join('');
  const expanded = await jsonld.fromRDF(text as unknown as object, {
    ...{ format: 'application/n-quads', useNativeTypes: false },
  });
  return jsonld.compact(expanded, contextIri as unknown as jsonld.ContextDefinition, {
    documentLoader: loaderFor(contexts),
  });
}
