/** `seele provider …`: who offers; this machine as a provider. */
import { parseAmount } from '#libs/kernel';
import { type ProviderDocument, pause } from '#libs/sdk';
import { cliError } from '../errors.ts';
import { type CommandContext, wholeNumber } from '../frame/command.ts';
import { ensureAccount } from '../frame/keys.ts';
import { money, shownAccount } from '../frame/job-view.ts';
import { type MarketOptions, connectMarket } from '../frame/market.ts';
import type { Json } from '../frame/output.ts';
import { sizeBytesOf } from '../frame/storage-deals.ts';
import { shorten, tableLines } from '../frame/table.ts';
import { readProfiles, writeProfiles } from '../supervisor/deployment.ts';
import { DEFAULT_ACCOUNT, type ProviderProfile, providerProcess } from '../supervisor/processes.ts';
import { liveRunState } from '../supervisor/run-state.ts';
import { fundAccount } from './account.ts';

const NAME = /^[a-z0-9][a-z0-9-]{0,29}$/;
const START_LIMIT_MS = 30_000;

export async function providerList(context: CommandContext, options: MarketOptions): Promise<void> {
  const providers = await connectMarket(context, options).providers();
  context.output.answer({ providers } as unknown as Json, () => {
    if (providers.length === 0) return context.output.line('No provider has registered yet.');
    const rows = providers.map((provider) => [
      provider.name,
      provider.cell,
      String(provider.offer['kinds'] ?? 'js'),
      provider.draining ? 'draining' : provider.online ? 'online' : 'offline',
      String(provider.freeSlots),
      String(provider.completed),
      String(provider.faults),
      shorten(shownAccount(provider.provider)),
    ]);
    const head = ['name', 'cell', 'kinds', 'state', 'free', 'done', 'faults', 'account'];
    for (const line of tableLines(head, rows)) context.output.line(line);
  });
}

function flat(value: unknown, path: string): [string, string][] {
  if (typeof value !== 'object' || value === null) return [[path, String(value)]];
  return Object.entries(value).flatMap(([key, inner]) =>
    flat(inner, path ? `${path}.${key}` : key),
  );
}

async function providerNamed(
  context: CommandContext,
  options: MarketOptions,
  given: string,
): Promise<ProviderDocument> {
  const all = await connectMarket(context, options).providers();
  const found = all.find(
    ({ provider, name }) =>
      name === given || provider === given || shownAccount(provider) === given,
  );
  if (!found) throw cliError('CLI_CHECK_FAILED', `the market knows no provider "${given}"`);
  return found;
}

export async function providerShow(
  context: CommandContext,
  options: MarketOptions,
  given: string,
): Promise<void> {
  const found = await providerNamed(context, options, given);
  context.output.answer(found as unknown as Json, () => {
    for (const line of tableLines([], flat(found, ''))) context.output.line(line);
  });
}

function word<T extends string>(name: string, words: readonly T[], given: string): T {
  const found = words.find((one) => one === given);
  if (found === undefined)
    throw cliError('CLI_USAGE', `${name} is one of ${words.join(', ')}, not "${given}"`);
  return found;
}

/** Tells the supervisor that the list of providers changed. */
function reload(context: CommandContext): void {
  const state = liveRunState(context.home);
  if (!state) throw cliError('CLI_NOT_UP', `nothing runs in ${context.home.path}`);
  process.kill(state.pid, 'SIGHUP');
}

async function waitFor(context: CommandContext, what: string, done: () => boolean): Promise<void> {
  const deadline = performance.now() + START_LIMIT_MS;
  while (!done()) {
    if (performance.now() > deadline || context.signal.aborted)
      throw cliError('CLI_TIMEOUT', `${what} after ${START_LIMIT_MS / 1000} s`);
    context.output.status(`${what} …`);
    await pause(100);
  }
}

export interface AddOptions {
  readonly domain: string;
  readonly level: string;
  readonly slots: string;
  readonly price: string;
  readonly memoryPrice: string;
  readonly storage: string;
  readonly storagePrice: string;
  readonly [name: string]: unknown;
}

export async function providerAdd(
  context: CommandContext,
  options: AddOptions,
  name = 'own',
): Promise<void> {
  const { home, output } = context;
  if (!NAME.test(name)) throw cliError('CLI_USAGE', `"${name}" is not a provider name`);
  const profile: ProviderProfile = {
    name,
    domain: word('--domain', ['public', 'vetted', 'confidential', 'private'], options.domain),
    level: word('--level', ['eco', 'standard', 'fast', 'assured'], options.level),
    slots: wholeNumber('--slots', options.slots, 1),
    pricePerCoreSecond: parseAmount(options.price),
    pricePerGibSecond: parseAmount(options.memoryPrice),
    storageBytes: sizeBytesOf('--storage', options.storage),
    storagePrice: parseAmount(options.storagePrice),
  };
  if (!liveRunState(home)) throw cliError('CLI_NOT_UP', `nothing runs in ${home.path}`);
  const profiles = readProfiles(home);
  if (profiles.some((one) => one.name === name))
    throw cliError('CLI_ACCOUNT_EXISTS', `this home already runs a provider "${name}"`);
  const key = ensureAccount(home, providerProcess(name));
  await fundAccount(context, DEFAULT_ACCOUNT, key.account);
  writeProfiles(home, [...profiles, profile]);
  reload(context);
  await waitFor(context, `${name} is not ready`, () =>
    (liveRunState(home)?.processes ?? []).some(
      (process) => process.name === providerProcess(name) && process.state === 'ready',
    ),
  );
  const provider = shownAccount(key.account);
  output.answer({ name, provider, cell: `${profile.domain}.${profile.level}` }, () => {
    output.line(`${name} takes work as ${provider}`);
    output.line(
      `  ${profile.domain}.${profile.level}, ${profile.slots} jobs at a time, ${money(profile.pricePerCoreSecond)} per core and second`,
    );
  });
}

async function stopProvider(context: CommandContext, name: string): Promise<void> {
  const { home } = context;
  const profiles = readProfiles(home);
  if (!profiles.some((one) => one.name === name))
    throw cliError('CLI_CHECK_FAILED', `this home runs no provider "${name}"`);
  writeProfiles(
    home,
    profiles.filter((one) => one.name !== name),
  );
  reload(context);
  await waitFor(context, `${name} still runs`, () =>
    (liveRunState(home)?.processes ?? []).every(
      (process) => process.name !== providerProcess(name),
    ),
  );
}

export async function providerDrain(
  context: CommandContext,
  options: { readonly timeout: string; readonly [name: string]: unknown },
  name: string,
): Promise<void> {
  const timeoutMs = wholeNumber('--timeout', options.timeout, 1) * 1000;
  const deadline = performance.now() + timeoutMs;
  for (;;) {
    const left = await drainedTo(context, name);
    if (left === 0) break;
    if (performance.now() > deadline || context.signal.aborted)
      throw cliError(
        'CLI_TIMEOUT',
        `${name} still works after ${timeoutMs / 1000} s; it takes nothing new: drain it again to wait on, or remove it`,
      );
    context.output.status(`${name} finishes its work (${left ?? 'starting'}) …`);
    await pause(100);
  }
  await stopProvider(context, name);
  context.output.answer({ drained: name }, () => context.output.line(`${name} is drained.`));
}

/**
 * Tells the provider's process to take nothing new, as often as it was started anew, and says how
 * many leases it still holds; undefined while it does not serve.
 */
async function drainedTo({ home }: CommandContext, name: string): Promise<number | undefined> {
  const state = liveRunState(home);
  if (!state) throw cliError('CLI_NOT_UP', `nothing runs in ${home.path}`);
  const found = state.processes.find((process) => process.name === providerProcess(name));
  if (!found) throw cliError('CLI_CHECK_FAILED', `this home runs no provider "${name}"`);
  const { pid, url } = found;
  // Before it is ready the signal would end it.
  if (found.state !== 'ready' || pid === undefined || url === undefined) return undefined;
  try {
    process.kill(pid, 'SIGUSR2');
    const answer = await fetch(`${url}/v1/status`, { signal: AbortSignal.timeout(2_000) });
    const status = (await answer.json()) as { draining?: boolean; leases?: readonly unknown[] };
    return status.draining === true ? status.leases?.length : undefined;
  } catch {
    return undefined;
  }
}

export async function providerRemove(
  context: CommandContext,
  _options: object,
  name: string,
): Promise<void> {
  await stopProvider(context, name);
  context.output.answer({ removed: name }, () =>
    context.output.line(`${name} is removed; its key stays in ${context.home.keys}`),
  );
}
