/** From command line options to a job: files go into storage, content ids are looked at. */
import { existsSync } from 'node:fs';
import { basename } from 'node:path';
import {
  DEFAULT_JOB_FUEL,
  ISOLATION_LEVELS,
  type IsolationLevel,
  type JobKind,
  type Manifest,
  type Metering,
  TIERS,
  type Tier,
  encodeManifest,
} from '#libs/market';
import { describeJob } from '#libs/sdk';
import type { BlobRef, BlobStore } from '#libs/storage';
import { cliError } from '../errors.ts';
import { pairs, wholeNumber } from './command.ts';
import { placementOf } from './placement-options.ts';
import { readUserFile } from './files.ts';
import { readProgram } from './job-program.ts';
import { type ValidatorOptions, validatorOf } from './validator-options.ts';

export interface JobOptions extends ValidatorOptions {
  readonly in: readonly string[];
  readonly param: readonly string[];
  readonly tier: string;
  readonly name?: string;
  readonly wall: string;
  readonly memory: string;
  readonly weights?: string;
  readonly domain?: readonly string[];
  readonly level?: readonly string[];
  readonly region?: readonly string[];
  readonly priority?: string;
  readonly minIsolation?: string;
  readonly kind?: string;
  readonly fuel?: string;
  readonly checkpointFuel?: string;
  readonly clock?: string;
  readonly tasks?: string;
  readonly replicas?: string;
  readonly from: string;
  readonly market?: string;
  readonly [name: string]: unknown;
}

const CID = /^(baf[a-z2-7]{20,}|Qm[1-9A-HJ-NP-Za-km-z]{44})$/;
/** Larger content is refused as an input by its id; files are streamed whatever their size. */
const INPUT_MAX_BYTES = 2 ** 40;

async function stored(store: BlobStore, what: string): Promise<BlobRef> {
  if (existsSync(what)) return store.put(readUserFile(what));
  if (!CID.test(what))
    throw cliError('CLI_FILE', `cannot read ${what} (no such file, and not a content id)`);
  let sizeBytes = 0;
  for await (const chunk of store.get(what, { maxBytes: INPUT_MAX_BYTES }))
    sizeBytes += chunk.length;
  return { cid: what, sizeBytes };
}

function parameters(given: readonly string[], option = '--param'): Record<string, unknown> {
  const entries = pairs(option, given).map(([key, text]) => {
    try {
      return [key, JSON.parse(text) as unknown];
    } catch {
      return [key, text];
    }
  });
  return Object.fromEntries(entries) as Record<string, unknown>;
}

function oneOf<T extends string>(name: string, words: readonly T[], given: string): T {
  const found = words.find((word) => word === given.toUpperCase());
  if (found === undefined)
    throw cliError('CLI_USAGE', `${name} is one of ${words.join(', ')}, not "${given}"`);
  return found;
}

const FUEL_TEXT = /^\d{1,19}$/;

/** Terms of the metered engine, where any were named. @throws CLI_USAGE */
function meteringOf(kind: JobKind, options: JobOptions): Metering | undefined {
  const { fuel, checkpointFuel, clock } = options;
  if (fuel === undefined && checkpointFuel === undefined && clock === undefined) return undefined;
  if (kind === 'js')
    throw cliError(
      'CLI_USAGE',
      '--fuel, --checkpoint-fuel and --clock are for --kind wasm or verifiable',
    );
  for (const [name, text] of Object.entries({
    '--fuel': fuel,
    '--checkpoint-fuel': checkpointFuel,
  }))
    if (text !== undefined && !FUEL_TEXT.test(text))
      throw cliError('CLI_USAGE', `${name} must be a whole number, not "${text}"`);
  const epochMs = clock === undefined ? undefined : Date.parse(clock);
  if (epochMs !== undefined && !(epochMs >= 0))
    throw cliError('CLI_USAGE', `--clock takes a time like 2026-01-31T12:00:00Z, not "${clock}"`);
  return {
    fuel: fuel === undefined ? DEFAULT_JOB_FUEL : BigInt(fuel),
    ...(checkpointFuel !== undefined && { checkpointFuel: BigInt(checkpointFuel) }),
    ...(epochMs !== undefined && { epochMs }),
  };
}

export interface PreparedJob {
  readonly manifest: Manifest;
  /** CID of the stored manifest. */
  readonly manifestCid: string;
}

/** Stores code, inputs and manifest. @throws CLI_FILE, CLI_USAGE, SDK_INPUT_INVALID, STORAGE_… */
export async function prepareJob(
  store: BlobStore,
  codePath: string,
  options: JobOptions,
): Promise<PreparedJob> {
  const tier: Tier = oneOf('--tier', TIERS, options.tier);
  const minIsolation: IsolationLevel = oneOf(
    '--min-isolation',
    ISOLATION_LEVELS,
    options.minIsolation ?? 'S2',
  );
  const wallMs = wholeNumber('--wall', options.wall, 1) * 1000;
  const memoryBytes = wholeNumber('--memory', options.memory, 8) * 2 ** 20;
  const named = pairs('--in', options.in);
  const params = parameters(options.param);
  const program = readProgram(codePath, options.kind);
  const metering = meteringOf(program.kind, options);
  const placement = placementOf(options);
  const readParameters = (given: readonly string[]) => parameters(given, '--validator-param');
  const validator = validatorOf(options, readParameters);
  const code = await store.put(program.code);
  const inputs = await Promise.all(
    named.map(async ([name, what]) => ({ name, ...(await stored(store, what)) })),
  );
  const tasks = options.tasks === undefined ? undefined : wholeNumber('--tasks', options.tasks, 1);
  const { replicas: times } = options;
  const replicas = times === undefined ? undefined : wholeNumber('--replicas', times, 1);
  const manifest = describeJob({
    name: options.name ?? basename(codePath),
    code: code.cid,
    kind: program.kind,
    ...(metering && { metering }),
    ...(placement && { placement }),
    inputs,
    params,
    tier,
    minIsolation,
    limits: { wallMs, cpuMs: wallMs, memoryBytes, ...validator.limits },
    ...(await validator.store(store)),
    ...(tasks !== undefined && { tasks }),
    ...(replicas !== undefined && { replicas }),
  });
  const { cid } = await store.putBlock(encodeManifest(manifest), { codec: 'dag-cbor' });
  return { manifest, manifestCid: cid };
}
