/**
 * Validators as real processes under faults, longer than `npm test` allows: killed at every failpoint of
 * consensus, four and five of ten killed at once, one key in two processes. Afterwards every node must
 * hold the same blocks. Prints one JSON document; exits 1 when something diverged or did not go on.
 *
 * Usage: node dist/test/system/cluster-run.js [--only SCENARIO] [--log]; SCENARIO is one of:
 *   failpoints four five twins validators copying copyingParameters falseCopies emptied orphans skewed misbehaving disk
 */
import { execFileSync } from 'node:child_process';
import { mkdirSync, rmSync, statfsSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { setTimeout as sleep } from 'node:timers/promises';
import { isDeepStrictEqual, parseArgs } from 'node:util';
import { stakeCalls, stakeKeys, tokenKeys, validatorRecord } from '#contracts';
import { type KeyPair, type Signer, createSigner, sha256, verifySignature } from '#libs/crypto';
import { decodeWith, utf8 } from '#libs/kernel';
import { verifyStateProof } from '#libs/ledger';
import { type Cluster, createCluster } from '../support/cluster.ts';
import { divergences, loadSigners, sameHead, startLoad } from '../support/cluster-load.ts';
import {
  copying,
  copyingParameters,
  emptied,
  falseCopies,
  misbehaving,
  orphans,
  skewed,
} from './cluster-faults.ts';
import {
  EXIT_LIMIT_MS,
  FUNDS,
  type Outcome,
  PROGRESS_LIMIT_MS,
  differences,
  highestOf,
  note,
  order,
  range,
  withCluster,
} from './cluster-stage.ts';
import { CONSENSUS_PLACES, EXECUTION_PLACES } from './failpoint-list.ts';

/** At which hit of a failpoint the process dies: soon after start, and in the middle of work. */
const HITS = [1, 7];
const { values: options } = parseArgs({
  options: { only: { type: 'string' }, log: { type: 'boolean', default: false } },
});

/** One of four dies at every failpoint and starts again; the others go on all the while. */
function failpoints(): Promise<Outcome> {
  const run = async (cluster: Cluster): Promise<Outcome> => {
    const load = startLoad(cluster, 4, loadSigners(6));
    const notReached: string[] = [];
    let kills = 0;
    for (const [i, name] of [...CONSENSUS_PLACES, ...EXECUTION_PLACES].entries())
      for (const hit of HITS) {
        const victim = 1 + (i % 3);
        await cluster.kill(victim);
        // It may die before it serves.
        await cluster.start(victim, { SEELE_FAILPOINTS: `${name}=kill@${hit}` }).catch(() => {});
        const limit = sleep(EXIT_LIMIT_MS, 'late' as const, { ref: false });
        const outcome = await Promise.race([cluster.exited(victim), limit]);
        if (outcome === 'late') notReached.push(`${name}@${hit}`);
        else kills += 1;
        await cluster.kill(victim);
        await load.progress(PROGRESS_LIMIT_MS);
        await cluster.start(victim);
        note(`failpoints: ${name}@${hit} ${outcome === 'late' ? 'not reached' : 'killed'}`);
      }
    await load.progress(PROGRESS_LIMIT_MS);
    await load.stop();
    const found = await differences(cluster, 4, highestOf(load.final));
    return {
      scenario: 'failpoints',
      kills,
      notReached,
      final: load.final.size,
      divergences: found,
    };
  };
  // Short journals, so that they begin anew every few seconds.
  const env = { SEELE_NODE_JOURNAL_BYTES: '8192' };
  return withCluster(4, run, { env, isLogged: options.log });
}

interface TentativeAnswer {
  readonly blocks: readonly { readonly transactions: readonly string[] }[];
}

/** Transactions that a node has in its tentative order. */
async function tentativeOf(cluster: Cluster, node: number): Promise<number> {
  const answer = await fetch(`${cluster.client(node).url}/v1/tentative?limit=1000`);
  const { blocks } = (await answer.json()) as TentativeAnswer;
  return blocks.reduce((sum, { transactions }) => sum + transactions.length, 0);
}

/** Ten processes: so many are killed at once and started again. */
function killed(scenario: string, count: number): Promise<Outcome> {
  const isQuorumLost = count > 4;
  const run = async (cluster: Cluster): Promise<Outcome> => {
    const load = startLoad(cluster, 10, loadSigners(8));
    for (let i = 0; i < 10; i++) await load.progress(PROGRESS_LIMIT_MS);
    const victims = range(count).map((i) => 9 - i);
    await Promise.all(victims.map((node) => cluster.kill(node)));
    await sleep(1_000);
    const before = (await cluster.client(0).status()).height;
    const finalBefore = new Set(load.final.keys());
    await sleep(4_000);
    const heightMeanwhile = (await cluster.client(0).status()).height - before;
    const tentative = await tentativeOf(cluster, 0);
    const startedMs = performance.now();
    await Promise.all(victims.map((node) => cluster.start(node)));
    const servingMs = performance.now() - startedMs;
    for (let i = 0; i < 8; i++) await load.progress(PROGRESS_LIMIT_MS);
    const recoveryMs = Math.round(performance.now() - startedMs);
    await load.stop();
    const later = [...load.final].filter(([id]) => !finalBefore.has(id)).slice(0, 8);
    const firstCuts = Math.max(...later.map(([, height]) => height)) - before;
    const wrong = [
      ...(isQuorumLost && heightMeanwhile > 0 ? ['final without a quorum'] : []),
      ...(isQuorumLost && tentative === 0 ? ['no tentative order'] : []),
      ...(isQuorumLost && firstCuts > 2 ? [`the backlog took ${firstCuts} cuts`] : []),
      ...(!isQuorumLost && heightMeanwhile === 0 ? ['nothing became final'] : []),
    ];
    return {
      scenario,
      cutsWhileDown: heightMeanwhile,
      tentative,
      backlogCuts: firstCuts,
      servingMs: Math.round(servingMs),
      recoveryMs,
      final: load.final.size,
      divergences: await differences(cluster, 10, highestOf(load.final)),
      wrong,
    };
  };
  return withCluster(10, run, { isLogged: options.log });
}

/** A second process with the key of the first validator, on a home of its own. */
function twins(): Promise<Outcome> {
  const run = async (cluster: Cluster): Promise<Outcome> => {
    const load = startLoad(cluster, 4, loadSigners(6));
    for (let i = 0; i < 5; i++) await load.progress(PROGRESS_LIMIT_MS);
    const twin = await cluster.twin(3);
    for (let i = 0; i < 20; i++) await load.progress(PROGRESS_LIMIT_MS);
    const { publicKey } = cluster.keys[3] as KeyPair;
    const slashed = async () => {
      const stored = await cluster.client(0).state('stake', stakeKeys.validator(publicKey));
      return stored !== undefined && decodeWith(validatorRecord, stored).faults > 0;
    };
    for (let i = 0; i < 100 && !(await slashed()); i++) await sleep(200);
    const seen = await Promise.all(
      range(3).map(async (node) => (await cluster.client(node).status()).height),
    );
    await twin.stop();
    await load.stop();
    const height = await sameHead(cluster, [0, 1, 2], highestOf(load.final), PROGRESS_LIMIT_MS);
    const found = await divergences(cluster, [0, 1, 2], height);
    return {
      scenario: 'twins',
      slashed: String(await slashed()),
      heights: seen.join(' '),
      final: load.final.size,
      divergences: found.length,
      wrong: (await slashed()) ? [] : ['not slashed'],
    };
  };
  return withCluster(4, run, { isLogged: options.log });
}

const SMALL_DISK = 'size=6m';

/** The disk of one of four fills up: it ends and says why; the others go on. Needs root. */
async function disk(): Promise<Outcome> {
  const signers = loadSigners(8);
  const cluster = await createCluster({
    nodes: 4,
    allocations: signers.map(({ account }) => ({ account, amount: FUNDS })),
    env: { SEELE_NODE_RESERVE_BYTES: '0' },
    ...(options.log && { onLog: (node, text) => note(`[${node}] ${text.trim()}`) }),
  });
  const folder = join(cluster.home(3), 'node');
  mkdirSync(folder);
  const clear = async (): Promise<void> => {
    await Promise.all(range(4).map((node) => cluster.kill(node)));
    execFileSync('umount', [folder]);
    await cluster.stop();
  };
  let cleared: Promise<void> | undefined;
  const interrupted = (): void => {
    cleared ??= clear();
    void cleared.finally(() => process.exit(130));
  };
  process.once('SIGINT', interrupted).once('SIGTERM', interrupted);
  execFileSync('mount', ['-t', 'tmpfs', '-o', SMALL_DISK, 'tmpfs', folder]);
  try {
    await Promise.all(range(4).map((node) => cluster.start(node)));
    const load = startLoad(cluster, 3, signers);
    await load.progress(PROGRESS_LIMIT_MS);
    const filler = join(folder, 'filler');
    writeFileSync(filler, new Uint8Array(statfsSync(folder).bavail * statfsSync(folder).bsize));
    const code = await Promise.race([
      cluster.exited(3),
      sleep(EXIT_LIMIT_MS, 'it goes on' as const),
    ]);
    for (let i = 0; i < 5; i++) await load.progress(PROGRESS_LIMIT_MS);
    await cluster.kill(3);
    rmSync(filler);
    await cluster.start(3);
    await load.progress(PROGRESS_LIMIT_MS);
    await load.stop();
    const found = await differences(cluster, 4, highestOf(load.final));
    const exit = String(code);
    return { scenario: 'disk full', exit, final: load.final.size, divergences: found };
  } finally {
    process.off('SIGINT', interrupted).off('SIGTERM', interrupted);
    cleared ??= clear();
    await cleared;
  }
}

const ERA_US = 8_000_000;
/** Cuts, at least two a second of load, in which a change of validators must have come. */
const LOOKS_MAX = 2_000;

/** The fifth node bonds and validates two eras later; the first unbonds and leaves; proofs follow. */
function validators(): Promise<Outcome> {
  const signers = loadSigners(6);
  const joiner = createSigner(sha256(utf8('validator 1 4')));
  const run = async (cluster: Cluster): Promise<Outcome> => {
    const members = async () => {
      const { height, consensus } = await cluster.client(1).status();
      if (options.log) note(`height ${height}, ${JSON.stringify(consensus)}`);
      return consensus?.validators ?? [];
    };
    const until = async (what: string, holds: () => Promise<boolean>) => {
      for (let looks = 0; !(await holds()); looks++) {
        if (looks > LOOKS_MAX) throw new Error(`${what}: not in time`);
        await load.progress(PROGRESS_LIMIT_MS);
      }
    };
    const load = startLoad(cluster, 4, signers);
    const bond = { publicKey: joiner.publicKey, amount: 10n ** 12n };
    // Through the node that does not validate yet.
    await order(cluster, joiner, 4, stakeCalls.bond(bond));
    await until('a fifth validator', async () => (await members()).length === 5);
    // More than two thirds of five agree on other parameters; node 1 is started again below.
    const wanted = { epsilonUs: 300, samplingPerMille: 500 };
    for (const node of range(4)) {
      const voter = createSigner((cluster.keys[node] as KeyPair).seed);
      const { publicKey } = voter;
      await order(cluster, voter, node, stakeCalls.voteParameters({ publicKey, ...wanted }));
    }
    const areInForce = async (node: number): Promise<boolean> => {
      const { consensus } = await cluster.client(node).status();
      return isDeepStrictEqual(consensus?.parameters, wanted);
    };
    for (const node of range(5)) await until('parameters', () => areInForce(node));
    const leaver = createSigner((cluster.keys[0] as KeyPair).seed);
    const all = { publicKey: leaver.publicKey, amount: 10n ** 12n };
    await order(cluster, leaver, 1, stakeCalls.unbond(all));
    await until('four again', async () => (await members()).length === 4);
    // Three of the four that are left carry on, the new one among them.
    await cluster.kill(0);
    await cluster.kill(1);
    for (let i = 0; i < 5; i++) await load.progress(PROGRESS_LIMIT_MS);
    await load.stop();
    const height = await sameHead(cluster, [2, 3, 4], highestOf(load.final), PROGRESS_LIMIT_MS);
    const found = await divergences(cluster, [2, 3, 4], height);
    const payer = (signers[0] as Signer).account;
    const proof = await cluster.client(4).prove('token', tokenKeys.balance(payer));
    const proven = verifyStateProof(cluster.genesis, proof, verifySignature);
    const { certificate } = proof;
    const handovers = certificate.kind === 'eda' ? (certificate.handovers?.length ?? 0) : 0;
    await cluster.start(1);
    await sameHead(cluster, [1, 2, 3, 4], height, PROGRESS_LIMIT_MS);
    const kept = await areInForce(1);
    return {
      scenario: 'validators change',
      wrong: kept ? [] : ['the parameters were lost by a restart'],
      final: load.final.size,
      handovers,
      provenHeight: proven.height,
      divergences: found.length,
    };
  };
  return withCluster(5, run, {
    isLogged: options.log,
    validators: 4,
    eraUs: ERA_US,
    deltaUs: 50_000,
    allocations: [...signers, joiner].map(({ account }) => ({ account, amount: FUNDS })),
  });
}

const shared = { isLogged: options.log };
const scenarios: Readonly<Record<string, () => Promise<Outcome>>> = {
  failpoints,
  four: () => killed('four of ten killed', 4),
  five: () => killed('five of ten killed', 5),
  twins,
  validators,
  copying: () => copying(shared),
  copyingParameters: () => copyingParameters(shared),
  falseCopies: () => falseCopies(shared),
  emptied: () => emptied(shared),
  orphans: () => orphans(shared),
  skewed: () => skewed(shared),
  misbehaving: () => misbehaving(shared),
  ...(process.getuid?.() === 0 && { disk }),
};

function isWrong({ divergences: found, wrong = [] }: Outcome): boolean {
  return found > 0 || wrong.length > 0;
}

const outcomes: Outcome[] = [];
for (const [name, run] of Object.entries(scenarios)) {
  if (options.only !== undefined && options.only !== name) continue;
  note(`scenario ${name} …`);
  const startedMs = performance.now();
  // One that fails does not keep the others from being tried.
  const outcome = await run().catch((error: unknown): Outcome => ({
    scenario: name,
    divergences: 0,
    wrong: [String(error)],
  }));
  const seconds = Math.round((performance.now() - startedMs) / 1000);
  outcomes.push({ ...outcome, seconds });
  const { wrong = [] } = outcome;
  note(`scenario ${name}: ${isWrong(outcome) ? 'WRONG' : 'ok'}, ${seconds} s`);
  for (const what of wrong) note(`  ${what}`);
}
process.stdout.write(`${JSON.stringify(outcomes, null, 2)}\n`);
if (outcomes.length === 0 || outcomes.some(isWrong)) process.exitCode = 1;
