/**
 * Contract `names`: human names of accounts, first come first served, each backed by a deposit that
 * comes back when the name is given up, so that hoarding names ties up money.
 *
 * State: `name/<name in ASCII>` → `nameRecord`. The key is the name itself, so one state proof shows
 * which account a name stands for, or that it stands for none.
 */
import { type Bytes, type CodecValue, hash32, record, text, u64, uint, utf8 } from '#libs/kernel';
import { type Context, type SystemContract, defineMethod } from '#libs/ledger';
import { ACCOUNT_NAME_MAX, isAccountName } from '#libs/vtp';
import {
  callBuilders,
  defineEvent,
  defineSettings,
  done,
  emit,
  readValue,
  writeValue,
} from '../contract-kit.ts';
import { demand } from '../errors.ts';
import { collectFrom, payTo } from '../token/token.ts';

export const NAMES_CONTRACT = 'names';

/** Names of system contracts and chains stand in the same place of a UAI; nobody may take them. */
export const RESERVED_NAMES: readonly string[] = [
  'audit',
  'chain',
  'chains',
  'contracts',
  'grants',
  'ledger',
  'meta',
  'metadata',
  'names',
  'orders',
  'resources',
  'seele',
  'storage',
  'system',
  'token',
  'vtp',
];

/** Shorter names are scarce and cost the short deposit. */
export const SHORT_NAME_MAX = 5;

const nameText = text(ACCOUNT_NAME_MAX);

export const nameRecord = record({
  /** Whom the name stands for; also who may transfer or release it. */
  account: hash32,
  /** Comes back to `account` on release. */
  deposit: u64,
  registeredAtUs: uint(),
});
export type NameRecord = CodecValue<typeof nameRecord>;

export const namesKeys = {
  /** → `nameRecord` */
  name: (name: string): Bytes => utf8(`name/${name}`),
  names: utf8('name/'),
};

export const namesSettings = defineSettings(NAMES_CONTRACT, {
  deposit: 1_000_000_000n,
  shortDeposit: 100_000_000_000n,
});

export const namesEvents = {
  registered: defineEvent(
    NAMES_CONTRACT,
    'registered',
    record({ name: nameText, account: hash32, deposit: u64 }),
  ),
  transferred: defineEvent(
    NAMES_CONTRACT,
    'transferred',
    record({ name: nameText, from: hash32, to: hash32 }),
  ),
  released: defineEvent(
    NAMES_CONTRACT,
    'released',
    record({ name: nameText, account: hash32, deposit: u64 }),
  ),
};

function readName(context: Context, name: string): NameRecord | undefined {
  return readValue(context.storage, namesKeys.name(name), nameRecord);
}

function ownName(context: Context, name: string): NameRecord {
  const found = readName(context, name);
  if (!found) return context.revert('NAMES_UNKNOWN', `${JSON.stringify(name)} is not registered`);
  demand(
    context,
    found.account === context.caller,
    'NAMES_NOT_OWNER',
    `${name} belongs to ${found.account}`,
  );
  return found;
}

const methods = {
  /** Anyone: takes a free name for the caller and its deposit from the caller. */
  register: defineMethod({
    name: 'register',
    args: record({ name: nameText }),
    returns: done,
    run(context, { name }) {
      const shown = JSON.stringify(name);
      demand(context, isAccountName(name), 'NAMES_SYNTAX', `${shown} is not an account name`);
      demand(context, !RESERVED_NAMES.includes(name), 'NAMES_RESERVED', `${name} is reserved`);
      demand(context, !readName(context, name), 'NAMES_TAKEN', `${name} is taken`);
      const settings = namesSettings.read(context.storage);
      const deposit = name.length <= SHORT_NAME_MAX ? settings.shortDeposit : settings.deposit;
      if (deposit > 0n) collectFrom(context, context.caller, deposit);
      const account = context.caller;
      const registeredAtUs = context.block.timeUs;
      writeValue(context.storage, namesKeys.name(name), nameRecord, {
        account,
        deposit,
        registeredAtUs,
      });
      emit(context, namesEvents.registered, { name, account, deposit });
      return {};
    },
  }),
  /** The owner: gives the name, and the deposit with it, to another account. */
  transfer: defineMethod({
    name: 'transfer',
    args: record({ name: nameText, to: hash32 }),
    returns: done,
    run(context, { name, to }) {
      const before = ownName(context, name);
      writeValue(context.storage, namesKeys.name(name), nameRecord, { ...before, account: to });
      emit(context, namesEvents.transferred, { name, from: before.account, to });
      return {};
    },
  }),
  /** The owner: gives the name up and takes the deposit back. */
  release: defineMethod({
    name: 'release',
    args: record({ name: nameText }),
    returns: done,
    run(context, { name }) {
      const { account, deposit } = ownName(context, name);
      context.storage.delete(namesKeys.name(name));
      payTo(context, account, deposit);
      emit(context, namesEvents.released, { name, account, deposit });
      return {};
    },
  }),
  /** Anyone (mostly other contracts): the account a name stands for. */
  resolve: defineMethod({
    name: 'resolve',
    args: record({ name: nameText }),
    returns: hash32,
    run(context, { name }) {
      const found = readName(context, name);
      if (!found)
        return context.revert('NAMES_UNKNOWN', `${JSON.stringify(name)} is not registered`);
      return found.account;
    },
  }),
};

export const namesMethods = methods;
export const namesCalls = callBuilders(NAMES_CONTRACT, methods);
export const namesContract: SystemContract = {
  name: NAMES_CONTRACT,
  methods,
  genesis: (context, parameters) => namesSettings.write(context, parameters),
};
