/**
 * Statements under way to a directory, each marked public or private. A node without a name of its own
 * is public or private as a whole: its name is the hash of what is said about it, so one private
 * statement about a public node would be open to guessing from that name.
 */
import type { Quad } from '@rdfjs/types';
import { DataFactory } from 'n3';
import { invariant } from '#libs/kernel';
import { type Prefix, iri } from './namespaces.ts';

export type Visibility = 'public' | 'private';
type TypeName = `${Prefix}:${string}`;
type Subject = Quad['subject'];
type ObjectTerm = Quad['object'];

const { namedNode, literal, quad } = DataFactory;

export const named = (uri: string) => namedNode(uri);
/** A term of a known vocabulary, as `term('dcat:Dataset')`. */
export const term = (name: TypeName) => namedNode(iri(name));
export const plainText = (text: string) => literal(text);
export const textIn = (text: string, language: string) => literal(text, language);
export const typed = (value: string | number | bigint, type: TypeName) =>
  literal(String(value), namedNode(iri(type)));

/** XSD decimal without an exponent. */
export function decimal(value: number | string) {
  const text = typeof value === 'string' ? value : value.toFixed(12).replace(/0+$/, '');
  return typed(text.endsWith('.') ? `${text}0` : text, 'xsd:decimal');
}

export class Statements {
  readonly #public: Quad[] = [];
  readonly #private: Quad[] = [];
  readonly #nodes = new Map<string, Visibility>();
  #next = 0;

  add(
    subject: Subject,
    predicate: TypeName,
    object: ObjectTerm | undefined,
    visibility: Visibility = 'private',
  ): void {
    if (object === undefined) return;
    if (subject.termType === 'BlankNode')
      invariant(
        this.#nodes.get(subject.value) === visibility,
        'all that is said about a node without a name is public, or nothing of it',
      );
    if (object.termType === 'BlankNode')
      invariant(
        this.#nodes.get(object.value) === visibility,
        'a node without a name is as visible as what refers to it',
      );
    const list = visibility === 'public' ? this.#public : this.#private;
    list.push(quad(subject as never, namedNode(iri(predicate)), object as never));
  }

  /** A node without a name, of one class, all of it public or private. */
  node(type: TypeName, visibility: Visibility): Subject {
    const node = DataFactory.blankNode(`n${this.#next++}`);
    this.#nodes.set(node.value, visibility);
    this.add(node, 'rdf:type', term(type), visibility);
    return node;
  }

  /** A node without a name or a class. */
  bare(visibility: Visibility): Subject {
    const node = DataFactory.blankNode(`n${this.#next++}`);
    this.#nodes.set(node.value, visibility);
    return node;
  }

  get publicQuads(): readonly Quad[] {
    return this.#public;
  }
  get privateQuads(): readonly Quad[] {
    return this.#private;
  }
}
