import { mkdtempSync, readFileSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { decodeGenesis, genesisValidators } from '#libs/ledger';
import { createCommandContext } from '../../../../test/support/command-context.ts';
import { nodeGenesis, nodeInit } from './node.ts';

const root = mkdtempSync(join(tmpdir(), 'seele-node-'));
afterAll(() => rmSync(root, { recursive: true, force: true }));

const contextOf = (name: string) => createCommandContext(join(root, name));

async function init(name: string): Promise<string> {
  const { context, answer, said } = contextOf(name);
  await nodeInit(context, { key: 'validator' });
  const [line = ''] = said;
  expect(answer()['validator']).toBe(line);
  return line;
}

const genesisOf = async (validators: readonly string[], more: object = {}) => {
  const out = join(root, `${Math.random()}.cbor`);
  const { context, said, answer } = contextOf('genesis');
  const options = { name: 'plant', profile: 'seele-40', deltaMs: '50', out, ...more };
  await nodeGenesis(context, { ...options, validators: validators.join(',') });
  return { genesis: decodeGenesis(readFileSync(out)), said: said.join('\n'), answer: answer() };
};

test('a genesis names the keys that node init prints, with weights; five of seele-40 tolerate no liar, and it warns', async () => {
  const lines: string[] = [];
  for (const name of ['a', 'b', 'c', 'd', 'e']) lines.push(await init(name));
  const five = await genesisOf(lines);
  expect(five.said).toMatch(/warning: .*no lying/);
  expect(five.answer['warning']).toBeDefined();
  expect(five.answer['tolerance']).toMatchObject({ total: 5, failed: 2, lying: 0, quorum: 3 });

  const bare = lines.map((line) => line.split(':')[0] as string);
  const mixed = [`${lines[0]}=2`, lines[1] as string, bare[2] as string, `${bare[3]}=3`];
  const { genesis, said } = await genesisOf(mixed);
  expect(said).toContain('of weight 7');
  const four = await genesisOf(lines.slice(0, 4));
  expect([four.answer['warning'], four.said.includes('warning')]).toEqual([undefined, false]);
  if (genesis.ordering.kind !== 'eda') throw new Error('not EDA');
  const { validators } = genesisValidators(genesis.ordering);
  expect(validators.map(({ weight }) => weight)).toEqual([2, 1, 1, 3]);
  expect(validators.map(({ bls }) => bls !== undefined)).toEqual([true, true, false, false]);
  expect((await genesisOf(lines.slice(0, 4), { profile: 'crash-only' })).said).toContain('warning');
});

test('lines that name no validator, or with the proof of another one, make no genesis', async () => {
  const [a, b] = [await init('f'), await init('g')];
  const [key, bls] = a.split(':');
  const stolen = `${key}:${bls}:${b.split(':')[2]}`;
  for (const wrong of ['', 'zz', `${key}:${bls}`, `${a}0`, key?.replace('01', '02') ?? ''])
    await expect(genesisOf([wrong])).rejects.toMatchObject({ code: 'CLI_USAGE' });
  await expect(genesisOf([stolen])).rejects.toMatchObject({ code: 'LEDGER_GENESIS_INVALID' });
  await expect(genesisOf([`${a}=0`])).rejects.toMatchObject({ code: 'CLI_USAGE' });
});
