/** `seele account …`: keys of this home and the money they hold. */
import { type Prepaid, ordersCalls, ordersKeys, prepaid, tokenCalls } from '#contracts';
import {
  type AccountId,
  TOKEN,
  decodeWith,
  formatAccount,
  formatAmount,
  parseAccount,
  parseAmount,
} from '#libs/kernel';
import type { FinalReceipt } from '#libs/ledger';
import { type NodeClient, createNodeClient, sendCalls } from '#libs/sdk';
import { cliError } from '../errors.ts';
import type { CommandContext } from '../frame/command.ts';
import { accountNamed, serviceUrl, signerOf } from '../frame/connect.ts';
import type { Home } from '../frame/home.ts';
import { prepareHome } from '../frame/prepare-home.ts';
import { accountFile, createAccount, listAccounts } from '../frame/keys.ts';
import { tableLines } from '../frame/table.ts';

export interface AccountOptions {
  readonly node?: string;
  readonly from?: string;
  readonly memo?: string;
  readonly [name: string]: unknown;
}

/** What a new provider of this home gets to pay its deposit and fees with. */
const PROVIDER_FUNDS = 100n * TOKEN;

function connectNode(context: CommandContext, option?: string): NodeClient {
  return createNodeClient(serviceUrl(context, 'node', option));
}

export async function accountNew(
  context: CommandContext,
  _options: AccountOptions,
  name: string,
): Promise<void> {
  const { home, output } = context;
  prepareHome(home);
  const address = formatAccount(createAccount(home, name).account);
  const file = accountFile(home, name);
  output.answer({ name, address, file }, () => {
    output.line(address);
    output.line(`  key file ${file} (encrypted; keep a copy)`);
  });
}

async function readPrepaid(node: NodeClient, account: AccountId): Promise<Prepaid> {
  const bytes = await node.state('orders', ordersKeys.prepaid(account));
  return bytes ? decodeWith(prepaid, bytes) : { balance: 0n };
}

async function moneyOf(node: NodeClient | undefined, address: string) {
  if (!node) return {};
  const account = parseAccount(address);
  const [{ balance, nonce }, paid] = await Promise.all([
    node.account(account),
    readPrepaid(node, account),
  ]);
  return { balance: balance.toString(), prepaid: paid.balance.toString(), transactions: nonce };
}

function chosen(home: Home, name: string | undefined) {
  const all = listAccounts(home);
  if (name === undefined) return all;
  if (name.startsWith('seele1')) return [{ name: '', address: formatAccount(parseAccount(name)) }];
  const found = all.filter((account) => account.name === name);
  if (found.length === 0)
    throw cliError('CLI_ACCOUNT_UNKNOWN', `there is no account "${name}" in ${home.keys}`);
  return found;
}

export async function accountShow(
  context: CommandContext,
  options: AccountOptions,
  name?: string,
): Promise<void> {
  const { home, output } = context;
  let node: NodeClient | undefined;
  try {
    node = connectNode(context, options.node);
  } catch {
    output.note('no node is running: balances are not shown');
  }
  const accounts = await Promise.all(
    chosen(home, name).map(async (account) => ({
      ...account,
      ...(await moneyOf(node, account.address)),
    })),
  );
  output.answer({ accounts }, () => {
    if (accounts.length === 0) return output.line('No accounts yet: seele account new NAME');
    const shown = (units: string | undefined) =>
      units === undefined ? '–' : formatAmount(BigInt(units));
    const rows = accounts.map((account) => [
      account.name,
      shown('balance' in account ? account.balance : undefined),
      shown('prepaid' in account ? account.prepaid : undefined),
      account.address,
    ]);
    for (const line of tableLines(['name', 'balance', 'prepaid', 'account'], rows, [
      'left',
      'right',
      'right',
    ]))
      output.line(line);
  });
}

function amountOf(text: string): bigint {
  const amount = parseAmount(text);
  if (amount === 0n) throw cliError('CLI_USAGE', 'the amount is zero');
  return amount;
}

function facts({ receipt, height }: FinalReceipt) {
  return { transaction: receipt.transaction, height, fee: receipt.fee.toString() };
}

export async function accountSend(
  context: CommandContext,
  options: AccountOptions,
  to: string,
  text: string,
): Promise<void> {
  const { home, output } = context;
  const amount = amountOf(text);
  const receiver = accountNamed(home, to);
  const node = connectNode(context, options.node);
  const { memo } = options;
  const call = tokenCalls.transfer({
    to: receiver,
    amount,
    ...(memo === undefined ? {} : { memo }),
  });
  const final = await sendCalls(node, signerOf(home, options.from ?? 'default'), [call]);
  const document = { ...facts(final), to: formatAccount(receiver), amount: amount.toString() };
  output.answer(document, () => {
    output.line(`Sent ${formatAmount(amount)} to ${document.to}`);
    output.line(`  final in block ${final.height}, fee ${formatAmount(final.receipt.fee)}`);
  });
}

/** Moves money of an account into its prepaid balance. */
export async function deposit(
  context: CommandContext,
  from: string,
  amount: bigint,
  nodeUrl?: string,
): Promise<FinalReceipt> {
  const signer = signerOf(context.home, from);
  const call = ordersCalls.deposit({ account: signer.account, amount });
  return sendCalls(connectNode(context, nodeUrl), signer, [call]);
}

export async function accountDeposit(
  context: CommandContext,
  options: AccountOptions,
  text: string,
): Promise<void> {
  const amount = amountOf(text);
  const from = options.from ?? 'default';
  const final = await deposit(context, from, amount, options.node);
  const node = connectNode(context, options.node);
  const { balance } = await readPrepaid(node, signerOf(context.home, from).account);
  context.output.answer(
    { ...facts(final), amount: amount.toString(), prepaid: balance.toString() },
    () => {
      context.output.line(
        `Deposited ${formatAmount(amount)}; prepaid now ${formatAmount(balance)}`,
      );
      context.output.line(
        `  final in block ${final.height}, fee ${formatAmount(final.receipt.fee)}`,
      );
    },
  );
}

/** Gives a new account of this home what it needs to begin. */
export async function fundAccount(
  context: CommandContext,
  from: string,
  to: AccountId,
): Promise<void> {
  const node = connectNode(context);
  const { balance } = await node.account(to);
  if (balance >= PROVIDER_FUNDS) return;
  const call = tokenCalls.transfer({ to, amount: PROVIDER_FUNDS - balance });
  await sendCalls(node, signerOf(context.home, from), [call]);
}
