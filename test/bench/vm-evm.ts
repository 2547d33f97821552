/**
 * The peer of `seele bench vm`: token transfers on @ethereumjs/evm, hand-assembled like an ERC-20
 * (`mapping(address => uint256)`, Transfer event). Installed on demand in its own folder.
 */
import { execFileSync } from 'node:child_process';
import { existsSync } from 'node:fs';
import { join } from 'node:path';
import { pathToFileURL } from 'node:url';
import { keccak_256 } from '@noble/hashes/sha3.js';
import { hexToBytes } from '#libs/kernel';
import { cpuSeconds } from './harness.ts';

interface Evm {
  readonly stateManager: {
    putCode(address: unknown, code: Uint8Array): Promise<void>;
    putStorage(address: unknown, key: Uint8Array, value: Uint8Array): Promise<void>;
  };
  runCall(options: Record<string, unknown>): Promise<{
    readonly execResult: { readonly exceptionError?: unknown; readonly returnValue: Uint8Array };
  }>;
}

/** Slot of an account: keccak256(account ‖ 0); sender, receiver, LOG3, return true. */
const CODE = [
  ...['33600052', '6000602052', '60406000', '20', '80', '54', '602435', '80', '82', '10'],
  ...['605e', '57', '90', '81', '90', '03', '82', '55', '600435', '600052', '60406000', '20'],
  ...['80', '54', '82', '01', '90', '55', '600052', '600435', '33'],
  '7fddf252ad1be2c89b69c2b068fc378daa952ba7f163c4a11628f55a4df523b3ef',
  ...['6020', '6000', 'a3', '6001', '600052', '6020', '6000', 'f3', '5b', '6000', '6000', 'fd'],
].join('');

/** Root of the project, whether this file runs from its source or compiled. */
export function benchFolder(): string {
  const beside = [import.meta.dirname, join(import.meta.dirname, '../../../test/bench')];
  return beside.find((path) => existsSync(join(path, 'peers'))) ?? import.meta.dirname;
}

/** Installs a peer where it is missing; the reason when that fails. */
export function installPeer(name: string): { readonly folder?: string; readonly reason?: string } {
  const folder = join(benchFolder(), 'peers', name);
  if (existsSync(join(folder, 'node_modules'))) return { folder };
  try {
    const args = ['install', '--ignore-scripts', '--no-audit', '--no-fund', '--loglevel=error'];
    execFileSync('npm', args, { cwd: folder, stdio: 'ignore', timeout: 60_000 });
    return { folder };
  } catch {
    return { reason: `${name} cannot be installed here (npm install failed)` };
  }
}

const word = (hex: string): Uint8Array => hexToBytes(hex.padStart(64, '0')) as Uint8Array;

/** Transfers per CPU second, each against the state that the one before left. */
export async function evmTransfersPerSecond(folder: string, calls: number): Promise<number> {
  const load = (path: string) => import(pathToFileURL(join(folder, 'node_modules', path)).href);
  const { createEVM } = (await load('@ethereumjs/evm/dist/esm/index.js')) as {
    createEVM(): Promise<Evm>;
  };
  const { createAddressFromString } = (await load('@ethereumjs/util/dist/esm/index.js')) as {
    createAddressFromString(text: string): unknown;
  };
  const evm = await createEVM();
  const address = (n: number) => createAddressFromString(`0x${String(n).repeat(40)}`);
  const [token, caller] = [address(1), address(2)];
  const code = CODE.replace('605e', `60${offsetOfFailure()}`);
  await evm.stateManager.putCode(token, hexToBytes(code) as Uint8Array);
  const slot = keccak_256(new Uint8Array([...word('22'.repeat(20)), ...word('00')]));
  await evm.stateManager.putStorage(token, slot, word('01'.repeat(8)));
  const data = new Uint8Array(68);
  data.set(hexToBytes('a9059cbb') as Uint8Array);
  data.set(word('33'.repeat(20)), 4);
  data.set(word('03'), 36);
  const call = async () => {
    const { execResult } = await evm.runCall({ caller, to: token, data, gasLimit: 1_000_000n });
    if (execResult.exceptionError || execResult.returnValue[31] !== 1)
      throw new Error('the transfer of the peer failed');
  };
  for (let i = 0; i < 200; i++) await call();
  const began = cpuSeconds();
  for (let i = 0; i < calls; i++) await call();
  return calls / (cpuSeconds() - began);
}

/** Byte offset of the last JUMPDEST, where a transfer without cover ends. */
function offsetOfFailure(): string {
  return ((CODE.length - '5b60006000fd'.length) / 2).toString(16).padStart(2, '0');
}
