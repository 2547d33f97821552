/** Conformance of a directory to SHACL shapes (core), before it is published or anchored. */
import { DataFactory, Store } from 'n3';
import type { Quad, Term } from '@rdfjs/types';
import { Validator } from 'shacl-engine';
import { mddsError } from './errors.ts';
import { compileShapes } from './fast-shapes.ts';
import { termText } from './quads.ts';

export interface ShapeFault {
  /** The node that does not conform, as N-Quads writes it. */
  readonly node: string;
  /** Property, when the fault is in one. */
  readonly path?: string;
  /** Constraint that failed, by the local name of its component. */
  readonly constraint: string;
  readonly message: string;
  readonly severity: 'Violation' | 'Warning' | 'Info';
}

export interface ShapeReport {
  /** No fault of severity `Violation`. */
  readonly conforms: boolean;
  readonly faults: readonly ShapeFault[];
}

export interface ShapeValidator {
  validate(quads: readonly Quad[]): Promise<ShapeReport>;
  /** @throws MDDS_SHAPE naming the first faults */
  demand(quads: readonly Quad[]): Promise<void>;
}

const FAULTS_SHOWN = 5;
const localName = (iri: string): string =>
  iri.slice(Math.max(iri.lastIndexOf('#'), iri.lastIndexOf('/')) + 1);

interface PathStep {
  readonly predicates: readonly Term[];
  readonly end: 'subject' | 'object';
}
interface EngineResult {
  readonly focusNode: { readonly term: Term };
  readonly path?: readonly PathStep[];
  readonly message: readonly Term[];
  readonly severity: Term;
  readonly constraintComponent: Term;
}
interface EngineReport {
  readonly conforms: boolean;
  readonly results: readonly EngineResult[];
}

function pathText(path: readonly PathStep[] | undefined): string | undefined {
  return path
    ?.map(
      ({ predicates, end }) =>
        `${end === 'subject' ? '^' : ''}${predicates.map(termText).join('|')}`,
    )
    .join('/');
}

function faultOf(result: EngineResult): ShapeFault {
  const path = pathText(result.path);
  const constraint = localName(result.constraintComponent.value).replace(
    /ConstraintComponent$/,
    '',
  );
  return {
    node: termText(result.focusNode.term),
    ...(path !== undefined && { path }),
    constraint,
    message: result.message[0]?.value ?? `${constraint} does not hold`,
    severity: localName(result.severity.value) as ShapeFault['severity'],
  };
}

/** @param shapes quads of one or several shapes graphs; prepared once */
export function createShapeValidator(shapes: readonly Quad[]): ShapeValidator {
  const conformsSurely = compileShapes(shapes);
  const engine = new Validator(new Store([...shapes]), { factory: DataFactory });
  const validate = async (quads: readonly Quad[]): Promise<ShapeReport> => {
    if (conformsSurely?.(quads) === true) return { conforms: true, faults: [] };
    const report = (await engine.validate({ dataset: new Store([...quads]) })) as EngineReport;
    const faults = report.results.map(faultOf);
    return { conforms: faults.every(({ severity }) => severity !== 'Violation'), faults };
  };
  return {
    validate,
    demand: async (quads) => {
      const { conforms, faults } = await validate(quads);
      if (conforms) return;
      const broken = faults.filter(({ severity }) => severity === 'Violation');
      const words = broken
        .slice(0, FAULTS_SHOWN)
        .map(
          ({ node, path, message }) => `${node}${path === undefined ? '' : ` ${path}`}: ${message}`,
        );
      const rest = broken.length - words.length;
      throw mddsError('MDDS_SHAPE', `${words.join('; ')}${rest > 0 ? `; ${rest} more` : ''}`);
    },
  };
}
