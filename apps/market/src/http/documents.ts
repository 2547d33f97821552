/** From the market's values to the documents of the API, and back. */
import { CID } from 'multiformats/cid';
import type { SignedOrder } from '#contracts';
import {
  type AccountId,
  type CborValue,
  bytesToHex,
  decodeCbor,
  formatAccount,
  hexToBytes,
  parseAccount,
  parseUnits,
} from '#libs/kernel';
import {
  type ArrayProgress,
  type BindingQuote,
  type JobEvent,
  type Manifest,
  type Metering,
  type OrderView,
  type PlacementTerms,
  type ProviderView,
  pendingUnits,
} from '#libs/market';
import { platformError } from '#libs/platform';
import type { OrderReasons } from './market-api.ts';
import type { JobEventDocument, ManifestDocument, OrderDocument, OrderRequest } from './schemas.ts';

const US_PER_MS = 1000;

export const timeToText = (timeUs: number): string =>
  new Date(Math.floor(timeUs / US_PER_MS)).toISOString();

/** Reads `seele1…` or 64 hex digits. @throws KERNEL_ID_INVALID */
export const accountFromText = (text: string): AccountId =>
  text.startsWith('seele1') ? parseAccount(text) : text;

export function orderToDocument(view: OrderView): OrderDocument {
  const { chain } = view;
  return {
    id: view.id,
    name: view.name,
    consumer: formatAccount(view.consumer),
    kind: view.kind,
    tier: view.tier,
    status: view.status,
    ...(view.reason && { reason: view.reason }),
    priceCap: view.priceCap.toString(),
    acceptedAt: timeToText(view.acceptedAtUs),
    completeBy: timeToText(view.completeByUs),
    ...(view.endedAtUs !== undefined && { endedAt: timeToText(view.endedAtUs) }),
    attempts: view.attempts,
    ...(view.provider !== undefined && { provider: formatAccount(view.provider) }),
    ...(view.price !== undefined && { price: view.price.toString() }),
    ...(view.exit !== undefined && { exit: view.exit }),
    ...(view.result !== undefined && { result: view.result }),
    ...(view.usage && { usage: view.usage }),
    ...(view.metered && {
      metered: { ...view.metered, fuel: view.metered.fuel.toString() },
    }),
    ...(view.charge !== undefined && { charge: view.charge.toString() }),
    log: view.log,
    ...(view.logLost === true && { logLost: true }),
    ...(view.inputs && { inputs: view.inputs.map((input) => ({ ...input })) }),
    ...(view.array && { array: arrayToDocument(view.array) }),
    chain: {
      state: chain.state,
      height: chain.height,
      paid: chain.paid.toString(),
      refunded: chain.refunded.toString(),
    },
  };
}

function arrayToDocument(array: ArrayProgress) {
  const { tasks, replicas, unitPrice, done, failed, open, given } = array;
  return {
    ...{ tasks, replicas, done, failed, unitPrice: unitPrice.toString() },
    ...{ pending: pendingUnits(array), openBatches: open.length },
    givenUp: given.map((range) => ({ ...range })),
  };
}

export function whyToDocument({ view, waiting, decisions }: OrderReasons) {
  return {
    id: view.id,
    status: view.status,
    ...(view.reason && { reason: view.reason }),
    ...(waiting && {
      waiting: {
        ...waiting,
        filters: waiting.filters.map((filter) => ({ ...filter })),
        cells: waiting.cells.map(({ left, ...cell }) => ({ ...cell, left: { ...left } })),
        relaxations: waiting.relaxations.map(({ changes, price, cell, provider }) => ({
          changes: changes.map((change) => ({ ...change })),
          ...{ price: price.toString(), cell, provider: formatAccount(provider) },
        })),
      },
    }),
    decisions: decisions.map(({ kind, timeUs, text, data }) => ({
      ...{ time: timeToText(timeUs), kind, text, inputs: eventData(data) },
    })),
  };
}

export function providerToDocument(view: ProviderView) {
  const { provider, pricePerCoreSecond, pricePerGibSecond, probe, kinds, ...offer } = view.offer;
  return {
    provider: formatAccount(provider),
    name: offer.name,
    cell: view.cell,
    online: view.online,
    draining: view.draining,
    freeSlots: view.freeSlots,
    leases: view.leases,
    completed: view.completed,
    faults: view.faults,
    lastSeen: timeToText(view.lastSeenUs),
    offer: {
      ...offer,
      kinds: (kinds ?? ['js']).join(' '),
      ...(probe !== undefined && probe.flags !== '' && { isolationFlags: probe.flags }),
      ...(probe?.failing && { failingLayer: probe.failing.layer }),
      pricePerCoreSecond: pricePerCoreSecond.toString(),
      pricePerGibSecond: pricePerGibSecond.toString(),
    },
  };
}

export function quoteToDocument(quote: BindingQuote) {
  return {
    id: quote.id,
    validUntil: timeToText(quote.validUntilUs),
    signed: bytesToHex(quote.signed),
    considered: quote.considered,
    reasons: quote.reasons.map((reason) => ({ ...reason })),
    options: quote.options.map((option) => ({
      ...option,
      provider: formatAccount(option.provider),
      priceCap: option.priceCap.toString(),
      ...(option.unitPrice !== undefined && { unitPrice: option.unitPrice.toString() }),
      expectedPrice: option.expectedPrice.toString(),
    })),
  };
}

/** @throws HTTP_BAD_REQUEST when it names something that is not a CID */
export function manifestFromDocument(document: ManifestDocument): Manifest {
  for (const text of [document.code, ...document.inputs.map((input) => input.cid)]) checkCid(text);
  const { diskBytes, ...resources } = document.resources;
  const { metering, placement, array, validator, from, ...rest } = document;
  if (array?.taskInput?.list !== undefined) checkCid(array.taskInput.list);
  if (validator) checkCid(validator.code);
  return {
    ...rest,
    ...(from && { from: from.map(withoutGaps) }),
    ...(array && { array: arrayFromDocument(array) }),
    ...(placement && { placement: placementFromDocument(placement) }),
    ...(metering && { metering: meteringFromDocument(metering) }),
    ...(validator && { validator: validatorFromDocument(validator) }),
    resources: { ...resources, ...(diskBytes !== undefined && { diskBytes }) },
  };
}

type Given<T> = { [K in keyof T]: Exclude<T[K], undefined> };

/** Nothing said is left out: the manifest's CID is over what is there. */
const withoutGaps = <T extends object>(value: T): Given<T> =>
  Object.fromEntries(Object.entries(value).filter(([, part]) => part !== undefined)) as Given<T>;

const placementFromDocument = (terms: NonNullable<ManifestDocument['placement']>): PlacementTerms =>
  withoutGaps(terms);

function arrayFromDocument({
  taskInput,
  check,
  ...rest
}: NonNullable<ManifestDocument['array']>): NonNullable<Manifest['array']> {
  return {
    ...rest,
    ...(check && { check }),
    ...(taskInput && { taskInput: withoutGaps(taskInput) }),
  };
}

const validatorFromDocument = ({
  fuel,
  ...rest
}: NonNullable<ManifestDocument['validator']>): NonNullable<Manifest['validator']> => ({
  ...rest,
  ...(fuel !== undefined && { fuel: parseUnits(fuel) }),
});

function meteringFromDocument({
  fuel,
  checkpointFuel,
  epochMs,
}: NonNullable<ManifestDocument['metering']>): Metering {
  return {
    fuel: parseUnits(fuel),
    ...(checkpointFuel !== undefined && { checkpointFuel: parseUnits(checkpointFuel) }),
    ...(epochMs !== undefined && { epochMs }),
  };
}

function checkCid(text: string): void {
  try {
    CID.parse(text);
  } catch {
    throw platformError('HTTP_BAD_REQUEST', `${JSON.stringify(text)} is not a CID`);
  }
}

/** @throws KERNEL_ID_INVALID, KERNEL_AMOUNT_INVALID, HTTP_BAD_REQUEST */
export function signedOrderFromDocument(document: OrderRequest['order']): SignedOrder {
  const { order, publicKey, signature } = document;
  checkCid(order.manifest);
  const { array, ...rest } = order;
  return {
    order: {
      ...rest,
      ...(array && { array: { ...array, unitPrice: parseUnits(array.unitPrice) } }),
      consumer: accountFromText(order.consumer),
      market: accountFromText(order.market),
      priceCap: parseUnits(order.priceCap),
    },
    publicKey,
    signature: hexToBytes(signature) ?? new Uint8Array(),
  };
}

/** CBOR as JSON: bytes in hex, large numbers and CIDs as text. */
function cborToJson(value: CborValue): unknown {
  if (typeof value === 'bigint') return value.toString();
  if (value instanceof Uint8Array) return bytesToHex(value);
  if (value instanceof CID) return value.toString();
  if (Array.isArray(value)) return value.map((item: CborValue) => cborToJson(item));
  if (typeof value === 'object' && value !== null)
    return Object.fromEntries(Object.entries(value).map(([k, v]) => [k, cborToJson(v)]));
  return value;
}

/** A malformed `data` (only a provider could have signed one) shows as empty. */
function eventData(data: JobEvent['data']): Record<string, unknown> {
  try {
    const value = cborToJson(decodeCbor(data));
    return typeof value === 'object' && value !== null && !Array.isArray(value)
      ? (value as Record<string, unknown>)
      : {};
  } catch {
    return {};
  }
}

export function jobEventToDocument(event: Omit<JobEvent, 'order'>): JobEventDocument {
  return {
    ...(event.seq !== undefined && { seq: event.seq }),
    kind: event.kind,
    time: timeToText(event.timeUs),
    data: eventData(event.data),
  };
}
