/**
 * A contract project: a folder with `contract.ts` (JavaScript engine) or `contract.as`
 * (AssemblyScript), tests in `contract.test.ts`. Building gives the bytes that are deployed.
 */
import { existsSync, readFileSync } from 'node:fs';
import { createRequire } from 'node:module';
import { join, resolve } from 'node:path';
import { pathToFileURL } from 'node:url';
import { sha256Hex } from '#libs/crypto';
import { type Bytes, utf8 } from '#libs/kernel';
import {
  CONTRACT_VM_VERSIONS,
  ContractEngine,
  type ContractKind,
  JS_SOURCE_MAX_BYTES,
  WASM_CONTRACT_MAX_BYTES,
  loadJsEngine,
} from '#libs/vm';
import { cliError } from '../errors.ts';
import { stripTypes } from '../frame/strip-types.ts';

export interface BuiltContract {
  readonly kind: ContractKind;
  readonly code: Bytes;
  readonly codeHash: string;
  /** Version of the engine it is meant for. */
  readonly vm: string;
}

/** Part of the AssemblyScript compiler's interface that is used. */
interface AssemblyScript {
  main(
    args: readonly string[],
    io: {
      readFile(name: string, baseDir: string): string | null;
      writeFile(name: string, contents: Uint8Array | string): void;
      listFiles(): string[];
    },
  ): Promise<{ readonly error: Error | null; readonly stderr: { toString(): string } }>;
}

const WASM_FLAGS = ['--runtime', 'stub', '--use', 'abort=', '-O3', '--disable', 'simd'];

export function createLocalEngine(): ContractEngine {
  return new ContractEngine({
    jsEngine: () =>
      loadJsEngine(
        readFileSync(createRequire(import.meta.url).resolve('quickjs-wasi/quickjs.wasm')),
      ),
  });
}

/** Builds the project, and loads it once as the chain will. @throws CLI_CONTRACT */
export async function buildContract(directory: string): Promise<BuiltContract> {
  const folder = resolve(directory);
  const script = join(folder, 'contract.ts');
  const assembly = join(folder, 'contract.as');
  const built = existsSync(assembly)
    ? await assembled(folder, assembly)
    : existsSync(script)
      ? stripped(script)
      : undefined;
  if (!built)
    throw cliError('CLI_CONTRACT', `${folder} has neither a contract.ts nor a contract.as`);
  try {
    createLocalEngine().load(built.kind, built.code);
  } catch (cause) {
    const why = cause instanceof Error ? cause.message : String(cause);
    throw cliError('CLI_CONTRACT', `${folder}: ${why}`, { cause });
  }
  return built;
}

function described(kind: ContractKind, code: Bytes, path: string): BuiltContract {
  const max = kind === 'js' ? JS_SOURCE_MAX_BYTES : WASM_CONTRACT_MAX_BYTES;
  if (code.length > max)
    throw cliError('CLI_CONTRACT', `${path}: ${code.length} bytes where ${max} are allowed`);
  return { kind, code, codeHash: sha256Hex(code), vm: CONTRACT_VM_VERSIONS[kind] };
}

/** One ES module: the types go, everything else stays. */
function stripped(path: string): BuiltContract {
  let source: string;
  try {
    source = stripTypes(readFileSync(path, 'utf8'));
  } catch (cause) {
    const why = cause instanceof Error ? cause.message : String(cause);
    throw cliError('CLI_CONTRACT', `${path}: ${why}`, { cause });
  }
  const lean = source.replaceAll(/[ \t]+$/gm, '').replaceAll(/\n{3,}/g, '\n\n');
  return described('js', utf8(lean), path);
}

async function assembled(folder: string, path: string): Promise<BuiltContract> {
  const compiler = await loadAssemblyScript(folder);
  let code: Bytes | undefined;
  const { error, stderr } = await compiler.main(
    ['contract.ts', '-o', 'contract.wasm', ...WASM_FLAGS],
    {
      readFile: (name) => (name === 'contract.ts' ? readFileSync(path, 'utf8') : null),
      writeFile: (name, contents) => {
        if (name === 'contract.wasm' && typeof contents !== 'string') code = contents;
      },
      listFiles: () => [],
    },
  );
  if (error || !code)
    throw cliError('CLI_CONTRACT', `${path}: ${stderr.toString() || String(error)}`);
  return described('wasm', code, path);
}

/** The project's own compiler, else the one beside this program. */
async function loadAssemblyScript(folder: string): Promise<AssemblyScript> {
  for (const from of [join(folder, 'package.json'), import.meta.filename]) {
    try {
      const path = createRequire(from).resolve('assemblyscript/package.json');
      const asc = new URL('dist/asc.js', pathToFileURL(path));
      return (await import(asc.href)) as AssemblyScript;
    } catch (error) {
      if ((error as NodeJS.ErrnoException).code !== 'MODULE_NOT_FOUND') throw error;
    }
  }
  throw cliError(
    'CLI_CONTRACT',
    'AssemblyScript is not installed: npm install --save-dev assemblyscript in the project',
  );
}
