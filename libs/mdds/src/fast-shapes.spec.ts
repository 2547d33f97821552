import { readFileSync } from 'node:fs';
import fc from 'fast-check';
import { DataFactory, Store } from 'n3';
import type { Quad } from '@rdfjs/types';
import { Validator } from 'shacl-engine';
import { compileShapes } from './fast-shapes.ts';
import { readRdf } from './index.ts';

const turtle = (name: string) =>
  readRdf(readFileSync(new URL(`../../../schemas/${name}`, import.meta.url), 'utf8'), {
    format: 'turtle',
  });
const shapes = turtle('shapes.ttl');
const example = turtle('examples/directory.ttl');
const complete = turtle('examples/complete.ttl');
const engine = new Validator(new Store([...shapes]), { factory: DataFactory });
const engineSays = async (quads: readonly Quad[]) =>
  ((await engine.validate({ dataset: new Store([...quads]) })) as { conforms: boolean }).conforms;

describe('the quick test of conformance', () => {
  const conforms = compileShapes(shapes) as (quads: readonly Quad[]) => boolean;

  it('knows all of the shapes of this project and is sure of the examples', () => {
    expect(conforms(example)).toBe(true);
    expect(conforms(complete)).toBe(true);
  });

  it('never says yes where the full engine says no', async () => {
    const literals = ['"-1"', '"101"', '""', '"x"@en', '<chain://a/b>', '"abc"', '"2"'];
    let [refused, agreed] = [0, 0];
    await fc.assert(
      fc.asyncProperty(
        fc.nat(example.length - 1),
        fc.constantFrom('drop', 'double', ...literals),
        async (at, edit) => {
          const { subject, predicate, object } = example[at] as Quad;
          const value =
            edit.startsWith('<') || edit.includes('@')
              ? readRdf(`<x:a> <x:b> ${edit} .`, { format: 'turtle' })[0]?.object
              : DataFactory.literal(
                  edit.slice(1, -1),
                  object.termType === 'Literal' ? object.datatype : undefined,
                );
          const changed = DataFactory.quad(subject as never, predicate, value as never);
          const others = example.filter((_quad, i) => i !== at);
          const graph =
            edit === 'drop'
              ? others
              : edit === 'double'
                ? [
                    ...example,
                    DataFactory.quad(subject as never, predicate, DataFactory.literal('second')),
                  ]
                : [...others, changed];
          const truth = await engineSays(graph);
          const quick = conforms(graph);
          if (!truth) refused++;
          if (truth && quick) agreed++;
          expect(quick && !truth).toBe(false);
        },
      ),
      { numRuns: 100, seed: 5 },
    );
    expect(refused).toBeGreaterThan(10);
    expect(agreed).toBeGreaterThan(10);
  });

  it.each([
    [
      'a path of two steps',
      'sh:targetClass <x:C> ; sh:property [ sh:path ( <x:p> <x:q> ) ; sh:minCount 1 ]',
    ],
    ['an own severity', 'sh:targetClass <x:C> ; sh:severity sh:Warning ; sh:nodeKind sh:IRI'],
    ['another target', 'sh:targetNode <x:a> ; sh:nodeKind sh:IRI'],
  ])('leaves shapes with %s to the engine', (_what, body) => {
    const text = `@prefix sh: <http://www.w3.org/ns/shacl#> . <x:s> a sh:NodeShape ; ${body} .`;
    expect(compileShapes(readRdf(text, { format: 'turtle' }))).toBeUndefined();
  });
});
