/** Faults of clusters besides processes that die: lost directories, wrong clocks, validators that misbehave. */
import { rmSync } from 'node:fs';
import { join } from 'node:path';
import { setTimeout as sleep } from 'node:timers/promises';
import { isDeepStrictEqual } from 'node:util';
import { stakeCalls, stakeKeys, validatorRecord } from '#contracts';
import { type KeyPair, type Signer, createSigner } from '#libs/crypto';
import { decodeWith } from '#libs/kernel';
import { headerHash } from '#libs/ledger';
import { encodeAnswer, decodeAnswer, NODE_PROTOCOLS } from '#libs/net';
import type { Cluster, ClusterOptions } from '../support/cluster.ts';
import { type ClusterLoad, loadSigners, startLoad, transfer } from '../support/cluster-load.ts';
import {
  type Twist,
  createLiar,
  honest,
  onlyTo,
  silent,
  slow,
  startTwisted,
} from '../support/twisted-validator.ts';
import {
  type Outcome,
  PROGRESS_LIMIT_MS,
  differences,
  highestOf,
  note,
  order,
  range,
  until,
  withCluster,
} from './cluster-stage.ts';
import { COPY_PLACES } from './failpoint-list.ts';

type Options = Partial<ClusterOptions> & { readonly isLogged: boolean };

const emptyDirectory = (cluster: Cluster, node: number): void =>
  rmSync(join(cluster.home(node), 'node'), { recursive: true, force: true });
const votingOf = async (cluster: Cluster, node: number): Promise<string | undefined> =>
  (await cluster.client(node).status()).consensus?.voting;
const heightOf = async (cluster: Cluster, node: number): Promise<number> =>
  (await cluster.client(node).status()).height;

async function grow(cluster: Cluster, load: ClusterLoad, to: number): Promise<void> {
  while ((await heightOf(cluster, 0)) < to) await load.progress(PROGRESS_LIMIT_MS);
}

const COPY_BEHIND = 15;

/** An empty directory is filled by a copy of the state: killed in the middle, fed lies, with nobody there. */
export function copying(options: Options): Promise<Outcome> {
  const run = async (cluster: Cluster): Promise<Outcome> => {
    const wrong: string[] = [];
    const load = startLoad(cluster, 3, loadSigners(6));
    const firsts: number[] = [];
    const noteFirst = async (): Promise<void> => {
      const { firstHeight } = await cluster.client(3).status();
      firsts.push(firstHeight);
      if (firstHeight === 0) wrong.push('executed every block');
      await until('votes again', async () => (await votingOf(cluster, 3)) === 'yes');
    };
    await grow(cluster, load, 2 * COPY_BEHIND);
    for (const name of COPY_PLACES) {
      await cluster.kill(3);
      emptyDirectory(cluster, 3);
      await cluster.start(3, { SEELE_FAILPOINTS: `${name}=kill@1` }).then(
        () => wrong.push(`${name} not reached`),
        () => undefined,
      );
      await cluster.kill(3);
      await cluster.start(3);
      await noteFirst();
      note(`copying: killed at ${name}, then first height ${firsts.at(-1)}`);
    }
    await cluster.kill(3);
    await load.stop();
    return {
      scenario: 'copy of the state',
      firstHeights: firsts.join(' '),
      final: load.final.size,
      divergences: await startAndCompare(cluster, load),
      wrong,
    };
  };
  const env = { SEELE_NODE_COPY_BEHIND: String(COPY_BEHIND) };
  return withCluster(4, run, { ...options, env });
}

/**
 * Parameters of consensus are decided and come into force while one of four is copying the state: before they
 * are in force, and after. It runs with the same ones as the others.
 */
export function copyingParameters(options: Options): Promise<Outcome> {
  const wanted = { epsilonUs: 300, samplingPerMille: 500 };
  const run = async (cluster: Cluster): Promise<Outcome> => {
    const wrong: string[] = [];
    const load = startLoad(cluster, 3, loadSigners(6));
    const copy = async (): Promise<number> => {
      await cluster.kill(3);
      emptyDirectory(cluster, 3);
      await cluster.start(3);
      const { firstHeight } = await cluster.client(3).status();
      if (firstHeight === 0) wrong.push('executed every block');
      return firstHeight;
    };
    const parametersOf = async (node: number) =>
      (await cluster.client(node).status()).consensus?.parameters;
    const areInForce = async (node: number): Promise<boolean> =>
      isDeepStrictEqual(await parametersOf(node), wanted);
    await grow(cluster, load, 2 * COPY_BEHIND);
    for (const node of range(3)) {
      const voter = createSigner((cluster.keys[node] as KeyPair).seed);
      const { publicKey } = voter;
      await order(cluster, voter, node, stakeCalls.voteParameters({ publicKey, ...wanted }));
    }
    const before = await copy();
    if (await areInForce(0)) note('copyingParameters: in force before the first copy was over');
    for (const node of range(4)) {
      let looks = 0;
      while (!(await areInForce(node)) && looks++ < 1_000) await load.progress(PROGRESS_LIMIT_MS);
      if (looks >= 1_000) wrong.push(`node ${node}: ${JSON.stringify(await parametersOf(node))}`);
    }
    // Started again, they offer their state of now instead of the one they froze before.
    for (const node of range(3)) {
      await cluster.kill(node);
      await cluster.start(node);
      await load.progress(PROGRESS_LIMIT_MS);
    }
    const after = await copy();
    if (after <= before) wrong.push('the second copy is of the first state');
    await load.progress(PROGRESS_LIMIT_MS);
    await until('the copied parameters', () => areInForce(3)).catch((error: unknown) =>
      wrong.push(String(error)),
    );
    await load.stop();
    await until(
      'it has caught up',
      async () => (await heightOf(cluster, 3)) >= highestOf(load.final),
    );
    const heads = await Promise.all(
      range(4).map(async (node) => {
        const block = await cluster.client(node).block(highestOf(load.final));
        return headerHash(block.header);
      }),
    );
    return {
      scenario: 'copy while parameters change',
      firstHeights: `${before} ${after}`,
      final: load.final.size,
      divergences: new Set(heads).size - 1,
      wrong,
    };
  };
  const env = { SEELE_NODE_COPY_BEHIND: String(COPY_BEHIND) };
  return withCluster(4, run, { ...options, env, eraUs: 20_000_000 });
}

async function startAndCompare(cluster: Cluster, load: ClusterLoad): Promise<number> {
  await cluster.start(3);
  // Blocks below a copied state are not there: compared are the others.
  return differences(cluster, [0, 1, 2], highestOf(load.final));
}

/** Offers a state of a height that never was, and tells a wrong place to go on from. */
const falseStates: Twist = (_peer, protocol, message) => {
  if (protocol !== NODE_PROTOCOLS.snapshot.id || message[0] !== 1) return { message };
  const head = message.slice(0, 5);
  try {
    const answer = decodeAnswer(message.subarray(5));
    if (answer.kind !== 'offers') return { message };
    const offers = answer.offers.map((offer) => ({ ...offer, height: offer.height + 1_000 }));
    return { message: Uint8Array.from([...head, ...encodeAnswer({ kind: 'offers', offers })]) };
  } catch {
    return { message: Uint8Array.from([...head, ...new Uint8Array(32)]) };
  }
};

/** A validator among the peers lies about states: it is found out, and the copy comes from another. */
export function falseCopies(options: Options): Promise<Outcome> {
  let log = '';
  const run = async (cluster: Cluster): Promise<Outcome> => {
    const liar = await startTwisted(cluster, 2);
    const load = startLoad(cluster, 2, loadSigners(6));
    try {
      liar.twist(falseStates);
      await grow(cluster, load, 2 * COPY_BEHIND);
      await cluster.start(3);
      const { firstHeight } = await cluster.client(3).status();
      const wrong = [
        ...(firstHeight === 0 ? ['executed every block'] : []),
        ...(log.includes('a peer sent a false state') ? [] : ['the liar was not found out']),
      ];
      await load.stop();
      const found = await differences(cluster, [0, 1], highestOf(load.final));
      return { scenario: 'false states', firstHeight, divergences: found, wrong };
    } finally {
      await load.stop();
      await liar.stop();
    }
  };
  const env = {
    SEELE_NODE_COPY_BEHIND: String(COPY_BEHIND),
    SEELE_NODE_JOURNAL_LOST: 'false',
    SEELE_LOG_LEVEL: 'info',
  };
  const onLog = (node: number, text: string): void => {
    log += text;
    if (options.isLogged) note(`[${node}] ${text.trim()}`);
  };
  return withCluster(4, run, { env, started: [0, 1], onLog });
}

/** Directories emptied before and after the chain began; one validator that never comes. */
export function emptied(options: Options): Promise<Outcome> {
  const run = async (cluster: Cluster): Promise<Outcome> => {
    const wrong: string[] = [];
    const expect = (what: string, holds: boolean): void => void (holds || wrong.push(what));
    await sleep(2_000);
    const first = await votingOf(cluster, 0);
    expect(`three of four are ${first}`, first === 'waits for all validators');
    await cluster.kill(1);
    emptyDirectory(cluster, 1);
    await cluster.start(1);
    await cluster.start(3);
    const load = startLoad(cluster, 4, loadSigners(6));
    for (let i = 0; i < 10; i++) await load.progress(PROGRESS_LIMIT_MS);
    await cluster.kill(2);
    emptyDirectory(cluster, 2);
    await cluster.start(2);
    expect('an emptied validator votes', (await votingOf(cluster, 2)) === 'watches');
    await until('it votes again', async () => (await votingOf(cluster, 2)) === 'yes');
    // What such a validator takes is passed on until it may make blocks again.
    const payer = loadSigners(8)[7] as Signer;
    const client = cluster.client(2);
    const { nextNonce } = await client.account(payer.account);
    const receipt = await client.execute(
      transfer(cluster, payer, nextNonce, payer.account),
      20_000,
    );
    expect(`its transaction is ${receipt.receipt.status}`, receipt.receipt.status === 'ok');
    await load.stop();
    const found = await differences(cluster, 4, highestOf(load.final));
    return { scenario: 'empty directories', final: load.final.size, divergences: found, wrong };
  };
  return withCluster(4, run, { ...options, started: [0, 1, 2] });
}

/** What a node took without a quorum is ordered by another after that node died. */
export function orphans(options: Options): Promise<Outcome> {
  const run = async (cluster: Cluster): Promise<Outcome> => {
    const warm = startLoad(cluster, 4, loadSigners(4));
    for (let i = 0; i < 4; i++) await warm.progress(PROGRESS_LIMIT_MS);
    await warm.stop();
    await Promise.all([cluster.kill(2), cluster.kill(3)]);
    const payers = loadSigners(8).slice(4) as Signer[];
    const taken = payers.map((payer) => transfer(cluster, payer, 0, payer.account));
    const client = cluster.client(0);
    const answers = await client.submit(taken);
    const accepted = answers.filter(({ accepted: yes }) => yes).length;
    await sleep(3_000);
    await cluster.kill(0);
    await Promise.all([cluster.start(2), cluster.start(3)]);
    const lost: string[] = [];
    for (const { id } of taken)
      await until(
        id,
        async () => (await fetch(`${cluster.client(1).url}/v1/transactions/${id}?waitMs=2000`)).ok,
      ).catch(() => lost.push(id));
    await cluster.start(0);
    const found = await differences(cluster, 4, 1);
    const nonces = await Promise.all(
      payers.map(async ({ account }) => (await cluster.client(0).account(account)).nonce),
    );
    return {
      scenario: 'transactions of a dead node',
      accepted,
      lost: lost.length,
      divergences: found,
      wrong: [
        ...(lost.length > 0 || accepted < payers.length ? ['transactions were lost'] : []),
        ...(nonces.some((nonce) => nonce !== 1) ? ['not once'] : []),
      ],
    };
  };
  return withCluster(4, run, options);
}

/** Clocks of two validators a second ahead and behind. */
export function skewed(options: Options): Promise<Outcome> {
  const run = async (cluster: Cluster): Promise<Outcome> => {
    await Promise.all(
      range(4).map((node) => {
        const offset = [0, 0, 1_000, -1_000][node] as number;
        return cluster.start(node, { SEELE_NODE_CLOCK_OFFSET_MS: String(offset) });
      }),
    );
    const load = startLoad(cluster, 4, loadSigners(6));
    const startedMs = performance.now();
    for (let i = 0; i < 30; i++) await load.progress(PROGRESS_LIMIT_MS);
    const ms = Math.round(performance.now() - startedMs);
    await load.stop();
    const found = await differences(cluster, 4, highestOf(load.final));
    return { scenario: 'clocks ±1 s', msFor30: ms, final: load.final.size, divergences: found };
  };
  return withCluster(4, run, { ...options, started: [] });
}

const SEVEN = range(5);

/** Two of seven validators are doubles that are silent, slow, cut off from most, and lie. */
export function misbehaving(options: Options): Promise<Outcome> {
  const run = async (cluster: Cluster): Promise<Outcome> => {
    const doubles = await Promise.all([startTwisted(cluster, 5), startTwisted(cluster, 6)]);
    const load = startLoad(cluster, 5, loadSigners(6));
    const keys = cluster.keys as readonly KeyPair[];
    const some = keys.slice(0, 2).map(({ publicKey }) => publicKey);
    const progress: string[] = [];
    const wrong: string[] = [];
    const behaviours: readonly (readonly [string, (key: KeyPair) => Twist])[] = [
      ['honest', () => honest],
      ['silent', () => silent],
      ['slow', () => slow],
      ['parted', () => onlyTo(some)],
      ['lying', (key) => createLiar(key, some)],
    ];
    try {
      for (const [name, by] of behaviours) {
        for (const [i, double] of doubles.entries()) double.twist(by(keys[5 + i] as KeyPair));
        const startedMs = performance.now();
        try {
          for (let i = 0; i < 12; i++) await load.progress(PROGRESS_LIMIT_MS);
        } catch {
          wrong.push(`${name}: nothing final`);
        }
        progress.push(`${name} ${Math.round(performance.now() - startedMs)} ms`);
        note(`misbehaving: ${progress.at(-1)}`);
      }
      const slashedOf = async (key: KeyPair): Promise<boolean> => {
        const stored = await cluster.client(0).state('stake', stakeKeys.validator(key.publicKey));
        return stored !== undefined && decodeWith(validatorRecord, stored).faults > 0;
      };
      for (const key of keys.slice(5))
        await until('slashed', () => slashedOf(key)).catch(() =>
          wrong.push('a liar kept its bond'),
        );
      for (const key of keys.slice(0, 5))
        if (await slashedOf(key)) wrong.push('an honest one was slashed');
      await load.stop();
      const found = await differences(cluster, SEVEN, highestOf(load.final));
      const final = load.final.size;
      return { scenario: 'misbehaving validators', progress, final, divergences: found, wrong };
    } finally {
      await load.stop();
      await Promise.all(doubles.map((double) => double.stop()));
    }
  };
  const env = { SEELE_NODE_JOURNAL_LOST: 'false' };
  return withCluster(7, run, { ...options, env, started: SEVEN });
}
