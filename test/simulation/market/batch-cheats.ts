/** What providers do with batches beside delivering them: relay them, show two faces, spoil them. */
import {
  BATCH_DELIVERY_DOMAIN,
  type BatchDelivery,
  type SignedBatchDelivery,
  batchDeliveryBytes,
} from '#contracts';
import type { Signer } from '#libs/crypto';
import type { AgentMessage } from '#libs/market';
import { cidOf } from './result-store.ts';
import type { World } from './world.ts';

type DeliverUnits = Extract<AgentMessage, { kind: 'deliverUnits' }>;

export interface BatchCheats {
  readonly world: World;
  readonly signer: Signer;
  readonly isCheat: boolean;
  /** Hands a signed delivery to the chain, past the market. */
  readonly relayUnits: (delivery: SignedBatchDelivery) => void;
}

/** The message as it goes to the market, and now and then something to the chain. */
export function batchSent(cheats: BatchCheats, original: DeliverUnits): DeliverUnits {
  const message = spoiled(cheats, original);
  if (message.isLast) relayed(cheats, message.delivery);
  return message;
}

function relayed(
  { world, signer, isCheat, relayUnits }: BatchCheats,
  signed: SignedBatchDelivery,
): void {
  if (world.fault('batch relayed to the chain', 0.15))
    world.after(world.between(1, 4000), 'relay', () => relayUnits(signed));
  if (!isCheat || !world.fault('two faces of a batch', 0.4)) return;
  const dearer = { ...signed.delivery, charge: signed.delivery.charge + 1n };
  const other = sign(signer, dearer);
  world.after(world.between(1, 200), 'relay', () => relayUnits(other));
}

function spoiled({ world, signer, isCheat }: BatchCheats, message: DeliverUnits): DeliverUnits {
  if (!isCheat || !world.fault('cheat with a batch', 0.4)) return message;
  const { delivery } = message.delivery;
  const changed = world.random.pick<Partial<BatchDelivery>>([
    { charge: delivery.charge * 2n + 1n },
    { fence: delivery.fence + 1 },
    { root: 'cd'.repeat(32) },
    { units: [...delivery.units, { from: 9_000, count: 1 }] },
    ...(delivery.results === undefined ? [] : [{ results: cidOf('nothing there') }]),
  ]);
  return { ...message, delivery: sign(signer, { ...delivery, ...changed }) };
}

function sign(signer: Signer, delivery: BatchDelivery): SignedBatchDelivery {
  const signature = signer.sign(BATCH_DELIVERY_DOMAIN, batchDeliveryBytes(delivery));
  return { delivery, publicKey: signer.publicKey, signature };
}
