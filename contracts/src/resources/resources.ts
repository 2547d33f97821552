/**
 * Contract `resources`: offers of computing and storage, each backed by a deposit. An offer is the
 * owner's word about what it provides; markets read offers and decide what they believe.
 *
 * State: `offer/<owner, 32 bytes><id, 16 bytes>` → `offerRecord`, so an owner's offers stand together.
 */
import {
  type AccountId,
  type Bytes,
  type CodecValue,
  byteString,
  cid,
  hash32,
  hexBytes,
  oneOf,
  optional,
  record,
  u64,
  uint,
  utf8,
  variant,
} from '#libs/kernel';
import { type Context, type SystemContract, defineMethod } from '#libs/ledger';
import {
  callBuilders,
  defineEvent,
  defineSettings,
  done,
  emit,
  readValue,
  storageKey,
  writeValue,
} from '../contract-kit.ts';
import { demand } from '../errors.ts';
import { collectFrom, payTo } from '../token/token.ts';

export const RESOURCES_CONTRACT = 'resources';
export const DESCRIPTOR_MAX_BYTES = 8 * 1024;

export const RESOURCE_KINDS = ['compute', 'storage'] as const;
export const resourceKind = oneOf(...RESOURCE_KINDS);
export type ResourceKind = CodecValue<typeof resourceKind>;

/** What is offered, in a form that markets understand: on the chain, or by content identifier. */
export const descriptor = variant({
  inline: record({ bytes: byteString(DESCRIPTOR_MAX_BYTES) }),
  stored: record({ cid }),
});
export type Descriptor = CodecValue<typeof descriptor>;

/** Chosen by the owner; unique among its offers. */
export const offerId = hexBytes(16);

export const offerRecord = record({
  owner: hash32,
  id: offerId,
  kind: resourceKind,
  descriptor,
  deposit: u64,
  /** 1 after registering, one more with each update. */
  version: uint(),
  registeredAtUs: uint(),
  updatedAtUs: uint(),
  /** Set while the offer is being withdrawn: when the deposit can be taken. */
  leavesAtUs: optional(uint()),
});
export type OfferRecord = CodecValue<typeof offerRecord>;

export const resourcesKeys = {
  /** → `offerRecord` */
  offer: (owner: AccountId, id: string): Bytes => storageKey('offer/', owner, id),
  offersOf: (owner: AccountId): Bytes => storageKey('offer/', owner),
  offers: utf8('offer/'),
};

export const resourcesSettings = defineSettings(RESOURCES_CONTRACT, {
  /** Smallest deposits. */
  computeDeposit: 10_000_000_000n,
  storageDeposit: 10_000_000_000n,
  /** From asking for the deposit until it can be taken; long enough to settle what was promised. */
  noticeUs: 86_400_000_000n,
});

const offerEvent = record({ owner: hash32, id: offerId, kind: resourceKind, version: uint() });

export const resourcesEvents = {
  registered: defineEvent(RESOURCES_CONTRACT, 'registered', offerEvent),
  updated: defineEvent(RESOURCES_CONTRACT, 'updated', offerEvent),
  leaving: defineEvent(RESOURCES_CONTRACT, 'leaving', offerEvent),
  resumed: defineEvent(RESOURCES_CONTRACT, 'resumed', offerEvent),
  withdrawn: defineEvent(RESOURCES_CONTRACT, 'withdrawn', offerEvent),
};

type OfferEventName = keyof typeof resourcesEvents;

function emitOffer(context: Context, name: OfferEventName, offer: OfferRecord): void {
  const { owner, id, kind, version } = offer;
  emit(context, resourcesEvents[name], { owner, id, kind, version });
}

function readOffer(context: Context, id: string): OfferRecord | undefined {
  return readValue(context.storage, resourcesKeys.offer(context.caller, id), offerRecord);
}

function ownOffer(context: Context, id: string): OfferRecord {
  return (
    readOffer(context, id) ??
    context.revert('RESOURCES_UNKNOWN', `${context.caller} has no offer ${id}`)
  );
}

function writeOffer(context: Context, offer: OfferRecord): void {
  writeValue(context.storage, resourcesKeys.offer(offer.owner, offer.id), offerRecord, offer);
}

const methods = {
  /** Anyone: registers an offer and pays its deposit, at least the chain's minimum for its kind. */
  register: defineMethod({
    name: 'register',
    args: record({ id: offerId, kind: resourceKind, descriptor, deposit: u64 }),
    returns: done,
    run(context, { id, kind, descriptor: described, deposit }) {
      const owner = context.caller;
      demand(context, !readOffer(context, id), 'RESOURCES_EXISTS', `offer ${id} is registered`);
      const settings = resourcesSettings.read(context.storage);
      const least = kind === 'compute' ? settings.computeDeposit : settings.storageDeposit;
      demand(
        context,
        deposit >= least,
        'RESOURCES_DEPOSIT_TOO_LOW',
        `${deposit} given, at least ${least} wanted`,
      );
      if (deposit > 0n) collectFrom(context, owner, deposit);
      const nowUs = context.block.timeUs;
      const offer: OfferRecord = {
        owner,
        id,
        kind,
        descriptor: described,
        deposit,
        version: 1,
        registeredAtUs: nowUs,
        updatedAtUs: nowUs,
      };
      writeOffer(context, offer);
      emitOffer(context, 'registered', offer);
      return {};
    },
  }),
  /** The owner: replaces the descriptor. */
  update: defineMethod({
    name: 'update',
    args: record({ id: offerId, descriptor }),
    returns: record({ version: uint() }),
    run(context, { id, descriptor: described }) {
      const before = ownOffer(context, id);
      demand(
        context,
        before.leavesAtUs === undefined,
        'RESOURCES_LEAVING',
        `offer ${id} leaves at ${before.leavesAtUs} µs`,
      );
      const version = before.version + 1;
      const updatedAtUs = context.block.timeUs;
      const offer: OfferRecord = { ...before, descriptor: described, version, updatedAtUs };
      writeOffer(context, offer);
      emitOffer(context, 'updated', offer);
      return { version };
    },
  }),
  /** The owner: takes the offer off the market; the notice period begins. */
  requestWithdrawal: defineMethod({
    name: 'requestWithdrawal',
    args: record({ id: offerId }),
    returns: record({ leavesAtUs: uint() }),
    run(context, { id }) {
      const before = ownOffer(context, id);
      demand(
        context,
        before.leavesAtUs === undefined,
        'RESOURCES_LEAVING',
        `offer ${id} leaves at ${before.leavesAtUs} µs`,
      );
      const { noticeUs } = resourcesSettings.read(context.storage);
      const leavesAtUs = context.block.timeUs + Number(noticeUs);
      writeOffer(context, { ...before, leavesAtUs });
      emitOffer(context, 'leaving', before);
      return { leavesAtUs };
    },
  }),
  /** The owner: puts a leaving offer back on the market. */
  resume: defineMethod({
    name: 'resume',
    args: record({ id: offerId }),
    returns: done,
    run(context, { id }) {
      const { leavesAtUs, ...before } = ownOffer(context, id);
      demand(
        context,
        leavesAtUs !== undefined,
        'RESOURCES_NOT_LEAVING',
        `offer ${id} is on the market`,
      );
      writeOffer(context, before);
      emitOffer(context, 'resumed', before);
      return {};
    },
  }),
  /** The owner, after the notice period: removes the offer and takes the deposit back. */
  withdraw: defineMethod({
    name: 'withdraw',
    args: record({ id: offerId }),
    returns: record({ deposit: u64 }),
    run(context, { id }) {
      const offer = ownOffer(context, id);
      const { leavesAtUs, owner, deposit } = offer;
      if (leavesAtUs === undefined)
        return context.revert('RESOURCES_NOT_LEAVING', `offer ${id} is on the market`);
      demand(
        context,
        context.block.timeUs >= leavesAtUs,
        'RESOURCES_NOTICE_RUNNING',
        `leaves at ${leavesAtUs} µs, now ${context.block.timeUs} µs`,
      );
      context.storage.delete(resourcesKeys.offer(owner, id));
      payTo(context, owner, deposit);
      emitOffer(context, 'withdrawn', offer);
      return { deposit };
    },
  }),
};

export const resourcesMethods = methods;
export const resourcesCalls = callBuilders(RESOURCES_CONTRACT, methods);
export const resourcesContract: SystemContract = {
  name: RESOURCES_CONTRACT,
  methods,
  genesis: (context, parameters) => resourcesSettings.write(context, parameters),
};
