/** Values of a graph's nodes by property, for code that reads a few known ones. */
import type { Quad, Term } from '@rdfjs/types';
import { type Prefix, iri } from './namespaces.ts';

type TypeName = `${Prefix}:${string}`;

export class GraphReader {
  readonly #values = new Map<string, Term[]>();
  readonly #subjects = new Map<string, Term[]>();

  constructor(quads: readonly Quad[]) {
    for (const { subject, predicate, object } of quads) {
      push(this.#values, `${subject.value} ${predicate.value}`, object);
      if (predicate.value === iri('rdf:type')) push(this.#subjects, object.value, subject);
    }
  }
  all(subject: string, predicate: TypeName): readonly Term[] {
    return this.#values.get(`${subject} ${iri(predicate)}`) ?? [];
  }
  text(subject: string, predicate: TypeName): string | undefined {
    return this.all(subject, predicate)[0]?.value;
  }
  texts(subject: string, predicate: TypeName): readonly string[] {
    return this.all(subject, predicate).map(({ value }) => value);
  }
  /** The English text, or else the first. */
  words(subject: string, predicate: TypeName): string | undefined {
    const all = this.all(subject, predicate);
    const english = all.find((each) => each.termType === 'Literal' && each.language === 'en');
    return (english ?? all[0])?.value;
  }
  instances(type: TypeName): readonly string[] {
    return (this.#subjects.get(iri(type)) ?? []).map(({ value }) => value);
  }
}

function push(map: Map<string, Term[]>, key: string, value: Term): void {
  const known = map.get(key);
  if (known) known.push(value);
  else map.set(key, [value]);
}
