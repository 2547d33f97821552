/** Which contracts a chain is born with, and what their settings are unless its genesis says otherwise. */
import type { GenesisParameters, SystemContract } from '#libs/ledger';
import { auditContract } from './audit/anchors.ts';
import { metadataContract } from './metadata/metadata.ts';
import { dealsContract } from './deals/deals.ts';
import { dealsSettings } from './deals/state.ts';
import { disputesContract } from './disputes/disputes.ts';
import { disputesSettings } from './disputes/state.ts';
import { namesContract, namesSettings } from './names/names.ts';
import { ordersContract } from './orders/orders.ts';
import { ordersSettings } from './orders/state.ts';
import { reputationContract } from './reputation/reputation.ts';
import { resourcesContract, resourcesSettings } from './resources/resources.ts';
import { stakeContract, stakeSettings } from './stake/stake.ts';
import { tokenContract } from './token/token.ts';

export const systemContracts: readonly SystemContract[] = [
  tokenContract,
  namesContract,
  resourcesContract,
  ordersContract,
  auditContract,
  stakeContract,
  metadataContract,
  dealsContract,
  reputationContract,
  disputesContract,
];

/** Every contract setting with its default; a genesis may name any of them with another value. */
export const genesisSettings: GenesisParameters['settings'] = [
  ...namesSettings.defaults,
  ...resourcesSettings.defaults,
  ...ordersSettings.defaults,
  ...stakeSettings.defaults,
  ...dealsSettings.defaults,
  ...disputesSettings.defaults,
];
