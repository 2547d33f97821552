/** `seele storage deal|offers`: content kept by others for money. */
import { createReadStream, statSync } from 'node:fs';
import {
  type DealTerms,
  type ListedOffer,
  type OpenDealParts,
  assignShards,
  dealHealth,
  fileOf,
  fitsOffer,
  openDeal,
  quoteDeal,
  readStorageOffers,
  replaceRefused,
  untilHeld,
} from '#libs/deals';
import { formatAccount, formatAmount, parseAmount } from '#libs/kernel';
import { createSystemRandomness } from '#libs/platform';
import { createX25519KeyWrap, parseCid, parseEncryptionKey, sealBlob } from '#libs/storage';
import { cliError } from '../errors.ts';
import { type CommandContext, wholeNumber } from '../frame/command.ts';
import { accountNamed, accountNames } from '../frame/connect.ts';
import {
  type DealOptions,
  type DealsConnection,
  connectDeals,
  contentOfDeal,
  durationUs,
  ownGateway,
  readWholeDeal,
} from '../frame/storage-deals.ts';
import { formatBytes, shorten, tableLines } from '../frame/table.ts';

export interface NewDealOptions extends DealOptions {
  readonly replicas?: string;
  readonly erasure?: string;
  readonly term: string;
  readonly epoch: string;
  readonly price?: string;
  readonly collateral?: string;
  readonly samples: string;
  readonly perOperator: string;
  readonly repairer?: string;
  readonly quote?: boolean;
  readonly plain?: boolean;
  readonly encryptTo?: readonly string[];
  readonly timeout: string;
}

const SHARDS_MAX = 64;
/** Collateral of so many epochs' price, unless said otherwise. */
const COLLATERAL_EPOCHS = 100n;
const PLACING_ROUNDS = 4;

function shapeOf({ replicas, erasure }: NewDealOptions): { needed: number; shards: number } {
  if (replicas !== undefined && erasure !== undefined)
    throw cliError('CLI_USAGE', 'choose --replicas or --erasure, not both');
  if (erasure !== undefined) {
    const match = /^(\d{1,2})\+(\d{1,2})$/.exec(erasure);
    const [needed, parity] = [Number(match?.[1] ?? 0), Number(match?.[2] ?? 0)];
    if (needed < 1 || parity < 1 || needed + parity > SHARDS_MAX)
      throw cliError('CLI_USAGE', `--erasure is data+parity such as 10+6, not "${erasure}"`);
    return { needed, shards: needed + parity };
  }
  const shards = wholeNumber('--replicas', replicas ?? '3', 1);
  if (shards > SHARDS_MAX) throw cliError('CLI_USAGE', `at most ${SHARDS_MAX} replicas`);
  return { needed: 1, shards };
}

function termsOf(options: NewDealOptions): DealTerms {
  const epochUs = durationUs('--epoch', options.epoch);
  return {
    ...shapeOf(options),
    epochUs,
    term: Math.max(1, Math.ceil(durationUs('--term', options.term) / epochUs)),
    samples: wholeNumber('--samples', options.samples, 1),
    collateral: options.collateral === undefined ? 0n : parseAmount(options.collateral),
    perOperator: wholeNumber('--per-operator', options.perOperator, 1),
    ...(options.price === undefined ? {} : { maxPricePerGibDay: parseAmount(options.price) }),
  };
}

/** The CID of what is to be kept: a path is encrypted and stored first. */
async function storedOf(
  context: CommandContext,
  options: NewDealOptions,
  { blobs, keys }: DealsConnection,
  given: string,
): Promise<string> {
  const stats = statSync(given, { throwIfNoEntry: false });
  if (stats === undefined) {
    try {
      return parseCid(given).toString();
    } catch {
      throw cliError('CLI_FILE', `"${given}" is neither a file here nor a content id`);
    }
  }
  if (!stats.isFile()) throw cliError('CLI_FILE', `${given} is not a file; pack folders first`);
  const { signal, output } = context;
  output.status(`storing ${given} …`);
  const source = createReadStream(given);
  if (options.plain) return (await blobs.put(source, { signal })).cid;
  const randomness = createSystemRandomness();
  const readers = (options.encryptTo ?? []).map(parseEncryptionKey);
  const recipients = [keys.publicKey, ...readers].map((key) =>
    createX25519KeyWrap(key, randomness),
  );
  return (await sealBlob(blobs, source, { recipients, randomness, signal })).cid;
}

/** Who is to repair the deal: the one that was named, or the first that offers to. */
function repairerOf(
  { home }: CommandContext,
  { repairer }: NewDealOptions,
  offers: readonly ListedOffer[],
): ListedOffer | undefined {
  if (repairer === 'none') return undefined;
  const account = repairer === undefined ? undefined : accountNamed(home, repairer);
  const found = offers.find(
    (offer) =>
      offer.repairs &&
      offer.encryptionKey !== undefined &&
      (account === undefined || offer.provider === account),
  );
  if (found === undefined && repairer !== undefined)
    throw cliError('CLI_CHECK_FAILED', `${repairer} does not offer repairs`);
  return found;
}

export async function storageDeal(
  context: CommandContext,
  options: NewDealOptions,
  given: string,
): Promise<void> {
  const { output, signal } = context;
  const at = connectDeals(context, options);
  const wanted = termsOf(options);
  const timeoutMs = wholeNumber('--timeout', options.timeout, 1) * 1000;
  const source = options.quote ? '' : ownGateway(context, options);
  const cid = await storedOf(context, options, at, given);
  const file = await fileOf(at.blobs, cid);
  const offers = await readStorageOffers(at.node);
  const repairer = repairerOf(context, options, offers);
  const draft = quoteDeal(offers, file.sizeBytes, wanted, repairer?.provider);
  const collateral = wanted.collateral || draft.price * COLLATERAL_EPOCHS;
  const terms = { ...wanted, collateral };
  const quote = quoteDeal(offers, file.sizeBytes, terms, repairer?.provider);
  const facts = {
    ...{ cid, sizeBytes: file.sizeBytes, needed: terms.needed, shards: terms.shards },
    ...{ shardBytes: quote.shardBytes, epochs: terms.term, epochSeconds: terms.epochUs / 1e6 },
    ...{ pricePerShardAndEpoch: quote.price.toString(), total: quote.total.toString() },
    collateralPerShard: collateral.toString(),
    providers: [...quote.providers.values()].map((provider) => formatAccount(provider)),
    ...(repairer && { repairer: formatAccount(repairer.provider) }),
  };
  const cost = `${formatAmount(quote.total)} for ${terms.term} epochs of ${terms.shards} × ${formatBytes(quote.shardBytes)}`;
  if (options.quote)
    return output.answer(facts, () => {
      output.line(`${cost}, paid as it is proven`);
      output.line(
        `  ${quote.providers.size} providers, collateral ${formatAmount(collateral)} each`,
      );
    });
  const randomness = createSystemRandomness();
  const keys = [at.keys.publicKey, ...(repairer?.encryptionKey ? [repairer.encryptionKey] : [])];
  const parts: OpenDealParts = {
    ...at,
    ...{ randomness, consumer: at.signer.account, source, signal },
    readers: keys.map((key) => createX25519KeyWrap(key, randomness)),
    ...(repairer && { repairer: repairer.provider }),
    progress: (step) => output.status(`${step} …`),
  };
  const id = await openDeal(parts, file, terms, quote);
  const missing = await place(context, at, parts, id, terms, timeoutMs);
  output.answer({ deal: id, ...facts, held: terms.shards - missing.length }, () => {
    output.line(id);
    output.line(`  ${cost}`);
    output.line(`  ${terms.shards - missing.length} of ${terms.shards} shards are kept`);
    if (missing.length > 0) output.line('  the others are waited for: seele storage status');
  });
}

/** Waits for providers, and asks others where one declined. Gives the shards that are still open. */
async function place(
  context: CommandContext,
  at: DealsConnection,
  parts: OpenDealParts,
  id: string,
  terms: DealTerms,
  timeoutMs: number,
): Promise<readonly number[]> {
  const asked = new Set<string>();
  const until = performance.now() + timeoutMs;
  for (let round = 0; ; round++) {
    const lost = await untilHeld(at.reader, id, {
      nowUs: () => Date.now() * 1000,
      deadlineMs: until - performance.now(),
      signal: context.signal,
      progress: (held) => context.output.status(`${held} of ${terms.shards} shards are kept …`),
    });
    if (lost.length === 0 || round === PLACING_ROUNDS || performance.now() > until) return lost;
    if (context.signal.aborted) return lost;
    const { deal, shards, offers } = await readWholeDeal(at, id);
    const { price, collateral, epochUs, shardBytes } = deal;
    const need = { shardBytes, epochUs, price, collateral };
    const taken = shards.flatMap(({ state, provider }) =>
      state === 'vacant' || provider === undefined ? [] : [provider],
    );
    for (const who of taken) asked.add(who);
    const open = dealHealth(deal, shards, Date.now() * 1000).lost;
    const refused = terms.perOperator > 1 ? new Set<string>() : asked;
    const wanted = assignShards(
      open,
      {
        offers: offers.filter((offer) => fitsOffer(offer, need)),
        ...{ perOperator: terms.perOperator, taken, refused },
      },
      deal,
    );
    for (const who of wanted.values()) asked.add(who);
    await replaceRefused(parts, id, deal, await contentOfDeal(at, id), open, wanted);
  }
}

export async function storageOffers(context: CommandContext, options: DealOptions): Promise<void> {
  const { node } = connectDeals(context, options);
  const offers = await readStorageOffers(node);
  const names = accountNames(context.home);
  const shown = offers.map((offer) => ({
    ...{ provider: formatAccount(offer.provider), name: offer.name, gateway: offer.gateway },
    ...{ capacityBytes: offer.capacityBytes, pricePerGibDay: offer.pricePerGibDay.toString() },
    ...{ operator: offer.operator, repairs: offer.repairs },
  }));
  context.output.answer({ offers: shown }, () => {
    if (shown.length === 0) return context.output.line('Nobody offers storage yet.');
    const rows = shown.map(
      ({ provider, name, capacityBytes, pricePerGibDay, repairs, gateway }) => [
        name,
        repairs ? 'repairs' : formatBytes(capacityBytes),
        repairs ? '–' : formatAmount(BigInt(pricePerGibDay)),
        gateway,
        names.get(provider) ?? shorten(provider),
      ],
    );
    const head = ['name', 'offers', 'GiB and day', 'gateway', 'account'];
    for (const line of tableLines(head, rows)) context.output.line(line);
  });
}
