/** A chain in memory with people on it, for tests of contract `orders` and its neighbours. */
import { contractAccount, keyedHashSigner, keyedHashVerifier, type Signer } from '#libs/crypto';
import { type Bytes, decodeWith, utf8 } from '#libs/kernel';
import {
  type ContractHarness,
  type ContractMethod,
  type HarnessOutcome,
  createContractHarness,
} from '#libs/ledger';
import {
  DELIVERY_DOMAIN,
  type Delivery,
  ORDER_DOMAIN,
  type Order,
  type SignedDelivery,
  type SignedOrder,
  deliveryBytes,
  orderBytes,
} from '../orders/documents.ts';
import { createOrdersContract } from '../orders/orders.ts';
import { type OrdersRules, ordersRules } from '../orders/rules.ts';
import { ORDERS_CONTRACT, type OrdersSettings } from '../orders/state.ts';
import { genesisSettings, systemContracts } from '../system-contracts.ts';
import { TOKEN_CONTRACT, tokenAmount, tokenFees, tokenKeys } from '../token/token.ts';

const SECRET = utf8('secret of the simulated keys');

/** A person of the test; the same name is always the same account. */
export function person(name: string): Signer {
  return keyedHashSigner(SECRET, utf8(name));
}

export const ordersAccount = contractAccount(ORDERS_CONTRACT);
export const MANIFEST = 'bafyreigdmqpykrgxyaxtlafqpqhzrb7qy2rh75nldvfd4tucqmqqme5yje';

export interface World extends ContractHarness {
  readonly startUs: number;
  balanceOf(account: string): bigint;
  signOrder(order: Order, signer: Signer): SignedOrder;
  signDelivery(delivery: Delivery, signer: Signer): SignedDelivery;
  /** Calls and expects success. */
  must<A, R>(by: Signer, contract: string, method: ContractMethod<A, R>, args: A): R;
  /** Calls, expects a refusal and gives its code. */
  refusal<A, R>(by: Signer, contract: string, method: ContractMethod<A, R>, args: A): string;
}

export interface WorldOptions {
  readonly people: readonly Signer[];
  readonly amountEach?: bigint;
  readonly rules?: OrdersRules;
  readonly orders?: Partial<OrdersSettings>;
  /** Other settings, by full name. */
  readonly settings?: Readonly<Record<string, bigint>>;
}

function parametersOf(options: WorldOptions) {
  const named = { ...options.settings };
  for (const [name, value] of Object.entries(options.orders ?? {}))
    named[`orders.${name}`] = BigInt(value);
  const amount = options.amountEach ?? 1_000_000n;
  return {
    allocations: options.people.map(({ account }) => ({ account, amount })),
    settings: [
      ...genesisSettings.filter(({ name }) => !Object.hasOwn(named, name)),
      ...Object.entries(named).map(([name, value]) => ({ name, value })),
    ],
  };
}

export function createWorld(options: WorldOptions): World {
  const orders = createOrdersContract(options.rules ?? ordersRules);
  const harness = createContractHarness({
    contracts: systemContracts.map((contract) =>
      contract.name === ORDERS_CONTRACT ? orders : contract,
    ),
    parameters: parametersOf(options),
    fees: tokenFees,
    verifySignature: keyedHashVerifier(SECRET),
  });
  const outcomeOf = <A, R>(
    by: Signer,
    contract: string,
    method: ContractMethod<A, R>,
    args: A,
  ): HarnessOutcome<R> => harness.call(by.account, contract, method, args);
  return Object.assign(Object.create(harness) as ContractHarness, {
    startUs: harness.timeUs,
    balanceOf(account: string) {
      const bytes: Bytes | undefined = harness.get(TOKEN_CONTRACT, tokenKeys.balance(account));
      return bytes ? decodeWith(tokenAmount, bytes) : 0n;
    },
    signOrder: (order: Order, signer: Signer) => ({
      order,
      publicKey: signer.publicKey,
      signature: signer.sign(ORDER_DOMAIN, orderBytes(order)),
    }),
    signDelivery: (delivery: Delivery, signer: Signer) => ({
      delivery,
      publicKey: signer.publicKey,
      signature: signer.sign(DELIVERY_DOMAIN, deliveryBytes(delivery)),
    }),
    must<A, R>(by: Signer, contract: string, method: ContractMethod<A, R>, args: A): R {
      const outcome = outcomeOf(by, contract, method, args);
      if (!outcome.ok) throw new Error(`${outcome.code}: ${outcome.message}`);
      return outcome.value;
    },
    refusal<A, R>(by: Signer, contract: string, method: ContractMethod<A, R>, args: A): string {
      const outcome = outcomeOf(by, contract, method, args);
      return outcome.ok ? 'nothing refused' : outcome.code;
    },
  });
}

/** A delivery in time, with everything a test does not care about filled in. */
export function deliveryOf(
  fields: Pick<Delivery, 'chain' | 'order' | 'provider' | 'fence' | 'charge'> & {
    readonly exit?: Delivery['exit'];
  },
): Delivery {
  const { exit = 'ok', ...rest } = fields;
  return {
    ...rest,
    exit,
    ...(exit === 'ok' ? { result: MANIFEST } : {}),
    usage: { cpuMs: 5, wallMs: 9, peakMemoryBytes: 1 << 20, inputBytes: 48_000, outputBytes: 600 },
    logLength: 3,
    logHead: 'ab'.repeat(32),
  };
}
