/** `seele data watch|rollout`: versions that follow the source, and who reads them. */
import {
  type OwnerStore,
  type Rollout,
  type StoredDataset,
  type WatchNews,
  dropSlot,
  isTableUrl,
  watchDatasets,
} from '#libs/data';
import { isSeeleError } from '#libs/kernel';
import { cliError } from '../errors.ts';
import { type CommandContext, wholeNumber } from '../frame/command.ts';
import { type DataServices, openDataHome, openOwnerStore } from '../frame/data-home.ts';
import { errorLine } from '../frame/output.ts';

interface WatchCommandOptions extends DataServices {
  readonly rollout?: string;
  readonly debounce?: string;
  readonly drop?: boolean;
  readonly [name: string]: unknown;
}

/** `10@+20,100@12345`; relative heights count from the block that is newest now. @throws CLI_USAGE */
function stepsOf(text: string, height: number): Rollout['rollout'] {
  return text.split(',').map((step) => {
    const parts = /^(\d{1,3})@(\+?)(\d{1,15})$/.exec(step.trim());
    if (parts === null || Number(parts[1]) > 100)
      throw cliError('CLI_USAGE', `"${step}" is not percent@height or percent@+blocks`);
    const blocks = Number(parts[3]);
    return {
      percent: Number(parts[1]),
      activationHeight: parts[2] === '+' ? height + blocks : blocks,
    };
  });
}

function chosen(owner: OwnerStore, names: readonly string[]): readonly StoredDataset[] {
  const wanted = names.length > 0 ? names : owner.datasets().map(({ name }) => name);
  if (wanted.length === 0) throw cliError('CLI_USAGE', 'this home has no dataset: seele data add');
  return wanted.map((name) => owner.dataset(name));
}

const TROUBLE = {
  refused: 'not published',
  unwatched: 'not watched',
  waiting: 'tried again',
} as const;

function tell({ output }: CommandContext, news: WatchNews): void {
  if (news.is === 'noticed') return output.status(`${news.name} changes…`);
  if (news.is === 'watching') return output.line(`${news.name}: watching`);
  if (news.is === 'published') {
    const { outcome, name } = news;
    if (outcome.is === 'unchanged')
      return output.line(`${name}: nothing new, version ${outcome.latest.version} says all of it`);
    const { version, height } = outcome.version;
    return output.line(`${name}: version ${version} recorded in block ${height}`);
  }
  const { error, name } = news;
  const why = isSeeleError(error) ? errorLine(error).replace(/^seele: /, '') : error.message;
  output.note(`${name}: ${TROUBLE[news.is]}: ${why}`);
}

export async function dataWatch(
  context: CommandContext,
  options: WatchCommandOptions,
  ...names: string[]
): Promise<void> {
  const { output, signal } = context;
  const debounceMs = wholeNumber('--debounce', options.debounce ?? '150');
  const owner = openOwnerStore(context.home);
  try {
    const datasets = chosen(owner, names);
    if (options.drop === true) {
      const tables = datasets.filter(({ settings }) => isTableUrl(settings.source));
      for (const { settings, uai } of tables) await dropSlot(settings.source, uai);
      const dropped = tables.map(({ name }) => name);
      return output.answer({ dropped }, () => output.line(`Given up: ${dropped.join(', ')}`));
    }
    const homeOf = ({ account, settings }: StoredDataset) =>
      openDataHome(context, owner, account, options, settings.mode === 'ipfs').data;
    const { rollout } = options;
    await watchDatasets({
      ...{ datasets, signal, debounceMs, home: homeOf },
      onNews: (news) => tell(context, news),
      ...(rollout !== undefined && {
        rolloutFor: async (dataset: StoredDataset, latest: number) => {
          if (latest === 0) return { rollout: [] };
          const height = await homeOf(dataset).recorder.height();
          return { rollout: stepsOf(rollout, height), fallback: latest };
        },
      }),
    });
    output.answer({ watched: datasets.map(({ name }) => name) }, () => output.line('Stopped.'));
  } finally {
    owner.close();
  }
}

interface RolloutOptions extends DataServices {
  readonly version?: string;
  readonly steps?: string;
  readonly fallback?: string;
  readonly back?: boolean;
  readonly [name: string]: unknown;
}

/** Blocks until a step takes hold that is to hold at once: the transaction needs some itself. */
const SOON_BLOCKS = 10;

export async function dataRollout(
  context: CommandContext,
  options: RolloutOptions,
  name: string,
): Promise<void> {
  const { output } = context;
  if ((options.steps === undefined) === (options.back !== true))
    throw cliError('CLI_USAGE', 'give either --steps or --back');
  const owner = openOwnerStore(context.home);
  try {
    const dataset = owner.dataset(name);
    const { recorder } = openDataHome(context, owner, dataset.account, options, false);
    const newest = owner.latest(dataset)?.sequence ?? 0;
    const sequence =
      options.version === undefined ? newest : wholeNumber('--version', options.version, 1);
    const fallback =
      options.fallback === undefined
        ? sequence - 1
        : wholeNumber('--fallback', options.fallback, 1);
    const height = await recorder.height();
    const rollout = stepsOf(options.steps ?? `0@+${SOON_BLOCKS}`, height);
    await recorder.rollOut(dataset.path, sequence, {
      rollout,
      ...(fallback >= 1 && { fallback }),
    });
    output.answer(
      { name, sequence, fallback, rollout: rollout.map((step) => ({ ...step })) },
      () => {
        for (const { percent, activationHeight } of rollout)
          output.line(
            `${name}, version ${sequence}: ${percent} % of the readers from block ${activationHeight} on`,
          );
        if (fallback >= 1) output.line(`  the others read version ${fallback}`);
      },
    );
  } finally {
    owner.close();
  }
}
