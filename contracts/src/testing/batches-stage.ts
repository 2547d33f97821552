/**
 * The stage on which generated histories of batches play: five people, some orders, chain and model beside
 * each other, and what step a choice means there.
 */
import { type Order, orderId } from '../orders/documents.ts';
import type { OrdersRules } from '../orders/rules.ts';
import { unitSetOf } from '../orders/units.ts';
import {
  type BatchStep,
  BatchesModel,
  type LiveArray,
  type ModelArray,
  type ModelBatch,
  type Ranges,
} from './batches-model.ts';
import { TIMES, type Tally } from './orders-stage.ts';
import { MANIFEST, type World, createWorld, person } from './orders-world.ts';

export const PEOPLE = ['consumer', 'market', 'provider-1', 'provider-2', 'x'] as const;
type Name = (typeof PEOPLE)[number];
const EACH = 4_000n;
export const PREPAID = 220n;
export const signerOf = (name: string) => person(name as Name);

export interface ArrayTemplate {
  readonly tasks: number;
  readonly replicas: number;
  readonly unitPrice: bigint;
  readonly cap: bigint;
  readonly completeInUs: number;
}

export const FLAWS = [
  ...[
    'none',
    'none',
    'none',
    'none',
    'none',
    'none',
    'none',
    'by',
    'fence',
    'fence',
    'units',
    'shape',
  ],
  ...['amount', 'amount', 'provider', 'signer', 'signer', 'chain', 'withheld', 'withheld'],
] as const;
export const BATCH_KINDS = [
  ...['next', 'next', 'next', 'next', 'next', 'next', 'next', 'next', 'next', 'next', 'advance'],
  ...['advance', 'place', 'bindUnits', 'bindUnits', 'deliverUnits', 'settleUnits', 'settleUnits'],
  ...['releaseUnits', 'cancel', 'refund', 'bind'],
] as const;

export interface BatchChoice {
  readonly kind: (typeof BATCH_KINDS)[number];
  /** What is wrong with the step; mostly nothing, else one thing at a time. */
  readonly flaw: (typeof FLAWS)[number];
  readonly who: number;
  readonly pick: number;
  readonly order: number;
  readonly amount: bigint;
  readonly from: number;
  readonly count: number;
  readonly us: number;
}

export interface BatchHistory {
  readonly templates: readonly ArrayTemplate[];
  readonly choices: readonly BatchChoice[];
  readonly endedBy: 'entitled' | 'anyone';
}

export interface Run {
  readonly world: World;
  readonly model: BatchesModel;
  readonly orders: readonly ModelArray[];
  readonly documents: ReadonlyMap<string, Order>;
  readonly tally: Tally;
}

export function start({ templates }: BatchHistory, rules: OrdersRules, tally: Tally): Run {
  const world = createWorld({
    people: PEOPLE.map(signerOf),
    amountEach: EACH,
    rules,
    orders: TIMES,
  });
  const documents = new Map<string, Order>();
  const orders = templates.map((given, index): ModelArray => {
    const { tasks, replicas, unitPrice, cap, completeInUs } = given;
    const completeByUs = world.startUs + completeInUs;
    const document: Order = {
      ...{ chain: world.chain, salt: index.toString(16).padStart(32, '0'), manifest: MANIFEST },
      ...{ consumer: signerOf('consumer').account, market: signerOf('market').account },
      ...{ priceCap: cap, placeByUs: completeByUs, completeByUs },
      array: { tasks, replicas, unitPrice },
    };
    const id = orderId(document);
    documents.set(id, document);
    const parties = { consumer: 'consumer', market: 'market' };
    return { id, ...parties, cap, tasks, replicas, unitPrice, completeByUs };
  });
  return { world, model: new BatchesModel(TIMES, PEOPLE, EACH), orders, documents, tally };
}

// ---- what a choice means ------------------------------------------------------------------------

export const at = <T>(list: readonly T[], index: number): T | undefined =>
  list[index % (list.length || 1)];

/** What comes next for an order: mostly the right thing, and often what must not happen now. */
function nextKind(live: LiveArray | undefined, taste: number): BatchStep['kind'] {
  if (!live) return 'place';
  if (live.stage !== 'placed')
    return at(['bindUnits', 'cancel', 'refund', 'place', 'settleUnits'], taste) as 'place';
  const early = ['bindUnits', 'bindUnits', 'bindUnits', 'deliverUnits', 'cancel'] as const;
  const busy = ['bindUnits', 'deliverUnits', 'deliverUnits', 'settleUnits', 'settleUnits'] as const;
  const late = [...busy, ...busy, 'releaseUnits', 'cancel'] as const;
  return at<BatchStep['kind']>(live.open.size > 0 ? late : early, taste) as BatchStep['kind'];
}

/** Units that are nobody's, from a place on. */
export function freeUnits(
  order: ModelArray,
  live: LiveArray | undefined,
  from: number,
  most: number,
) {
  const taken = new Set([...(live?.open.values() ?? [])].flatMap(({ units }) => units));
  const total = order.tasks * order.replicas;
  const free = Array.from({ length: total }, (_, i) => (from + i) % (total || 1)).filter(
    (unit) => !taken.has(unit) && live?.paidUnits.has(unit) !== true,
  );
  return unitSetOf(free.slice(0, most));
}

/** Some of these, or whatever the flaw makes of it. */
function unitsFor(
  { flaw, from, count }: BatchChoice,
  { tasks, replicas }: ModelArray,
  right: Ranges,
): Ranges {
  const total = tasks * replicas;
  const raw = { from: from % (total + 2), count: 1 + (count % 12) };
  if (flaw === 'units') return [raw];
  if (flaw !== 'shape') return right;
  const shapes: readonly Ranges[] = [
    [],
    [raw, raw],
    [raw, { from: raw.from + raw.count, count: 1 }],
    [{ from: raw.from, count: 0 }],
    [
      { from: 0, count: 150 },
      { from: 151, count: 60 },
    ],
  ];
  return at(shapes, from) as Ranges;
}

const some = (units: readonly number[], count: number): Ranges =>
  unitSetOf(units.slice(0, 1 + (count % (units.length || 1))));

/** The batch a step is about: one in the fitting state if there is any. */
function batchFor(live: LiveArray | undefined, choice: BatchChoice, isDelivered: boolean) {
  const open = [...(live?.open.values() ?? [])];
  const fitting = open.filter(({ delivered }) => (delivered !== undefined) === isDelivered);
  return at(fitting, choice.pick) ?? at(open, choice.pick);
}

export function stepOf({ model, orders }: Run, choice: BatchChoice): BatchStep | undefined {
  const { flaw, pick, us } = choice;
  const order = at(orders, choice.order) as ModelArray;
  const live = model.live.get(order.id);
  const kind = choice.kind === 'next' ? nextKind(live, pick) : choice.kind;
  const anyone = at(PEOPLE, choice.who) as string;
  const by = flaw === 'by' ? anyone : 'market';
  const fenceOf = (batch: ModelBatch | undefined): number =>
    flaw === 'fence' ? pick % 6 : (batch?.fence ?? 1);
  switch (kind) {
    case 'advance':
      return undefined;
    case 'place':
      return { kind, by, order };
    case 'bind':
      return { kind, by, order, provider: 'provider-1', fence: 1 + pick };
    case 'cancel':
      return { kind, by: flaw !== 'by' && us % 2 === 0 ? 'consumer' : by, order };
    case 'refund':
      return { kind, by: anyone, order };
    case 'bindUnits': {
      const units = unitsFor(choice, order, freeUnits(order, live, choice.from, choice.count));
      const fence = flaw === 'fence' ? pick % 3 : (live?.highestFence ?? 0) + 1;
      const lower = order.unitPrice > 0n ? BigInt(us % 2) : 0n;
      const price = flaw === 'amount' ? order.unitPrice + 1n : order.unitPrice - lower;
      return { kind, by, order, provider: `provider-${1 + (us % 2)}`, price, fence, units };
    }
    case 'deliverUnits':
      return deliverStep(choice, order, batchFor(live, choice, false), anyone);
    case 'settleUnits':
      return settleStep(choice, order, batchFor(live, choice, true), anyone);
    case 'releaseUnits':
      return { kind, by, order, fence: fenceOf(batchFor(live, choice, false)) };
  }
}

function deliverStep(
  choice: BatchChoice,
  order: ModelArray,
  batch: ModelBatch | undefined,
  anyone: string,
): BatchStep {
  const { flaw, amount } = choice;
  const provider = flaw === 'provider' ? 'x' : (batch?.provider ?? 'provider-1');
  const units = unitsFor(choice, order, some(batch?.units ?? [0], choice.count));
  const most = (batch?.price ?? 0n) * BigInt(units.reduce((sum, { count }) => sum + count, 0));
  return {
    ...{ kind: 'deliverUnits', by: anyone, order, provider, units },
    fence: flaw === 'fence' ? choice.pick % 6 : (batch?.fence ?? 1),
    signedBy: flaw === 'signer' ? 'x' : provider,
    ownChain: flaw !== 'chain',
    charge: flaw === 'amount' ? most + 1n + (amount % 20n) : amount % (most + 1n),
  };
}

function settleStep(
  choice: BatchChoice,
  order: ModelArray,
  batch: ModelBatch | undefined,
  anyone: string,
): BatchStep {
  const { flaw, us, amount } = choice;
  const honest = us % 3 === 0 ? 'consumer' : 'market';
  const by = flaw === 'by' ? anyone : honest;
  const fence = flaw === 'fence' ? choice.pick % 6 : (batch?.fence ?? 1);
  const told = batch?.delivered ?? { units: [0], charge: 0n };
  if (us % 2 === 0 && flaw !== 'withheld') return { kind: 'settleUnits', by, order, fence };
  const right = some(told.units, choice.count);
  const others = (batch?.units ?? [0]).filter((unit) => !told.units.includes(unit));
  const foreign = unitSetOf(others.length > 0 ? others.slice(0, 1) : [choice.from]);
  const units = flaw === 'withheld' ? foreign : unitsFor(choice, order, right);
  const charge = flaw === 'amount' ? told.charge + 1n + (amount % 5n) : amount % (told.charge + 1n);
  return { kind: 'settleUnits', by, order, fence, withheld: { units, charge } };
}
