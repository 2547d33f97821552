/**
 * Contract `contracts`: user contracts, in JavaScript or WebAssembly. Code goes up in chunks that are
 * known by their hashes; deploying names the chunks, loads the program once in the metered engine and
 * gives it an account.
 *
 * State: `chunk/<hash>` → bytes; `contract/<account>` → `userContract`; `vm/<kind>` → the version of
 * the engine that this chain runs, written by its genesis.
 */
import { hashOf, sha256Hex } from '#libs/crypto';
import {
  type AccountId,
  type Bytes,
  type CodecValue,
  byteString,
  bytesToHex,
  concatBytes,
  encodeWith,
  hash32,
  isSeeleError,
  list,
  oneOf,
  record,
  text,
  u64,
  uint,
  utf8,
} from '#libs/kernel';
import { type Context, type SystemContract, type UserContracts, defineMethod } from '#libs/ledger';
import {
  CONTRACT_VM_VERSIONS,
  type ContractEngine,
  type ContractKind,
  JS_SOURCE_MAX_BYTES,
  WASM_CONTRACT_MAX_BYTES,
} from '#libs/vm';
import {
  type ContractCall,
  defineEvent,
  emit,
  readValue,
  storageKey,
  writeValue,
} from '../contract-kit.ts';
import { demand } from '../errors.ts';
import { nameRecord, NAMES_CONTRACT, namesKeys } from '../names/names.ts';
import { tokenCalls } from '../token/token.ts';

export const CONTRACTS_CONTRACT = 'contracts';
/** Room for a chunk in one call. */
export const CODE_CHUNK_MAX_BYTES = 60 * 1024;
const CHUNKS_MAX = 16;
const ACCOUNT_DOMAIN = 'seele/user-contract/1';
const ACCOUNT = /^[0-9a-f]{64}$/;
/** Reading a chunk costs what any stored byte costs. */
const READ_FUEL_PER_BYTE = 10n;

const kinds = oneOf('js', 'wasm');
const codeMax: Readonly<Record<ContractKind, number>> = {
  js: JS_SOURCE_MAX_BYTES,
  wasm: WASM_CONTRACT_MAX_BYTES,
};

export const userContract = record({
  kind: kinds,
  /** SHA-256 of the whole code. */
  codeHash: hash32,
  /** SHA-256 of each chunk, in order. */
  chunks: list(hash32, CHUNKS_MAX),
  sizeBytes: uint(),
  /** Version of the engine it was deployed for. */
  vm: hash32,
  /** Fuel that the first call of a block pays for bringing it into memory. */
  loadFuel: u64,
  deployer: hash32,
  height: uint(),
});
export type UserContractRecord = CodecValue<typeof userContract>;

export const contractsKeys = {
  chunk: (hash: string): Bytes => storageKey('chunk/', hash),
  contract: (account: AccountId): Bytes => storageKey('contract/', account),
  contracts: utf8('contract/'),
  vm: (kind: ContractKind): Bytes => utf8(`vm/${kind}`),
};

export const contractsEvents = {
  deployed: defineEvent(
    CONTRACTS_CONTRACT,
    'deployed',
    record({ account: hash32, deployer: hash32, kind: kinds, codeHash: hash32 }),
  ),
};

const identity = record({ deployer: hash32, codeHash: hash32, salt: text(64) });

/** The account that a deployment will have: deployer, code and salt decide it. */
export function userContractAccount(parts: {
  readonly deployer: AccountId;
  readonly codeHash: string;
  readonly salt: string;
}): AccountId {
  return hashOf(ACCOUNT_DOMAIN, encodeWith(identity, parts));
}

/** Cuts code into what `upload` takes; the hashes are what `deploy` names. */
export function codeChunks(
  code: Bytes,
): readonly { readonly bytes: Bytes; readonly hash: string }[] {
  const chunks = [];
  for (let at = 0; at < code.length; at += CODE_CHUNK_MAX_BYTES) {
    const bytes = code.subarray(at, at + CODE_CHUNK_MAX_BYTES);
    chunks.push({ bytes, hash: sha256Hex(bytes) });
  }
  return chunks;
}

function readCode(get: (key: Bytes) => Bytes | undefined, chunks: readonly string[]) {
  const parts = chunks.map((hash) => get(contractsKeys.chunk(hash)));
  const missing = parts.findIndex((part) => part === undefined);
  return { code: concatBytes(...parts.filter((part) => part !== undefined)), missing };
}

const uploadArgs = record({ bytes: byteString(CODE_CHUNK_MAX_BYTES) });

const deployArgs = record({
  kind: kinds,
  /** Version of the engine that the code was built and tested for. */
  vm: hash32,
  chunks: list(hash32, CHUNKS_MAX),
  /** Tells deployments of the same code apart. */
  salt: text(64),
});

/** Loads the code; a program that cannot be loaded costs all that was left. */
function load(context: Context, engine: ContractEngine, kind: ContractKind, code: Bytes): bigint {
  const { fuelLeft } = context;
  try {
    const loadFuel = engine.load(kind, code, fuelLeft);
    context.charge(loadFuel);
    return loadFuel;
  } catch (error) {
    if (!isSeeleError(error) || error.code === 'VM_HOST_FAULT') throw error;
    if (!REFUSALS.has(error.code)) throw error;
    context.charge(context.fuelLeft);
    // The engine's words may differ between hosts: the receipt has the code and its fixed title.
    return context.revert(error.code, error.title);
  }
}

const REFUSALS = new Set([
  'VM_MODULE_MALFORMED',
  'VM_MODULE_UNSUPPORTED',
  'VM_MODULE_LIMIT',
  'VM_SOURCE_LIMIT',
  'VM_PROGRAM_INVALID',
]);

function methodsWith(engine: ContractEngine) {
  return {
    /** Anyone: keeps a piece of code, known by its hash from then on. */
    upload: defineMethod({
      name: 'upload',
      args: uploadArgs,
      returns: record({ hash: hash32 }),
      run(context, { bytes }) {
        const hash = sha256Hex(bytes);
        context.charge(READ_FUEL_PER_BYTE * BigInt(bytes.length));
        demand(context, bytes.length > 0, 'CONTRACTS_CODE_SIZE', 'an empty chunk');
        const key = contractsKeys.chunk(hash);
        if (context.storage.get(key) === undefined) context.storage.put(key, bytes);
        return { hash };
      },
    }),
    /** Anyone: makes a contract of uploaded chunks; the caller has no rights over it afterwards. */
    deploy: defineMethod({
      name: 'deploy',
      args: deployArgs,
      returns: record({ account: hash32 }),
      run(context, { kind, vm, chunks, salt }) {
        const version = context.storage.get(contractsKeys.vm(kind));
        demand(
          context,
          version !== undefined && bytesToHex(version) === vm,
          'CONTRACTS_VM_VERSION',
          `this chain runs ${kind} contracts of VM ${version ? bytesToHex(version) : 'none'}, not ${vm}`,
        );
        const { code, missing } = readCode((key) => context.storage.get(key), chunks);
        demand(context, missing < 0, 'CONTRACTS_CODE_MISSING', `chunk ${missing} is not uploaded`);
        demand(
          context,
          code.length > 0 && code.length <= codeMax[kind],
          'CONTRACTS_CODE_SIZE',
          `code of ${code.length} bytes where 1 to ${codeMax[kind]} are allowed`,
        );
        const codeHash = sha256Hex(code);
        const deployer = context.caller;
        const account = userContractAccount({ deployer, codeHash, salt });
        const key = contractsKeys.contract(account);
        demand(
          context,
          context.storage.get(key) === undefined,
          'CONTRACTS_EXISTS',
          `${account} is deployed already`,
        );
        const sizeBytes = code.length;
        const loadFuel = load(context, engine, kind, code) + READ_FUEL_PER_BYTE * BigInt(sizeBytes);
        const { height } = context.block;
        writeValue(context.storage, key, userContract, {
          ...{ kind, codeHash, chunks, sizeBytes, vm, loadFuel, deployer, height },
        });
        emit(context, contractsEvents.deployed, { account, deployer, kind, codeHash });
        return { account };
      },
    }),
  };
}

export type ContractsMethods = ReturnType<typeof methodsWith>;

/** The `contracts` system contract and the port by which the ledger runs what it keeps. */
export function createUserContracts(engine: ContractEngine): {
  readonly contract: SystemContract;
  readonly methods: ContractsMethods;
  readonly port: UserContracts;
} {
  const methods = methodsWith(engine);
  const contract: SystemContract = {
    name: CONTRACTS_CONTRACT,
    methods,
    genesis(context) {
      for (const kind of ['js', 'wasm'] as const)
        context.storage.put(contractsKeys.vm(kind), bytesOf(CONTRACT_VM_VERSIONS[kind]));
    },
  };
  return { contract, methods, port: portTo(engine) };
}

function bytesOf(hex: string): Bytes {
  return storageKey('', hex);
}

type Found = UserContractRecord & { readonly account: AccountId };

function portTo(engine: ContractEngine): UserContracts<Found> {
  return {
    find(state, name) {
      const names = { get: (key: Bytes) => state.get(NAMES_CONTRACT, key) };
      const account = ACCOUNT.test(name)
        ? name
        : readValue(names, namesKeys.name(name), nameRecord)?.account;
      if (account === undefined) return undefined;
      const own = { get: (key: Bytes) => state.get(CONTRACTS_CONTRACT, key) };
      const found = readValue(own, contractsKeys.contract(account), userContract);
      return found && { ...found, account };
    },
    run(state, { kind, codeHash, chunks }, call) {
      const get = (key: Bytes) => state.get(CONTRACTS_CONTRACT, key);
      return engine.run(kind, codeHash, () => readCode(get, chunks).code, call);
    },
    payment: (to, amount) => tokenCalls.transfer({ to, amount }),
    reset: () => engine.reset(),
  };
}

/** For clients: calls of a transaction. */
export const contractsCalls = {
  upload: (bytes: Bytes): ContractCall => ({
    contract: CONTRACTS_CONTRACT,
    method: 'upload',
    args: encodeWith(uploadArgs, { bytes }),
  }),
  deploy: (args: CodecValue<typeof deployArgs>): ContractCall => ({
    contract: CONTRACTS_CONTRACT,
    method: 'deploy',
    args: encodeWith(deployArgs, args),
  }),
};
