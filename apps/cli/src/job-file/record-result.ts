/**
 * Results as datasets: what a job came to is described, encrypted for its consumer and recorded on the
 * chain under the consumer's own account, with the order that made it as its provenance. The same result of the
 * same order again records nothing.
 */
import { mkdirSync } from 'node:fs';
import { dirname, join } from 'node:path';
import { type StoredDataset, openSource } from '#libs/data';
import { formatUai, isDataPath, parseUai } from '#libs/vtp';
import type { OrderDocument } from '#libs/sdk';
import { parseAccount } from '#libs/kernel';
import type { CommandContext } from '../frame/command.ts';
import { dataFolder, openDataHome, openOwnerStore } from '../frame/data-home.ts';

/** Where a result is recorded. */
export interface ResultTarget {
  readonly uai: string;
  /** Part of the UAI below the account. */
  readonly path: string;
  /** Name of the dataset in this home. */
  readonly name: string;
}

type Fail = (what: string) => Error;

/** @throws what `fail` makes of it: another chain or account, or no path of data */
export function resultTarget(
  text: string,
  own: { readonly chainName: string; readonly account: string },
  fail: Fail,
): ResultTarget {
  let uai: ReturnType<typeof parseUai>;
  try {
    uai = parseUai(text);
  } catch (error) {
    throw fail((error as Error).message);
  }
  const path = uai.data.join('/');
  const isOwn =
    uai.chain.join('.') === own.chainName &&
    uai.account?.kind === 'id' &&
    uai.account.id === own.account;
  const account = { kind: 'id', id: own.account } as const;
  const chain = own.chainName.split('.');
  if (!isOwn)
    throw fail(
      `a result is recorded under the account that pays: ${formatUai({ chain, account, data: ['data', 'results', 'NAME'], query: [] })}`,
    );
  const name = uai.data.slice(1).join('.');
  if (uai.data[0] !== 'data' || !isDataPath(path) || !/^[a-z0-9][a-z0-9._-]{0,63}$/.test(name))
    throw fail(`${text} is no place for data: …/data/results/NAME, lower-case letters and digits`);
  return { uai: formatUai({ chain, account, data: uai.data, query: [] }), path, name };
}

/** File, or folder of many tasks, that a result is written to before it is recorded. */
export function resultPlace(context: CommandContext, { name }: ResultTarget): string {
  const place = join(dataFolder(context.home), 'results', name);
  mkdirSync(dirname(place), { recursive: true, mode: 0o700 });
  return place;
}

export interface RecordedResult {
  readonly uai: string;
  readonly version: string;
  /** False when this result of this order was recorded before. */
  readonly isNew: boolean;
}

export async function recordResult(
  context: CommandContext,
  account: string,
  target: ResultTarget,
  order: OrderDocument,
  chainName: string,
): Promise<RecordedResult> {
  const { home } = context;
  const owner = openOwnerStore(home);
  try {
    const source = resultPlace(context, target);
    const opened = await openSource(source, join(dataFolder(home), 'scratch'));
    try {
      const { data } = openDataHome(context, owner, account, {}, true);
      const dataset: StoredDataset = {
        ...{ name: target.name, account, path: target.path, uai: target.uai },
        settings: {
          ...{ source, mode: 'ipfs', perColumn: false },
          say: {
            title: `Result of ${order.name}`,
            description: `What order ${order.id} came to; its receipt proves how (seele receipt).`,
            publish: ['provenance'],
          },
        },
      };
      owner.putDataset(dataset);
      const iri = orderUai(chainName, parseAccount(order.consumer), order.id);
      const outcome = await data.publish(dataset, { ...opened, iri });
      const isNew = outcome.is === 'recorded';
      const { version } = isNew ? outcome.version : outcome.latest;
      return { uai: target.uai, version, isNew };
    } finally {
      await opened.close();
    }
  } finally {
    owner.close();
  }
}

/** An order as a thing that others point to. */
const orderUai = (chainName: string, consumer: string, order: string): string =>
  formatUai({
    ...{ chain: chainName.split('.'), account: { kind: 'id', id: consumer } },
    ...{ data: ['orders', order], query: [] },
  });
