/**
 * MDDS: metadata directories. RDF in and out with limits, canonical form and hash, names for blank
 * nodes, SHACL at admission, and a commitment of which single statements can be shown.
 *
 * Owns: what a directory is and how it is proved. Does not own: extraction of metadata from data and
 * watching for changes (the catalogue's processes), storage of documents (`storage`), anchors on the
 * chain (`contracts`), the shapes and vocabulary themselves (`schemas/`).
 *
 * @example
 * const quads = await skolemise(readRdf(turtle, { format: 'turtle' }), 'chain://health.clinic/acc1');
 * const lines = await canonicalLines(quads);
 * const committed = new CommittedDirectory(lines, randomness.bytes(SECRET_BYTES));
 * verifyDisclosure(committed.disclose(isPublic), committed.commitment); // the public lines
 */
export * from './canonical.ts';
export * from './catalogue-entry.ts';
export * from './commitment.ts';
export * from './context.ts';
export * from './croissant-context.ts';
export * from './describe.ts';
export * from './describe-work.ts';
export * from './description.ts';
export * from './errors.ts';
export * from './exchange.ts';
export * from './json-ld.ts';
export * from './limits.ts';
export * from './namespaces.ts';
export * from './quads.ts';
export * from './rdf-text.ts';
export * from './semantic-types.ts';
export * from './shapes.ts';
export * from './skolem.ts';
export * from './versions.ts';
