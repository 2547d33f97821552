/**
 * A quick yes: whether a graph conforms to shapes, for those parts of SHACL core that the shapes of this
 * project use. It answers "yes" or "not sure", never "no": whatever it does not know, or finds wrong,
 * goes to the full engine, which is ten times slower and names the faults.
 */
import type { Quad, Term } from '@rdfjs/types';
import { iri } from './namespaces.ts';
import { termText } from './quads.ts';

const SH = 'http://www.w3.org/ns/shacl#';
const XSD = iri('xsd:string').slice(0, -'string'.length);
const RDF_TYPE = iri('rdf:type');
const RDF_NIL = 'http://www.w3.org/1999/02/22-rdf-syntax-ns#nil';

const WELL_FORMED: Readonly<Record<string, RegExp>> = {
  string: /^/,
  integer: /^[+-]?\d+$/,
  nonNegativeInteger: /^(\+?\d+|-0+)$/,
  decimal: /^[+-]?(\d+(\.\d*)?|\.\d+)$/,
  boolean: /^(true|false|0|1)$/,
  hexBinary: /^([0-9a-fA-F]{2})*$/,
  dateTime: /^\d{4}-(0[1-9]|1[0-2])-([0-2]\d|3[01])T([01]\d|2[0-3]):[0-5]\d:[0-5]\d(\.\d+)?Z$/,
};
/** Such times compare as the numbers that their digits make. */
const WHOLE_SECONDS = /^\d{4}-(0[1-9]|1[0-2])-([0-2]\d|3[01])T([01]\d|2[0-3]):[0-5]\d:[0-5]\dZ$/;
const EXACT = 2 ** 53;

/** Thrown where only the full engine may say; never leaves this file. */
class NotSure extends Error {}
const notSure = (): never => {
  throw new NotSure();
};

class Graph {
  readonly #out = new Map<string, Map<string, Term[]>>();
  readonly #in = new Map<string, Map<string, Term[]>>();

  constructor(quads: readonly Quad[]) {
    for (const { subject, predicate, object, graph } of quads) {
      if (graph.termType !== 'DefaultGraph' || predicate.value === iri('rdfs:subClassOf'))
        notSure();
      add(this.#out, keyOf(subject), predicate.value, object);
      if (object.termType !== 'Literal') add(this.#in, keyOf(object), predicate.value, subject);
    }
  }
  values = (node: Term, predicate: string): readonly Term[] =>
    this.#out.get(keyOf(node))?.get(predicate) ?? [];
  subjects = (node: Term, predicate: string): readonly Term[] =>
    this.#in.get(keyOf(node))?.get(predicate) ?? [];
  predicates = (node: Term): Iterable<string> => this.#out.get(keyOf(node))?.keys() ?? [];

  one(node: Term, name: string): Term | undefined {
    const [value, second] = this.values(node, SH + name);
    return second === undefined ? value : notSure();
  }
  list(head: Term): readonly Term[] {
    const items: Term[] = [];
    for (let at: Term = head; at.value !== RDF_NIL;) {
      const [first, rest] = [this.values(at, iri('rdf:first')), this.values(at, iri('rdf:rest'))];
      if (!first[0] || !rest[0] || items.length > 1_000) return notSure();
      items.push(first[0]);
      at = rest[0];
    }
    return items;
  }
}

const keyOf = (term: Term): string => (term.termType === 'NamedNode' ? term.value : termText(term));

function add(
  index: Map<string, Map<string, Term[]>>,
  key: string,
  predicate: string,
  value: Term,
): void {
  let about = index.get(key);
  if (!about) index.set(key, (about = new Map()));
  const values = about.get(predicate);
  if (values) values.push(value);
  else about.set(predicate, [value]);
}

/** True when it holds; may throw {@link NotSure}. */
type Check = (graph: Graph, value: Term) => boolean;
type ValuesCheck = (graph: Graph, values: readonly Term[], focus: Term) => boolean;

function numberOf(term: Term | undefined): number {
  if (term?.termType !== 'Literal') return notSure();
  const type = term.datatype.value.slice(XSD.length);
  const isNumber = ['integer', 'decimal', 'nonNegativeInteger'].includes(type);
  if (!isNumber || !WELL_FORMED[type]?.test(term.value)) return notSure();
  const value = Number(term.value);
  return Math.abs(value) < EXACT ? value : notSure();
}

function comparable(term: Term): number {
  if (term.termType !== 'Literal' || term.datatype.value !== `${XSD}dateTime`)
    return numberOf(term);
  if (!WHOLE_SECONDS.test(term.value)) return notSure();
  return Number(term.value.replace(/\D/g, ''));
}

const NODE_KINDS: Readonly<Record<string, readonly string[]>> = {
  IRI: ['NamedNode'],
  Literal: ['Literal'],
  BlankNode: ['BlankNode'],
  BlankNodeOrIRI: ['BlankNode', 'NamedNode'],
  IRIOrLiteral: ['NamedNode', 'Literal'],
  BlankNodeOrLiteral: ['BlankNode', 'Literal'],
};

const IGNORED = new Set([
  'path',
  'targetClass',
  'name',
  'description',
  'message',
  'order',
  'flags',
]);

/** Shapes made ready; throws {@link NotSure} for what it does not know. */
class Compiler {
  readonly #shapes: Graph;
  readonly #checks = new Map<string, Check>();

  constructor(shapes: Graph) {
    this.#shapes = shapes;
  }

  /** Check of one node against a shape; shapes may refer to each other. */
  shape(node: Term): Check {
    const key = keyOf(node);
    const known = this.#checks.get(key);
    if (known) return known;
    // Shapes may refer to each other, so a name stands for the check before it is made.
    const made: { check?: Check } = {};
    this.#checks.set(key, (graph, value) => (made.check ?? notSure())(graph, value));
    const path = this.#shapes.values(node, `${SH}path`)[0];
    const [onValues, onEach] = this.#constraints(node, path !== undefined);
    const valuesOf = path ? this.#path(path) : (_graph: Graph, focus: Term) => [focus];
    const check: Check = (graph, focus) => {
      const values = valuesOf(graph, focus);
      for (const each of onEach) for (const value of values) if (!each(graph, value)) return false;
      return onValues.every((all) => all(graph, values, focus));
    };
    made.check = check;
    return check;
  }

  #path(path: Term): (graph: Graph, focus: Term) => readonly Term[] {
    if (path.termType === 'NamedNode') return (graph, focus) => graph.values(focus, path.value);
    const inverse = this.#shapes.one(path, 'inversePath');
    if (inverse?.termType !== 'NamedNode') return notSure();
    return (graph, focus) => graph.subjects(focus, inverse.value);
  }

  #constraints(node: Term, isProperty: boolean): readonly [ValuesCheck[], Check[]] {
    const [onValues, onEach]: [ValuesCheck[], Check[]] = [[], []];
    for (const predicate of this.#shapes.predicates(node)) {
      if (!predicate.startsWith(SH)) continue;
      const name = predicate.slice(SH.length);
      if (IGNORED.has(name)) continue;
      for (const value of this.#shapes.values(node, predicate)) {
        const each = this.#each(name, value, node);
        if (each) onEach.push(each);
        else onValues.push(this.#all(name, value, node, isProperty));
      }
    }
    return [onValues, onEach];
  }

  #each(name: string, value: Term, node: Term): Check | undefined {
    switch (name) {
      case 'class':
        return (graph, term) =>
          graph.values(term, RDF_TYPE).some((type) => type.value === value.value);
      case 'datatype': {
        const pattern = WELL_FORMED[value.value.slice(XSD.length)] ?? notSure();
        return (_graph, term) =>
          term.termType === 'Literal' &&
          term.datatype.value === value.value &&
          (pattern.test(term.value) || notSure());
      }
      case 'nodeKind': {
        const kinds = NODE_KINDS[value.value.slice(SH.length)] ?? notSure();
        return (_graph, term) => kinds.includes(term.termType);
      }
      case 'minInclusive': {
        const bound = numberOf(value);
        return (_graph, term) => numberOf(term) >= bound;
      }
      case 'maxInclusive': {
        const bound = numberOf(value);
        return (_graph, term) => numberOf(term) <= bound;
      }
      case 'minLength': {
        const bound = numberOf(value);
        // Code units are characters in most texts; the engine counts the others.
        return (_graph, term) =>
          term.termType !== 'BlankNode' &&
          (/[\ud800-\udfff]/.test(term.value) ? notSure() : term.value.length >= bound);
      }
      case 'pattern': {
        if (this.#shapes.one(node, 'flags')) return notSure();
        const pattern = new RegExp(value.value, 'u');
        return (_graph, term) => term.termType !== 'BlankNode' && pattern.test(term.value);
      }
      case 'in': {
        const allowed = new Set(this.#shapes.list(value).map(termText));
        return (_graph, term) => allowed.has(termText(term));
      }
      case 'node':
      case 'property':
        return this.shape(value);
      case 'not': {
        const check = this.shape(value);
        return (graph, term) => !check(graph, term);
      }
      case 'or': {
        const checks = this.#shapes.list(value).map((each) => this.shape(each));
        return (graph, term) => checks.some((check) => check(graph, term));
      }
      default:
        return undefined;
    }
  }

  #all(name: string, value: Term, node: Term, isProperty: boolean): ValuesCheck {
    switch (name) {
      case 'minCount': {
        const bound = numberOf(value);
        return (_graph, values) => values.length >= bound;
      }
      case 'maxCount': {
        const bound = numberOf(value);
        return (_graph, values) => values.length <= bound;
      }
      case 'hasValue': {
        const wanted = termText(value);
        return (_graph, values) => values.some((each) => termText(each) === wanted);
      }
      case 'uniqueLang':
        if (value.value !== 'true') return notSure();
        return (_graph, values) => {
          const languages = values
            .map((each) => (each.termType === 'Literal' ? each.language.toLowerCase() : ''))
            .filter((language) => language !== '');
          return new Set(languages).size === languages.length;
        };
      case 'lessThan':
      case 'lessThanOrEquals':
        return (graph, values, focus) =>
          values.every((left) =>
            graph.values(focus, value.value).every((right) => {
              const difference = comparable(left) - comparable(right);
              return name === 'lessThan' ? difference < 0 : difference <= 0;
            }),
          );
      case 'qualifiedValueShape': {
        const check = this.shape(value);
        const least = numberOf(this.#shapes.one(node, 'qualifiedMinCount'));
        return (graph, values) => values.filter((each) => check(graph, each)).length >= least;
      }
      case 'qualifiedMinCount':
        return () => true;
      case 'closed': {
        if (isProperty || value.value !== 'true') return notSure();
        const ignored = this.#shapes.one(node, 'ignoredProperties');
        const paths = this.#shapes
          .values(node, `${SH}property`)
          .flatMap((property) => this.#shapes.values(property, `${SH}path`));
        const allowed = new Set(
          [...paths, ...(ignored ? this.#shapes.list(ignored) : [])].map((each) => each.value),
        );
        return (graph, values) =>
          values.every((each) => [...graph.predicates(each)].every((used) => allowed.has(used)));
      }
      case 'ignoredProperties':
        return () => true;
      default:
        return notSure();
    }
  }
}

function tryOr<T>(otherwise: T, run: () => T): T {
  try {
    return run();
  } catch (error) {
    if (error instanceof NotSure) return otherwise;
    throw error;
  }
}

/** @returns a test that is true only for graphs that conform; undefined when these shapes are beyond it */
export function compileShapes(
  shapes: readonly Quad[],
): ((quads: readonly Quad[]) => boolean) | undefined {
  return tryOr(undefined, () => {
    const graph = new Graph(shapes);
    const compiler = new Compiler(graph);
    const nodes = new Map(shapes.map(({ subject }) => [keyOf(subject), subject]));
    const targets: { readonly type: Term; readonly check: Check }[] = [];
    for (const node of nodes.values()) {
      for (const name of ['targetNode', 'targetSubjectsOf', 'targetObjectsOf', 'target'])
        if (graph.values(node, SH + name).length > 0) notSure();
      // A shape that is also a class has its instances as targets.
      if (graph.values(node, RDF_TYPE).some(({ value }) => value === iri('rdfs:Class'))) notSure();
      for (const type of graph.values(node, `${SH}targetClass`))
        targets.push({ type, check: compiler.shape(node) });
    }
    return (quads: readonly Quad[]) =>
      tryOr(false, () => {
        const data = new Graph(quads);
        return targets.every(({ type, check }) =>
          data.subjects(type, RDF_TYPE).every((focus) => check(data, focus)),
        );
      });
  });
}
