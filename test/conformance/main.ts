/**
 * `npm run conformance -- SUITE DIR`: public test cases, in their suite's own layout, against this code.
 * Exit code: 0 when all passed, 1 when some failed or there were none, 2 for wrong usage.
 */
import process, { stderr, stdout } from 'node:process';
import { parseArgs } from 'node:util';
import { croissant } from './croissant.ts';
import { dcatAp } from './dcat-ap.ts';
import { gateway } from './gateway.ts';
import { rdfCanon } from './rdf-canon.ts';
import { shacl } from './shacl.ts';
import type { CaseResult, Suite } from './suite.ts';

const SUITES: Readonly<Record<string, Suite>> = {
  'rdf-canon': rdfCanon,
  shacl,
  croissant,
  'dcat-ap': dcatAp,
  gateway,
};

const HELP = `npm run conformance -- SUITE DIR [--json]

  rdf-canon   w3c/rdf-canon: DIR/tests/manifest.ttl
  shacl       w3c/data-shapes: DIR/data-shapes-test-suite/tests/core/manifest.ttl
  croissant   mlcommons/croissant: every metadata.json below DIR
  dcat-ap     a release folder of SEMICeu/DCAT-AP: shapes.ttl, dcat-ap-SHACL.ttl and examples below DIR
  gateway     ipfs/gateway-conformance: every CAR below DIR (its fixtures), trustless gateway
`;

export interface ConformanceReport {
  readonly suite: string;
  readonly tried: number;
  readonly passed: number;
  readonly failures: readonly CaseResult[];
}

/** @throws Error when there is no such suite, or the folder has no cases in its layout */
export async function runSuite(suite: string, folder: string): Promise<ConformanceReport> {
  const run = SUITES[suite];
  if (!run)
    throw new Error(`there is no suite "${suite}"; there are: ${Object.keys(SUITES).join(', ')}`);
  const results = await run(folder);
  const failures = results.filter(({ passed }) => !passed);
  return { suite, tried: results.length, passed: results.length - failures.length, failures };
}

async function main(): Promise<void> {
  const { values, positionals } = parseArgs({
    allowPositionals: true,
    options: {
      json: { type: 'boolean', default: false },
      help: { type: 'boolean', default: false },
    },
  });
  const [suite, folder] = positionals;
  if (values.help || suite === undefined || folder === undefined || !Object.hasOwn(SUITES, suite)) {
    (values.help ? stdout : stderr).write(HELP);
    process.exitCode = values.help ? 0 : 2;
    return;
  }
  try {
    const report = await runSuite(suite, folder);
    if (values.json) stdout.write(`${JSON.stringify(report)}\n`);
    else {
      for (const { name, why } of report.failures) stdout.write(`FAILED ${name}: ${why}\n`);
      stdout.write(`${suite}: ${report.passed} of ${report.tried} passed\n`);
    }
    process.exitCode = report.failures.length > 0 || report.tried === 0 ? 1 : 0;
  } catch (error) {
    stderr.write(`${error instanceof Error ? error.message : String(error)}\n`);
    process.exitCode = 1;
  }
}

if (process.argv[1] === import.meta.filename) void main();
