/**
 * A chain in memory for tests of one contract: the machine and the engine that real chains run, no
 * signatures, blocks or disk. See docs/contracts-user.md.
 */
import { hashOf, sha256Hex } from '#libs/crypto';
import {
  type AccountId,
  type Bytes,
  type CborValue,
  SeeleError,
  bytesToHex,
  decodeCbor,
  encodeCbor,
  utf8,
} from '#libs/kernel';
import { type ContractHarness, type LedgerEvent, createContractHarness } from '#libs/ledger';
import { CONTRACT_VM_VERSIONS, type ContractEngine, type ContractKind } from '#libs/vm';
import { genesisSettings, systemContracts } from '../system-contracts.ts';
import { tokenFees, tokenMethods } from '../token/token.ts';
import { codeChunks, contractsCalls, createUserContracts } from './user-contracts.ts';

export interface CallFrom {
  readonly from?: AccountId;
  readonly value?: bigint;
}

/** What the failure of a call looks like to a test. */
const FAILED = { status: 400, title: 'The call failed', fix: 'Read the contract’s code for it.' };
const BALANCE = 1_000_000n;

export class ContractTestChain {
  readonly accounts: readonly AccountId[];
  readonly contract: AccountId;
  events: readonly { readonly topic: string; readonly data: CborValue }[] = [];
  fuelUsed = 0n;
  readonly #chain: ContractHarness;
  readonly #fail: (what: string) => never;

  /** @param fail throws what a failed expectation shows */
  constructor(
    engine: ContractEngine,
    kind: ContractKind,
    code: Bytes,
    fail: (what: string) => never,
  ) {
    this.#fail = fail;
    this.accounts = [1, 2, 3, 4, 5].map((n) => hashOf('seele/test-account/1', utf8(String(n))));
    const deployer = hashOf('seele/test-account/1', utf8('deployer'));
    const { contract, port } = createUserContracts(engine);
    this.#chain = createContractHarness({
      contracts: [...systemContracts, contract],
      parameters: {
        allocations: this.accounts.map((account) => ({ account, amount: BALANCE })),
        settings: genesisSettings,
      },
      fees: tokenFees,
      userContracts: port,
    });
    const chunks = codeChunks(code);
    const outcome = this.#chain.execute(deployer, [
      ...chunks.map(({ bytes }) => contractsCalls.upload(bytes)),
      contractsCalls.deploy({
        kind,
        vm: CONTRACT_VM_VERSIONS[kind],
        chunks: chunks.map(({ hash }) => hash),
        salt: sha256Hex(code),
      }),
    ]);
    if (!outcome.ok) throw new SeeleError(outcome.code, FAILED, outcome.message);
    const { account } = decodeCbor(outcome.value.at(-1) as Bytes) as { account: Bytes };
    this.contract = bytesToHex(account);
  }

  #execute(method: string, args: readonly CborValue[], { from, value = 0n }: CallFrom) {
    const outcome = this.#chain.execute(from ?? (this.accounts[0] as AccountId), [
      { contract: this.contract, method, args: encodeCbor(args), value },
    ]);
    this.fuelUsed = outcome.fuelUsed;
    if (outcome.ok) this.events = outcome.events.filter(this.#isOwn).map(readable);
    return outcome;
  }

  #isOwn = ({ contract }: LedgerEvent): boolean => contract === this.contract;

  call(method: string, args: readonly CborValue[] = [], from: CallFrom = {}): CborValue {
    const outcome = this.#execute(method, args, from);
    if (!outcome.ok)
      throw new SeeleError(outcome.code, FAILED, `${outcome.code}: ${outcome.message}`);
    return integersWide(decodeCbor(outcome.value[0] as Bytes));
  }

  failure(
    method: string,
    args: readonly CborValue[] = [],
    from: CallFrom = {},
  ): string | undefined {
    const outcome = this.#execute(method, args, from);
    return outcome.ok ? undefined : outcome.code;
  }

  balance(account: AccountId): bigint {
    const outcome = this.#chain.call(account, 'token', tokenMethods.balance, { account });
    return outcome.ok ? outcome.value : this.#fail(outcome.message);
  }

  advance(seconds: number): void {
    this.#chain.advance(seconds * 1_000_000);
  }

  equal(actual: unknown, expected: unknown): void {
    const [a, b] = [shown(actual), shown(expected)];
    if (a !== b) this.#fail(`got ${a} where ${b} is expected`);
  }
}

/** Numbers and bigints of the same value are the same to a contract. */
function shown(value: unknown): string {
  return JSON.stringify(value, (_key, inner: unknown) => {
    if (typeof inner === 'bigint' || typeof inner === 'number') return `${inner}n`;
    if (inner instanceof Uint8Array) return `bytes ${bytesToHex(inner)}`;
    if (inner === null || typeof inner !== 'object' || Array.isArray(inner)) return inner;
    return Object.fromEntries(Object.entries(inner).sort(([x], [y]) => (x < y ? -1 : 1)));
  });
}

/** Integers as contracts see them: always bigint. */
function integersWide(value: CborValue): CborValue {
  if (typeof value === 'number') return BigInt(value);
  if (Array.isArray(value)) return value.map((item) => integersWide(item as CborValue));
  if (value === null || typeof value !== 'object' || value instanceof Uint8Array) return value;
  return Object.fromEntries(
    Object.entries(value).map(([key, item]) => [key, integersWide(item as CborValue)]),
  );
}

function readable({ topic, data }: LedgerEvent) {
  return { topic, data: integersWide(decodeCbor(data)) };
}
