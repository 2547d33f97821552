import fc from 'fast-check';
import { contractAccount, type Signer } from '#libs/crypto';
import { decodeWith } from '#libs/kernel';
import { createWorld, person } from '../testing/orders-world.ts';
import {
  DESCRIPTOR_MAX_BYTES,
  RESOURCES_CONTRACT,
  offerRecord,
  resourcesKeys,
  resourcesMethods,
} from './resources.ts';

const EACH = 500n;
const NOTICE_US = 100;
const LEAST = { compute: 50n, storage: 20n };
const settings = {
  'resources.computeDeposit': LEAST.compute,
  'resources.storageDeposit': LEAST.storage,
  'resources.noticeUs': BigInt(NOTICE_US),
};
const owners: readonly Signer[] = ['provider-1', 'provider-2', 'provider-3'].map(person);
const ids = ['01'.repeat(16), '02'.repeat(16)];
const inline = (n: number) => ({ kind: 'inline' as const, bytes: new Uint8Array([n]) });

const step = fc.record({
  kind: fc.constantFrom('register', 'update', 'leave', 'resume', 'withdraw', 'wait'),
  owner: fc.nat(owners.length - 1),
  id: fc.nat(1),
  what: fc.constantFrom('compute' as const, 'storage' as const),
  deposit: fc.bigInt({ min: 0n, max: 300n }),
  n: fc.nat(120),
});
type Step = typeof step extends fc.Arbitrary<infer T> ? T : never;

/** The rules again over plain objects: who holds which deposit, and since when it may leave. */
class ResourcesModel {
  readonly purses = owners.map(() => EACH);
  readonly offers = new Map<string, { deposit: bigint; version: number; leavesAtUs?: number }>();

  step({ kind, owner, id, what, deposit }: Step, nowUs: number): boolean {
    const key = `${owner}/${id}`;
    const offer = this.offers.get(key);
    const purse = this.purses[owner] as bigint;
    if (kind === 'register') {
      if (offer || deposit < LEAST[what] || deposit > purse) return false;
      this.purses[owner] = purse - deposit;
      this.offers.set(key, { deposit, version: 1 });
      return true;
    }
    if (!offer) return false;
    const leaving = offer.leavesAtUs !== undefined;
    if (kind === 'update' && !leaving) offer.version++;
    else if (kind === 'leave' && !leaving) offer.leavesAtUs = nowUs + NOTICE_US;
    else if (kind === 'resume' && leaving) delete offer.leavesAtUs;
    else if (kind === 'withdraw' && nowUs >= (offer.leavesAtUs ?? Infinity)) {
      this.purses[owner] = purse + offer.deposit;
      this.offers.delete(key);
    } else return false;
    return true;
  }
}

function callOf(world: ReturnType<typeof createWorld>, given: Step) {
  const by = (owners[given.owner] as Signer).account;
  const id = ids[given.id] as string;
  const { register, update, requestWithdrawal, resume, withdraw } = resourcesMethods;
  const descriptor = inline(given.n);
  switch (given.kind) {
    case 'register': {
      const args = { id, kind: given.what, descriptor, deposit: given.deposit };
      return world.call(by, RESOURCES_CONTRACT, register, args);
    }
    case 'update':
      return world.call(by, RESOURCES_CONTRACT, update, { id, descriptor });
    case 'leave':
      return world.call(by, RESOURCES_CONTRACT, requestWithdrawal, { id });
    case 'resume':
      return world.call(by, RESOURCES_CONTRACT, resume, { id });
    default:
      return world.call(by, RESOURCES_CONTRACT, withdraw, { id });
  }
}

describe('resources against its model', () => {
  it('keeps every deposit, and returns it to its owner alone, after the notice period', () => {
    const tally = new Map<string, number>();
    fc.assert(
      fc.property(fc.array(step, { minLength: 20, maxLength: 60 }), (steps) => {
        const world = createWorld({ people: owners, amountEach: EACH, settings });
        const model = new ResourcesModel();
        for (const given of steps) {
          if (given.kind === 'wait') {
            world.advance(given.n);
            continue;
          }
          const outcome = callOf(world, given);
          const key = outcome.ok ? given.kind : outcome.code;
          tally.set(key, (tally.get(key) ?? 0) + 1);
          expect(outcome.ok).toBe(model.step(given, world.timeUs));
          const held = [...model.offers.values()].reduce((sum, offer) => sum + offer.deposit, 0n);
          expect(world.balanceOf(contractAccount(RESOURCES_CONTRACT))).toBe(held);
          const purse = world.balanceOf((owners[given.owner] as Signer).account);
          expect(purse).toBe(model.purses[given.owner]);
        }
        for (const [key, { version, leavesAtUs }] of model.offers) {
          const [owner, id] = key.split('/').map(Number) as [number, number];
          const { account } = owners[owner] as Signer;
          const stored = world.get(
            RESOURCES_CONTRACT,
            resourcesKeys.offer(account, ids[id] as string),
          );
          const offer = decodeWith(offerRecord, stored as Uint8Array);
          expect([offer.version, offer.leavesAtUs]).toEqual([version, leavesAtUs]);
        }
      }),
      { numRuns: 40, seed: 7 },
    );
    const wanted = [
      ...['register', 'update', 'leave', 'resume', 'withdraw', 'RESOURCES_EXISTS'],
      ...['RESOURCES_UNKNOWN', 'RESOURCES_DEPOSIT_TOO_LOW', 'RESOURCES_LEAVING'],
      ...['RESOURCES_NOT_LEAVING', 'RESOURCES_NOTICE_RUNNING', 'TOKEN_BALANCE_TOO_LOW'],
    ];
    expect(wanted.filter((what) => !tally.has(what))).toEqual([]);
  });
});

describe('resources', () => {
  it('lists an owner’s offers together', () => {
    const world = createWorld({ people: owners, amountEach: EACH, settings });
    const [owner] = owners as [Signer];
    for (const id of ids) {
      const args = { id, kind: 'storage' as const, descriptor: inline(1), deposit: 20n };
      world.must(owner, RESOURCES_CONTRACT, resourcesMethods.register, args);
    }
    const stored = world.scan(RESOURCES_CONTRACT, resourcesKeys.offersOf(owner.account));
    expect(stored.map(([, value]) => decodeWith(offerRecord, value).id)).toEqual(ids);
  });

  it('refuses a descriptor over its limit before the contract runs', () => {
    const world = createWorld({ people: owners, amountEach: EACH, settings });
    const bytes = new Uint8Array(DESCRIPTOR_MAX_BYTES + 1);
    const args = {
      id: ids[0] as string,
      kind: 'compute' as const,
      descriptor: { kind: 'inline' as const, bytes },
      deposit: 50n,
    };
    const register = () =>
      world.call(
        (owners[0] as Signer).account,
        RESOURCES_CONTRACT,
        resourcesMethods.register,
        args,
      );
    expect(register).toThrow(/at most 8192 bytes/);
  });
});
