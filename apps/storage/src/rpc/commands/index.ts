/** Every command that is answered, by its path under `/api/v0/`. */
import type { CommandEntry } from '../call.ts';
import { add } from './add.ts';
import { blockGet, blockPut, blockRm, blockStat } from './blocks.ts';
import { dagExport, dagGet, dagImport, dagPut, dagResolve } from './dag.ts';
import { cat, get, ls, refs, resolve } from './files.ts';
import {
  id,
  refsLocal,
  repoGc,
  repoStat,
  repoVersion,
  swarmConnect,
  swarmPeers,
  version,
} from './node.ts';
import { pinAdd, pinLs, pinRm } from './pins.ts';
import { seelePull } from './pull.ts';

export const commands: ReadonlyMap<string, CommandEntry> = new Map<string, CommandEntry>([
  ['add', { run: add, isStream: true, writes: true }],
  ['block/get', { run: blockGet }],
  ['block/put', { run: blockPut, writes: true }],
  ['block/rm', { run: blockRm }],
  ['block/stat', { run: blockStat }],
  ['cat', { run: cat, isStream: true }],
  ['dag/export', { run: dagExport, isStream: true }],
  ['dag/get', { run: dagGet }],
  ['dag/import', { run: dagImport, isStream: true, writes: true }],
  ['dag/put', { run: dagPut, writes: true }],
  ['dag/resolve', { run: dagResolve }],
  ['get', { run: get, isStream: true }],
  ['id', { run: id }],
  ['ls', { run: ls }],
  ['pin/add', { run: pinAdd, writes: true }],
  ['pin/ls', { run: pinLs }],
  ['pin/rm', { run: pinRm }],
  ['refs', { run: refs }],
  ['refs/local', { run: refsLocal }],
  ['repo/gc', { run: repoGc }],
  ['repo/stat', { run: repoStat }],
  ['repo/version', { run: repoVersion }],
  ['resolve', { run: resolve }],
  ['seele/pull', { run: seelePull, isStream: true, writes: true }],
  ['swarm/connect', { run: swarmConnect }],
  ['swarm/peers', { run: swarmPeers }],
  ['version', { run: version }],
]);
