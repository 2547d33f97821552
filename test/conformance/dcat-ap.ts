/**
 * A release folder of SEMICeu/DCAT-AP. Two things are cases: every published document of ours conforms
 * to the shapes of the profile (shapes.ttl, dcat-ap-SHACL.ttl), and every example of the release is read, written and read again
 * without loss. The examples are snippets, which do not conform to the release's own shapes.
 */
import { globSync, readFileSync } from 'node:fs';
import { basename, join } from 'node:path';
import { pathToFileURL } from 'node:url';
import {
  BUILT_IN_CONTEXTS,
  MDDS_CONTEXT_IRI,
  type Quad,
  canonicalHash,
  createShapeValidator,
  readJsonLd,
  readRdf,
  writeJsonLd,
} from '#libs/mdds';
import { readTurtleFile } from './manifests.ts';
import { publishedDocuments } from './published-documents.ts';
import { type CaseResult, type Suite, runCase } from './suite.ts';

const NODE_SHAPE = 'http://www.w3.org/ns/shacl#NodeShape';
/**
 * The files that state the profile. The others of a release ask for vocabularies of the European Union
 * by their schemes, which need those vocabularies loaded.
 */
const PROFILE = /(^|\/)(shapes|dcat-ap-SHACL)\.ttl$/i;
const isShapes = (quads: readonly Quad[]) =>
  quads.some(({ object }) => object.value === NODE_SHAPE);

/** Contexts of the release, under whatever address their examples name them by. */
function contextsOf(folder: string, document: string): Readonly<Record<string, object>> {
  const files = globSync('**/context/*.jsonld', { cwd: folder });
  const contexts: Record<string, object> = { ...BUILT_IN_CONTEXTS };
  for (const [, url] of document.matchAll(/"(https?:[^"]+\.jsonld)"/g)) {
    const file = files.find((each) => basename(each) === basename(url as string));
    if (file && url) contexts[url] = JSON.parse(readFileSync(join(folder, file), 'utf8')) as object;
  }
  return contexts;
}

async function readExample(folder: string, path: string): Promise<readonly Quad[]> {
  const text = readFileSync(path, 'utf8');
  const baseIri = pathToFileURL(path).href;
  return path.endsWith('.ttl')
    ? readRdf(text, { format: 'turtle', baseIri })
    : readJsonLd(text, { baseIri, contexts: contextsOf(folder, text) });
}

async function keepsAll(quads: readonly Quad[]): Promise<string | undefined> {
  if (quads.length === 0) return 'there is no statement in it';
  const written = await writeJsonLd(quads, MDDS_CONTEXT_IRI, BUILT_IN_CONTEXTS);
  const again = await readJsonLd(JSON.stringify(written), { contexts: BUILT_IN_CONTEXTS });
  return (await canonicalHash(again)) === (await canonicalHash(quads))
    ? undefined
    : 'the hash changes on the way through JSON-LD';
}

export const dcatAp: Suite = async (folder) => {
  const results: CaseResult[] = [];
  const shapes: { readonly name: string; readonly quads: readonly Quad[] }[] = [];
  for (const name of globSync('**/*.{ttl,jsonld}', { cwd: folder }).toSorted()) {
    const path = join(folder, name);
    if (name.includes('context')) continue;
    if (name.endsWith('.ttl') && isShapes(readTurtleFile(path))) {
      if (PROFILE.test(name)) shapes.push({ name, quads: readTurtleFile(path) });
      continue;
    }
    results.push(await runCase(name, async () => keepsAll(await readExample(folder, path))));
  }
  const documents = await publishedDocuments();
  for (const { name, quads } of shapes) {
    const validator = createShapeValidator(quads);
    for (const [title, document] of documents)
      results.push(
        await runCase(`${title} against ${name}`, async () => {
          const { conforms, faults } = await validator.validate(document);
          return conforms
            ? undefined
            : faults
                .map(({ node, path, message }) => `${node} ${path ?? ''} ${message}`)
                .join('\n');
        }),
      );
  }
  return results;
};
