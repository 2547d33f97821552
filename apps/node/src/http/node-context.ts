import type { OrderingPort } from '#libs/ledger';
import type { BlockStreams } from '../block-stream.ts';
import type { ValidatorProducer } from '../eda/validator.ts';
import type { NodeService } from '../node-service.ts';

/** What the routes work on. */
export interface NodeContext {
  readonly node: NodeService;
  readonly streams: BlockStreams;
  readonly ordering: Pick<OrderingPort, 'kind' | 'notice'>;
  /** What consensus says of itself; absent with solo ordering. */
  readonly consensus:
    | Pick<ValidatorProducer, 'status' | 'strengthOf' | 'finalityProof' | 'tentative'>
    | undefined;
}
