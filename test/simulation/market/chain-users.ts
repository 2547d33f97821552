/**
 * Everybody else on the chain: consumers who deposit and try to take their money back in time, a
 * passer-by who calls whatever methods might move somebody else's order, providers who relay.
 */
import {
  type ContractCall,
  type SignedBatchDelivery,
  type SignedDelivery,
  disputesCalls,
  ordersCalls,
} from '#contracts';
import type { Signer } from '#libs/crypto';
import type { SeededRandomness } from '#libs/kernel';
import { signTransaction } from '#libs/ledger';
import { BOND, bondOf } from './audit-checks.ts';
import type { Invariants } from './invariants.ts';
import type { NodeProcess } from './node-process.ts';
import type { World } from './world.ts';

const FUEL_LIMIT = 5_000_000n;
const VALID_US = 5_000_000;

export interface ChainUsersOptions {
  readonly world: World;
  readonly chain: string;
  readonly node: NodeProcess;
  readonly invariants: Invariants;
  readonly consumers: readonly Signer[];
  readonly hostile: number;
  readonly deposit: bigint;
  readonly stranger: Signer;
  readonly attackEveryMs: number;
  readonly patient: Signer;
  /** They put down what a lie costs. */
  readonly providers: readonly Signer[];
}

export class ChainUsers {
  readonly #options: ChainUsersOptions;
  readonly #random: SeededRandomness;
  readonly #deliveries: SignedDelivery[] = [];
  readonly #batches: SignedBatchDelivery[] = [];

  constructor(options: ChainUsersOptions) {
    this.#options = options;
    this.#random = options.world.random.fork('chain users');
    const { world, patient, consumers, hostile, deposit, node } = options;
    for (const [i, consumer] of [patient, ...consumers].entries()) {
      const { account } = consumer;
      const call = ordersCalls.deposit({ account, amount: deposit });
      this.#insist(consumer, call, () => (node.readBalance(account, 0)?.amount ?? 0n) > 0n);
      if (i > consumers.length - hostile)
        world.after(world.between(2000, 8000), 'withdraw', () => this.#withdraw(consumer));
    }
    for (const provider of options.providers) {
      const call = disputesCalls.bond({ amount: BOND });
      this.#insist(provider, call, () => !!node.chain && bondOf(node.chain, provider.account) > 0n);
    }
    world.after(options.attackEveryMs, 'attack', () => this.#attack());
  }

  /** Hands a delivery to the chain, and keeps it: it may be tried again at the worst moment. */
  relay(signer: Signer, delivery: SignedDelivery): void {
    this.#deliveries.push(delivery);
    this.#send(signer, ordersCalls.deliver(delivery));
  }

  /** The same of a batch. */
  relayUnits(signer: Signer, delivery: SignedBatchDelivery): void {
    this.#batches.push(delivery);
    this.#send(signer, ordersCalls.deliverUnits(delivery));
  }

  /** Anyone may ask for it once the time for a delivery is over. */
  refund(order: string): void {
    this.#send(this.#options.stranger, ordersCalls.refund({ order }));
  }

  #send(signer: Signer, call: ContractCall): void {
    const { world, chain, node } = this.#options;
    const account = node.chain?.account(signer.account);
    if (!account) return;
    node.submit(
      signTransaction(signer, {
        chain,
        publicKey: signer.publicKey,
        nonce: account.nonce,
        validUntilUs: world.nowUs + VALID_US,
        fuelLimit: FUEL_LIMIT,
        fuelPrice: 1n,
        calls: [call],
      }),
    );
  }

  /** Sends a call until it shows. */
  #insist(signer: Signer, call: ContractCall, isDone: () => boolean): void {
    if (isDone()) return;
    this.#send(signer, call);
    this.#options.world.after(300, 'insist', () => this.#insist(signer, call, isDone));
  }

  #withdraw(consumer: Signer): void {
    const { world, deposit } = this.#options;
    this.#send(consumer, ordersCalls.requestWithdrawal({ amount: deposit }));
    const take = (): void => this.#send(consumer, ordersCalls.withdraw({}));
    for (const ms of [1000, 5100, 9000]) world.after(ms, 'withdraw', take);
  }

  /** A passer-by: refunds too early, settles what is not delivered, ends what has ended. */
  #attack(): void {
    const { world, invariants, stranger, attackEveryMs } = this.#options;
    world.after(attackEveryMs, 'attack', () => this.#attack());
    const order = invariants.randomOrder(this.#random);
    if (order === undefined) return;
    world.count('attack on the chain');
    const fence = 1 + this.#random.below(3);
    const { provider } = { provider: stranger.account };
    const calls = [
      ordersCalls.refund({ order: order.id }),
      ordersCalls.refund({ order: order.id }),
      ordersCalls.settle({ order: order.id, fence }),
      ordersCalls.cancel({ order: order.id }),
      ordersCalls.place(order.signed),
      ordersCalls.bind({ order: order.id, provider, price: 1n, fence: 100 }),
      ordersCalls.reject({ order: order.id, fence, reason: 'no' }),
      ...(this.#deliveries.length > 0
        ? [ordersCalls.deliver(this.#random.pick(this.#deliveries))]
        : []),
      ...(order.signed.order.array ? this.#batchAttacks(order.id, fence) : []),
    ];
    this.#send(stranger, this.#random.pick(calls));
  }

  #batchAttacks(order: string, fence: number): readonly ContractCall[] {
    const provider = this.#options.stranger.account;
    const units = [{ from: this.#random.below(20), count: 5 }];
    const withheld = { units, charge: 0n };
    return [
      ordersCalls.bindUnits({ order, provider, unitPrice: 1n, fence: 100, units }),
      ordersCalls.settleUnits({ order, fence }),
      ordersCalls.settleUnits({ order, fence, withheld }),
      ordersCalls.releaseUnits({ order, fence }),
      ...(this.#batches.length > 0
        ? [ordersCalls.deliverUnits(this.#random.pick(this.#batches))]
        : []),
    ];
  }
}
