/** `seele contract new|build|test|deploy|call`: from a template to a running contract. */
import { copyFileSync, existsSync, mkdirSync, readdirSync, writeFileSync } from 'node:fs';
import { join, resolve } from 'node:path';
import {
  CODE_CHUNK_MAX_BYTES,
  type ContractCall,
  codeChunks,
  contractsCalls,
  namesCalls,
  userContractAccount,
} from '#contracts';
import { decodeCbor, encodeCbor, formatAccount } from '#libs/kernel';
import { createNodeClient } from '#libs/platform';
import { sendCalls } from '#libs/sdk';
import { buildContract } from '../contract/project.ts';
import { runContractTests } from '../contract/test-thread.ts';
import { argumentsOf, contractText, jsonOf } from '../contract/values.ts';
import { cliError } from '../errors.ts';
import type { CommandContext } from '../frame/command.ts';
import { serviceUrl, signerOf } from '../frame/connect.ts';
import { readUserFile, writeUserFile } from '../frame/files.ts';

const examples = join(import.meta.dirname, '../../../../../contracts/examples');
const sourceExamples = join(import.meta.dirname, '../../../../contracts/examples');
const API_FILE = 'seele-contract.d.ts';
/** Chunks of code that fit one transaction. */
const CHUNKS_PER_TRANSACTION = 2;
const DEPLOY_FUEL = 100_000_000n;
const CALL_FUEL = 20_000_000n;

function examplesFolder(): string {
  return existsSync(examples) ? examples : sourceExamples;
}

export async function contractNew(
  { output }: CommandContext,
  { template }: { readonly template: string },
  directory: string,
): Promise<void> {
  const source = join(examplesFolder(), template);
  const known = readdirSync(examplesFolder(), { withFileTypes: true })
    .filter((entry) => entry.isDirectory() && entry.name !== 'api')
    .map(({ name }) => name);
  if (!known.includes(template))
    throw cliError('CLI_USAGE', `--template takes ${known.join(', ')}, not "${template}"`);
  const target = resolve(directory);
  if (existsSync(target) && readdirSync(target).length > 0)
    throw cliError('CLI_FILE', `${target} is there and not empty`);
  mkdirSync(target, { recursive: true });
  const files = readdirSync(source);
  for (const name of files) {
    const text = new TextDecoder().decode(readUserFile(join(source, name)));
    writeUserFile(join(target, name), text.replaceAll(`../api/${API_FILE}`, `./${API_FILE}`));
  }
  copyFileSync(join(examplesFolder(), 'api', API_FILE), join(target, API_FILE));
  writeFileSync(join(target, 'package.json'), '{ "private": true, "type": "module" }\n');
  const all = [...files, API_FILE, 'package.json'].toSorted();
  await Promise.resolve();
  output.answer({ directory: target, files: all }, () => {
    output.line(`${target}: ${all.join(', ')}`);
    output.line(`  next: seele contract test ${directory}`);
  });
}

export async function contractBuild(
  { output }: CommandContext,
  { out }: { readonly out?: string },
  directory = '.',
): Promise<void> {
  const { kind, code, codeHash, vm } = await buildContract(directory);
  const path = out ?? join(directory, kind === 'js' ? 'contract.built.js' : 'contract.wasm');
  writeUserFile(path, code);
  const document = { file: path, kind, sizeBytes: code.length, codeHash, vm };
  output.answer(document, () => output.line(`${path}: ${code.length} bytes, ${codeHash}`));
}

export async function contractTest(
  { output }: CommandContext,
  _options: object,
  directory = '.',
): Promise<void> {
  const results = await runContractTests(directory);
  const failed = results.filter(({ ok }) => !ok).length;
  output.answer({ tests: results.length, failed, results }, () => {
    for (const { name, ok, message } of results) {
      output.line(
        `${ok ? output.style('green', 'ok    ') : output.style('red', 'failed')} ${name}`,
      );
      if (message !== undefined) output.line(`       ${message}`);
    }
    output.line(`${results.length - failed} of ${results.length} tests passed`);
  });
  if (failed > 0) process.exitCode = 1;
}

interface ChainOptions {
  readonly from?: string;
  readonly node?: string;
  readonly fuel?: string;
  readonly value?: string;
  readonly args?: string;
}

function fuelOf(text: string | undefined, preset: bigint): bigint {
  if (text === undefined) return preset;
  if (!/^\d{1,15}$/.test(text)) throw cliError('CLI_USAGE', `--fuel takes a number, not "${text}"`);
  return BigInt(text);
}

function unitsOf(text: string | undefined): bigint {
  if (text === undefined) return 0n;
  if (!/^\d{1,18}$/.test(text))
    throw cliError('CLI_USAGE', `--value takes smallest units, not "${text}"`);
  return BigInt(text);
}

export async function contractDeploy(
  context: CommandContext,
  options: ChainOptions & {
    readonly init?: string;
    readonly name?: string;
    readonly salt?: string;
  },
  directory = '.',
): Promise<void> {
  const { kind, code, codeHash, vm } = await buildContract(directory);
  const node = createNodeClient(serviceUrl(context, 'node', options.node));
  const signer = signerOf(context.home, options.from ?? 'default');
  const salt = options.salt ?? '';
  const account = userContractAccount({ deployer: signer.account, codeHash, salt });
  const chunks = codeChunks(code);
  const uploads = chunks.map(({ bytes }) => contractsCalls.upload(bytes));
  const last: ContractCall[] = [
    contractsCalls.deploy({ kind, vm, chunks: chunks.map(({ hash }) => hash), salt }),
  ];
  if (options.name !== undefined) {
    last.unshift(namesCalls.register({ name: options.name }));
    last.push(namesCalls.transfer({ name: options.name, to: account }));
  }
  if (options.init !== undefined)
    last.push({
      ...{ contract: account, method: options.init, value: unitsOf(options.value) },
      args: encodeCbor(argumentsOf(options.args)),
    });
  const fuelLimit = fuelOf(options.fuel, DEPLOY_FUEL);
  // Small code goes up with its deployment: all or nothing.
  const together = code.length <= CODE_CHUNK_MAX_BYTES;
  for (let at = 0; !together && at < uploads.length; at += CHUNKS_PER_TRANSACTION) {
    context.output.status(`uploading ${at + 1} of ${uploads.length} …`);
    await sendCalls(node, signer, uploads.slice(at, at + CHUNKS_PER_TRANSACTION), { fuelLimit });
  }
  const calls = together ? [...uploads, ...last] : last;
  const { receipt, height } = await sendCalls(node, signer, calls, { fuelLimit });
  const document = {
    contract: formatAccount(account),
    account,
    ...{ kind, codeHash, vm, height, name: options.name },
    ...{ fuelUsed: receipt.fuelUsed.toString(), fee: receipt.fee.toString() },
  };
  context.output.answer(document, () => {
    context.output.line(document.contract);
    context.output.line(`  block ${height}, ${document.fuelUsed} fuel`);
  });
}

export async function contractCall(
  context: CommandContext,
  options: ChainOptions & { readonly view?: boolean },
  contract: string,
  method: string,
): Promise<void> {
  const { output, home } = context;
  const node = createNodeClient(serviceUrl(context, 'node', options.node));
  const args = encodeCbor(argumentsOf(options.args));
  const call = { contract: contractText(contract), method, args, value: unitsOf(options.value) };
  if (options.view) {
    const origin = options.from === undefined ? undefined : signerOf(home, options.from).account;
    const view = await node.call(call, origin);
    if (!view.ok) throw cliError('CLI_CALL_FAILED', `${view.message} [${view.code}]`);
    const result = jsonOf(decodeCbor(view.result));
    output.answer({ result, fuelUsed: view.fuelUsed.toString() }, () =>
      output.line(JSON.stringify(result)),
    );
    return;
  }
  const signer = signerOf(home, options.from ?? 'default');
  const fuelLimit = fuelOf(options.fuel, CALL_FUEL);
  const { receipt, height } = await sendCalls(node, signer, [call], { fuelLimit });
  const result = jsonOf(decodeCbor(receipt.results[0] ?? encodeCbor(null)));
  const events = receipt.events.map(({ contract: of, topic, data }) => ({
    contract: of,
    topic,
    data: jsonOf(decodeCbor(data)),
  }));
  const fee = receipt.fee.toString();
  const document = { transaction: receipt.transaction, height, result, events, fee };
  output.answer({ ...document, fuelUsed: receipt.fuelUsed.toString() }, () => {
    output.line(JSON.stringify(result));
    for (const { topic, data } of events) output.line(`  ${topic} ${JSON.stringify(data)}`);
    output.line(`  block ${height}, ${receipt.fuelUsed} fuel`);
  });
}
