/** Sends each effect where it is done. Nothing here waits: outcomes come back as events. */
import type { MarketEffect, Reply } from '#libs/market';
import { type Logger, declareFailpoints, failpoint } from '#libs/platform';
import type { AgentGateway } from './agents/agent-gateway.ts';
import type { ChainLink } from './chain/chain-link.ts';
import type { JobChecker } from './checks/job-checker.ts';
import type { JobEventHub } from './jobs/job-event-hub.ts';
import type { ResultChecker } from './jobs/result-checker.ts';
import type { QueuePort } from './queue/queue-port.ts';

declareFailpoints(
  'market.enqueue.before',
  'market.enqueue.after',
  'market.bind.before',
  'market.bind.after',
  'market.lease-units.before',
  'market.lease-units.after',
);

export interface EffectPorts {
  readonly queue: QueuePort;
  readonly gateway: Pick<AgentGateway, 'send' | 'close'>;
  readonly chain: Pick<ChainLink, 'submit' | 'readNonce' | 'readBalance' | 'readBond' | 'follow'>;
  readonly checks: JobChecker;
  readonly results: ResultChecker;
  readonly hub: Pick<JobEventHub, 'publish'>;
  /** Reads a batch's leaves and hands them to the reducer. */
  readLeaves(order: string, fence: number): void;
  /** Hands a due binding to the reducer; resolves when that is durable. */
  bindingDue(order: string, binding: number): Promise<Reply>;
  readonly logger: Logger;
}

type Enqueue = Extract<MarketEffect, { kind: 'enqueueBinding' }>;

export interface EffectPerformer {
  perform(effect: MarketEffect): void;
  /** Starts consuming a cell's queue, so that its first order does not wait for that. */
  openCell(queue: string): void;
}

export function createEffectPerformer(ports: EffectPorts): EffectPerformer {
  const { queue, gateway, chain, checks, results, hub, logger } = ports;
  const consumed = new Set<string>();

  const openCell = (name: string): void => {
    if (consumed.has(name)) return;
    consumed.add(name);
    const consuming = queue.consume(name, async ({ payload }) => {
      failpoint('market.bind.before');
      await ports.bindingDue(String(payload['order']), Number(payload['binding']));
      failpoint('market.bind.after');
    });
    consuming.catch((error: unknown) => {
      consumed.delete(name);
      logger.error({ err: error, queue: name }, 'queue cannot be consumed');
    });
  };

  const enqueue = async ({ queue: name, key, order, binding }: Enqueue): Promise<void> => {
    openCell(name);
    failpoint('market.enqueue.before');
    await queue.add(name, { key, payload: { order, binding } });
    failpoint('market.enqueue.after');
  };

  const send = ({ session, message }: Extract<MarketEffect, { kind: 'sendAgent' }>): void => {
    if (message.kind !== 'leaseUnits') return gateway.send(session, message);
    failpoint('market.lease-units.before');
    gateway.send(session, message);
    failpoint('market.lease-units.after');
  };

  const perform = (effect: MarketEffect): void => {
    switch (effect.kind) {
      case 'enqueueBinding':
        // Lost messages are sent again by the reducer after its own time-out.
        enqueue(effect).catch((error: unknown) =>
          logger.warn({ err: error, order: effect.order }, 'binding not queued'),
        );
        return;
      case 'sendAgent':
        return send(effect);
      case 'closeAgent':
        return gateway.close(effect.session, effect.code, effect.reason);
      case 'submitTransaction':
        return chain.submit(effect);
      case 'readNonce':
        return void chain.readNonce();
      case 'followChain':
        return chain.follow(effect.fromHeight);
      case 'checkResult':
        return results.check(effect.order, effect.fence, effect.cid, effect.maxBytes);
      case 'checkUnits':
        return results.checkUnits(effect.lease, effect.root, effect.cid, effect.maxBytes);
      case 'storeResult':
        return results.store(effect.order, effect.bytes);
      case 'makeInput': {
        const { order, name, kind: _, ...wanted } = effect;
        return results.makeInput(order, name, wanted);
      }
      case 'readLeaves':
        return ports.readLeaves(effect.order, effect.fence);
      case 'readBond':
        return void chain.readBond(effect.account);
      case 'replayJob':
        return checks.replay(effect);
      case 'validate':
        return checks.validate(effect);
      case 'validateUnits':
        return checks.validateUnits(effect);
      case 'readBalance':
        return void chain.readBalance(effect.account);
      case 'findManifest':
        return results.findManifest(effect.order, effect.cid);
      case 'jobEvent':
        return hub.publish(effect.event);
      case 'save':
      case 'remove':
      case 'reply':
        return;
    }
  };
  return { perform, openCell };
}
