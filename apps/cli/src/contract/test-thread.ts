/**
 * Runs a contract's tests in a thread with a node's stack, where the counted stack ends a guest
 * before V8's own limit can (docs/decisions/0012-a-node-runs-on-a-large-stack.md).
 */
import { existsSync } from 'node:fs';
import { join, resolve } from 'node:path';
import { pathToFileURL } from 'node:url';
import { Worker, isMainThread, parentPort, workerData } from 'node:worker_threads';
import { ContractTestChain } from '#contracts';
import { cliError } from '../errors.ts';
import { buildContract, createLocalEngine } from './project.ts';

/** As `apps/node/src/main.ts`. */
const STACK_MB = 192;

export type ContractTestResult = {
  readonly name: string;
  readonly ok: boolean;
  readonly message?: string;
};

type Answer = { readonly results: readonly ContractTestResult[] } | { readonly refusal: string };

type Tests = Readonly<Record<string, (chain: ContractTestChain) => unknown>>;

async function testsOf(directory: string): Promise<Tests> {
  const file = join(resolve(directory), 'contract.test.ts');
  if (!existsSync(file)) throw cliError('CLI_CONTRACT', `${file} is not there`);
  const { tests } = (await import(pathToFileURL(file).href)) as { readonly tests?: Tests };
  if (!tests) throw cliError('CLI_CONTRACT', `${file} exports no tests`);
  return tests;
}

async function runTests(directory: string): Promise<readonly ContractTestResult[]> {
  const { kind, code } = await buildContract(directory);
  const tests = await testsOf(directory);
  const engine = createLocalEngine();
  const results: ContractTestResult[] = [];
  const fail = (what: string): never => {
    throw cliError('CLI_CHECK_FAILED', what);
  };
  for (const [name, test] of Object.entries(tests)) {
    try {
      await test(new ContractTestChain(engine, kind, code, fail));
      results.push({ name, ok: true });
    } catch (error) {
      const message = error instanceof Error ? error.message : String(error);
      results.push({ name, ok: false, message });
    }
  }
  return results;
}

/** Builds the contract in `directory` and runs each of its tests on a chain of its own. @throws CLI_CONTRACT */
export function runContractTests(directory: string): Promise<readonly ContractTestResult[]> {
  return new Promise((settle, reject) => {
    const thread = new Worker(new URL(import.meta.url), {
      workerData: { testContractIn: directory },
      resourceLimits: { stackSizeMb: STACK_MB },
    });
    thread.once('message', (answer: Answer) => {
      if ('results' in answer) settle(answer.results);
      else reject(cliError('CLI_CONTRACT', answer.refusal));
    });
    thread.once('error', reject);
    thread.once('exit', () =>
      reject(cliError('CLI_CONTRACT', `${directory}: the tests ended without a result`)),
    );
  });
}

async function answer(directory: string): Promise<Answer> {
  try {
    return { results: await runTests(directory) };
  } catch (error) {
    return { refusal: error instanceof Error ? error.message : String(error) };
  }
}

const wanted = workerData as { readonly testContractIn?: unknown } | null;
if (!isMainThread && typeof wanted?.testContractIn === 'string')
  parentPort?.postMessage(await answer(wanted.testContractIn));
