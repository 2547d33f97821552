/** Test manifests of W3C suites: entries, and the manifests that they include. */
import { readFileSync } from 'node:fs';
import { fileURLToPath, pathToFileURL } from 'node:url';
import { type Quad, type Term, iri, readRdf } from '#libs/mdds';

export const MF = 'http://www.w3.org/2001/sw/DataAccess/tests/test-manifest#';

/** A graph to ask for the values of properties. */
export class Facts {
  readonly #values = new Map<string, Term[]>();
  readonly quads: readonly Quad[];

  constructor(quads: readonly Quad[]) {
    this.quads = quads;
    for (const { subject, predicate, object } of quads) {
      const key = `${subject.termType} ${subject.value} ${predicate.value}`;
      this.#values.set(key, [...(this.#values.get(key) ?? []), object]);
    }
  }
  all(subject: Term, predicate: string): readonly Term[] {
    return this.#values.get(`${subject.termType} ${subject.value} ${predicate}`) ?? [];
  }
  one(subject: Term, predicate: string): Term {
    const [value] = this.all(subject, predicate);
    if (!value) throw new Error(`${subject.value} has no ${predicate}`);
    return value;
  }
  list(head: Term): readonly Term[] {
    const items: Term[] = [];
    for (let at = head; at.value !== iri('rdf:nil'); at = this.one(at, iri('rdf:rest')))
      items.push(this.one(at, iri('rdf:first')));
    return items;
  }
}

export interface ManifestEntry {
  readonly facts: Facts;
  readonly test: Term;
  readonly types: readonly string[];
  readonly name: string;
}

/** Statements of a Turtle file; relative names in it are files. */
export const readTurtleFile = (path: string): readonly Quad[] =>
  readRdf(readFileSync(path), { format: 'turtle', baseIri: pathToFileURL(path).href });

export const fileOf = (term: Term): string => fileURLToPath(term.value);

/** Entries of a manifest and of all that it includes; a missing manifest is an error. */
export function readManifest(path: string): readonly ManifestEntry[] {
  const facts = new Facts(readTurtleFile(path));
  const manifests = facts.quads.filter(({ object }) => object.value === `${MF}Manifest`);
  return manifests.flatMap(({ subject }) => [
    ...facts.all(subject, `${MF}entries`).flatMap((head) =>
      facts.list(head).map((test) => ({
        ...{ facts, test },
        types: facts.all(test, iri('rdf:type')).map(({ value }) => value),
        name: test.value.slice(
          Math.max(test.value.lastIndexOf('#'), test.value.lastIndexOf('/')) + 1,
        ),
      })),
    ),
    ...facts.all(subject, `${MF}include`).flatMap((file) => readManifest(fileOf(file))),
  ]);
}
