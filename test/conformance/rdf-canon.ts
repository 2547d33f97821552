/** w3c/rdf-canon: `tests/manifest.ttl` of the folder, or `manifest.ttl` in it. */
import { existsSync, readFileSync } from 'node:fs';
import { join } from 'node:path';
import { isSeeleError } from '#libs/kernel';
import { type Quad, type Term, labelled, readRdf, sortLines, termText } from '#libs/mdds';
import { type ManifestEntry, MF, fileOf, readManifest } from './manifests.ts';
import { type Suite, runCase } from './suite.ts';

const RDFC = 'https://w3c.github.io/rdf-canon/tests/vocab#';

const input = ({ facts, test }: ManifestEntry): readonly Quad[] =>
  readRdf(readFileSync(fileOf(facts.one(test, `${MF}action`))), { format: 'n-quads' });

const expected = ({ facts, test }: ManifestEntry): string =>
  readFileSync(fileOf(facts.one(test, `${MF}result`)), 'utf8');

function optionsOf({ facts, test }: ManifestEntry): { readonly hash?: 'sha256' | 'sha384' } {
  const [name] = facts.all(test, `${RDFC}hashAlgorithm`);
  return name?.value === 'SHA384' ? { hash: 'sha384' } : {};
}

/** The lines that these labels lead to. */
function relabelled(
  quads: readonly Quad[],
  labels: Readonly<Record<string, string>>,
): readonly string[] {
  const text = (term: Term) =>
    term.termType === 'BlankNode' ? `_:${labels[term.value] ?? ''}` : termText(term);
  return sortLines(
    new Set(
      quads.map(({ subject, predicate, object, graph }) =>
        [subject, predicate, object, graph].map(text).filter(Boolean).concat('.').join(' '),
      ),
    ),
  );
}

async function check(entry: ManifestEntry): Promise<string | undefined> {
  const type = entry.types.find((each) => each.startsWith(RDFC))?.slice(RDFC.length);
  if (type === 'RDFC10NegativeEvalTest') {
    try {
      await labelled(input(entry), optionsOf(entry));
    } catch (error) {
      if (isSeeleError(error)) return undefined;
      throw error;
    }
    return 'a graph made to keep canonicalisation busy got an answer';
  }
  const { lines, labels } = await labelled(input(entry), optionsOf(entry));
  if (type === 'RDFC10EvalTest') {
    const text = lines.map((line) => `${line}\n`).join('');
    return text === expected(entry) ? undefined : `canonical text differs:\n${text}`;
  }
  if (type === 'RDFC10MapTest') {
    const wanted = JSON.parse(expected(entry)) as Record<string, string>;
    // Nodes that a symmetry exchanges may swap labels: another map is as good when it leads to the
    // same canonical text.
    const isSame =
      Object.keys(wanted).length === labels.size &&
      relabelled(input(entry), wanted).join('\n') === lines.join('\n');
    return isSame ? undefined : `labels differ: ${JSON.stringify([...labels])}`;
  }
  return `unknown kind of test ${entry.types.join(' ')}`;
}

export const rdfCanon: Suite = async (folder) => {
  const inside = join(folder, 'tests', 'manifest.ttl');
  const manifest = existsSync(inside) ? inside : join(folder, 'manifest.ttl');
  const results = [];
  for (const entry of readManifest(manifest))
    results.push(await runCase(entry.name, () => check(entry)));
  return results;
};
