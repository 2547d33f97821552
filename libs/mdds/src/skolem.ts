/**
 * Names for blank nodes (RDF 1.1, section 3.5). An anchored graph holds none: then its canonical form
 * is its sorted lines, and no hostile graph can make that expensive. A name is the hash of what is
 * said about the node, so the same document gets the same names, and a change elsewhere keeps them.
 */
import { DataFactory } from 'n3';
import type { NamedNode, Quad, Term } from '@rdfjs/types';
import { hashOf } from '#libs/crypto';
import { utf8 } from '#libs/kernel';
import { hashOfLines, labelled } from './canonical.ts';
import { mddsError } from './errors.ts';
import { MDDS_LIMITS } from './limits.ts';
import { termText } from './quads.ts';

const DOMAIN = 'seele/mdds-genid/1';
const NAME_HEX = 32;
const GENID = '/.well-known/genid/';

/** True for a name that `skolemise` gave. */
export const isSkolemName = (iri: string): boolean => iri.includes(GENID);

class Namer {
  readonly #about = new Map<string, Quad[]>();
  readonly #names = new Map<string, string>();
  readonly #open = new Set<string>();

  constructor(quads: readonly Quad[]) {
    for (const quad of quads)
      if (quad.subject.termType === 'BlankNode') {
        const known = this.#about.get(quad.subject.value);
        if (known) known.push(quad);
        else this.#about.set(quad.subject.value, [quad]);
      }
  }

  /** Hash of what is said about a blank node; undefined when that leads back to it. */
  nameOf(label: string, depth = 0): string | undefined {
    const known = this.#names.get(label);
    if (known !== undefined) return known;
    if (this.#open.has(label)) return undefined;
    if (depth > MDDS_LIMITS.quadsMax) return undefined;
    this.#open.add(label);
    const lines: string[] = [];
    for (const { predicate, object, graph } of this.#about.get(label) ?? []) {
      const value =
        object.termType === 'BlankNode' ? this.nameOf(object.value, depth + 1) : termText(object);
      if (value === undefined) return undefined;
      lines.push(`${termText(predicate)} ${value} ${termText(graph)}`);
    }
    this.#open.delete(label);
    const name = hashOf(DOMAIN, utf8(lines.toSorted().join('\n'))).slice(0, NAME_HEX);
    this.#names.set(label, name);
    return name;
  }
}

/**
 * Replaces every blank node by `<base>/.well-known/genid/<hash>`. Nodes about which the same is said
 * become one.
 *
 * @param base UAI of the owner, as `chain://health.clinic/acc1qk3`
 * @throws MDDS_TOO_COMPLEX for rings of blank nodes that cannot be told apart, MDDS_SYNTAX
 */
export async function skolemise(quads: readonly Quad[], base: string): Promise<readonly Quad[]> {
  const labels = blankLabels(quads);
  if (labels.size === 0) return quads;
  const namer = new Namer(quads);
  const names = new Map<string, NamedNode>();
  const nameNode = (name: string) => DataFactory.namedNode(`${base}${GENID}${name}`);
  let ring: Awaited<ReturnType<typeof ringNames>> | undefined;
  for (const label of labels) {
    const name = namer.nameOf(label) ?? (ring ??= await ringNames(quads)).get(label);
    if (name === undefined) throw mddsError('MDDS_TOO_COMPLEX', `blank node ${label} has no name`);
    names.set(label, nameNode(name));
  }
  const named = <T extends Term>(term: T) =>
    term.termType === 'BlankNode' ? (names.get(term.value) as NamedNode) : term;
  return quads.map(({ subject, predicate, object, graph }) =>
    DataFactory.quad(named(subject) as NamedNode, predicate, named(object) as NamedNode, graph),
  );
}

function blankLabels(quads: readonly Quad[]): ReadonlySet<string> {
  const labels = new Set<string>();
  for (const { subject, object, graph } of quads) {
    if (graph.termType === 'BlankNode')
      throw mddsError('MDDS_SYNTAX', 'the graphs of a directory need names');
    if (subject.termType === 'BlankNode') labels.add(subject.value);
    if (object.termType === 'BlankNode') labels.add(object.value);
  }
  return labels;
}

/** Blank nodes in rings have no content of their own: they are named by their canonical labels. */
async function ringNames(quads: readonly Quad[]): Promise<ReadonlyMap<string, string>> {
  const { lines, labels } = await labelled(quads);
  const document = hashOfLines(lines);
  const plain = (label: string) => label.replace(/^_:/, '');
  return new Map(
    [...labels].map(([label, canonical]) => [
      plain(label),
      hashOf(DOMAIN, utf8(`${document} ${plain(canonical)}`)).slice(0, NAME_HEX),
    ]),
  );
}
