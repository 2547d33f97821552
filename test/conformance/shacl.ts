/** w3c/data-shapes: `data-shapes-test-suite/tests/core/manifest.ttl` of the folder, or one in it. */
import { existsSync } from 'node:fs';
import { join } from 'node:path';
import { type ShapeFault, type Term, createShapeValidator, termText } from '#libs/mdds';
import {
  type Facts,
  type ManifestEntry,
  MF,
  fileOf,
  readManifest,
  readTurtleFile,
} from './manifests.ts';
import { type Suite, runCase } from './suite.ts';

const SH = 'http://www.w3.org/ns/shacl#';
const SHT = 'http://www.w3.org/ns/shacl-test#';

const localName = (term: Term): string => term.value.slice(SH.length);

/** Node, property, rule and severity of what is expected; other paths than single steps are left out. */
function expectedFault(facts: Facts, result: Term): string {
  const [path] = facts.all(result, `${SH}resultPath`);
  return [
    termText(facts.one(result, `${SH}focusNode`)),
    path?.termType === 'NamedNode' ? termText(path) : '',
    localName(facts.one(result, `${SH}sourceConstraintComponent`)).replace(
      /ConstraintComponent$/,
      '',
    ),
    severityName(facts.one(result, `${SH}resultSeverity`).value),
  ].join(' ');
}

const severityName = (value: string): string =>
  value.slice(Math.max(value.lastIndexOf('#'), value.lastIndexOf('/')) + 1);

const givenFault = ({ node, path, constraint, severity }: ShapeFault): string =>
  [node, path && /^<[^>]*>$/.test(path) ? path : '', constraint, severity].join(' ');

async function check({ facts, test }: ManifestEntry): Promise<string | undefined> {
  const action = facts.one(test, `${MF}action`);
  const data = readTurtleFile(fileOf(facts.one(action, `${SHT}dataGraph`)));
  const shapes = readTurtleFile(fileOf(facts.one(action, `${SHT}shapesGraph`)));
  const report = await createShapeValidator(shapes).validate(data);
  const wanted = facts.one(test, `${MF}result`);
  const results = facts.all(wanted, `${SH}result`);
  const wantedConforms = facts.one(wanted, `${SH}conforms`).value === 'true';
  // Our report conforms when nothing is worse than a warning; the suite's, when nothing is found.
  if (wantedConforms !== (report.faults.length === 0))
    return `conforms: ${wantedConforms} expected, ${report.faults.length} faults found`;
  const [expected, given] = [
    results.map((result) => expectedFault(facts, result)).toSorted(),
    report.faults.map(givenFault).toSorted(),
  ];
  return expected.join('\n') === given.join('\n')
    ? undefined
    : `expected:\n${expected.join('\n')}\nfound:\n${given.join('\n')}`;
}

export const shacl: Suite = async (folder) => {
  const inside = join(folder, 'data-shapes-test-suite', 'tests', 'core', 'manifest.ttl');
  const manifest = existsSync(inside) ? inside : join(folder, 'manifest.ttl');
  const results = [];
  for (const entry of readManifest(manifest).filter(({ types }) =>
    types.includes(`${SHT}Validate`),
  ))
    results.push(await runCase(entry.name, () => check(entry)));
  return results;
};
