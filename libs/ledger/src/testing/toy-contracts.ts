/** Small contracts that the ledger's own tests run: balances, and one that misbehaves on request. */
import {
  type AccountId,
  type Bytes,
  type CodecValue,
  byteString,
  concatBytes,
  decodeWith,
  encodeWith,
  hash32,
  hexToBytes,
  invariant,
  oneOf,
  record,
  text,
  u64,
  uint,
  utf8,
} from '#libs/kernel';
import { type ContractMethod, type SystemContract, defineMethod } from '../contract.ts';
import type { FeePort, FeeStorage } from '../fees.ts';

const nothing = record({});
type Nothing = CodecValue<typeof nothing>;
const BALANCE = utf8('balance/');
export const balanceKey = (account: AccountId): Bytes =>
  concatBytes(BALANCE, hexToBytes(account) as Bytes);

const balanceOf = (storage: Pick<FeeStorage, 'get'>, account: AccountId): bigint => {
  const stored = storage.get(balanceKey(account));
  return stored ? decodeWith(u64, stored) : 0n;
};
const setBalance = (storage: FeeStorage, account: AccountId, amount: bigint): void => {
  if (amount === 0n) storage.delete(balanceKey(account));
  else storage.put(balanceKey(account), encodeWith(u64, amount));
};

const transferArgs = record({ to: hash32, amount: u64 });
export const transfer = defineMethod({
  name: 'transfer',
  args: transferArgs,
  returns: nothing,
  run(context, { to, amount }) {
    const held = balanceOf(context.storage, context.caller);
    if (held < amount) context.revert('TOKEN_BALANCE_TOO_LOW', `${held} held, ${amount} wanted`);
    setBalance(context.storage, context.caller, held - amount);
    setBalance(context.storage, to, balanceOf(context.storage, to) + amount);
    context.emit('transferred', transferArgs, { to, amount });
    return {};
  },
});

export const toyToken: SystemContract = {
  name: 'token',
  methods: { transfer },
  genesis(context, { allocations }) {
    for (const { account, amount } of allocations) setBalance(context.storage, account, amount);
  },
};

export const toyFees: FeePort = {
  contract: 'token',
  balanceOf,
  charge(storage, account, amount) {
    const held = balanceOf(storage, account);
    if (held < amount) return false;
    setBalance(storage, account, held - amount);
    return true;
  },
  refund(storage, account, amount) {
    if (amount > 0n) setBalance(storage, account, balanceOf(storage, account) + amount);
  },
  valueOf: (_key, value) => decodeWith(u64, value),
};

/** Keeps named values, and fails in every way a contract can. */
export const put = defineMethod({
  name: 'put',
  args: record({ key: text(1000), value: byteString(100_000) }),
  returns: nothing,
  run(context, { key, value }) {
    context.storage.put(utf8(key), value);
    return {};
  },
});
export const WAYS = [
  'revert',
  'spin',
  'swallow',
  'fault',
  'reenter',
  'oversize',
  'many-events',
  'mint',
] as const;
const failArgs = record({ how: oneOf(...WAYS) });
export const fail: ContractMethod<CodecValue<typeof failArgs>, Nothing> = defineMethod({
  name: 'fail',
  args: failArgs,
  returns: nothing,
  run(context, { how }): Nothing {
    context.storage.put(utf8('trace'), utf8(how));
    context.emit('failing', record({ how: text(20) }), { how });
    switch (how) {
      case 'revert':
        return context.revert('TOY_REFUSED', 'as asked');
      case 'spin':
        for (;;) context.charge(1_000n);
      case 'swallow':
        try {
          for (;;) context.charge(1_000n);
        } catch {
          return {};
        }
      case 'fault':
        return invariant(false, 'as asked') ?? {};
      case 'reenter':
        return context.call('relay', relay, { how: 'revert', depth: 1 });
      case 'oversize':
        context.storage.put(utf8('big'), new Uint8Array(70_000));
        return {};
      case 'many-events':
        for (;;) context.emit('again', nothing, {});
      case 'mint':
        return {};
    }
  },
});
const relayArgs = record({ how: oneOf(...WAYS), depth: uint() });
export const relay: ContractMethod<CodecValue<typeof relayArgs>, Nothing> = defineMethod({
  name: 'relay',
  args: relayArgs,
  returns: nothing,
  run(context, { how }): Nothing {
    context.storage.put(utf8('relayed'), utf8(how));
    return context.call('toy', fail, { how });
  },
});
export const toy: SystemContract = { name: 'toy', methods: { put, fail } };
export const relayContract: SystemContract = { name: 'relay', methods: { relay } };
