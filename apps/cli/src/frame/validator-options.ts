/** From options to a validator program: who says of each result whether it counts. */
import { existsSync } from 'node:fs';
import { VALIDATED_OUTPUT_MAX_BYTES } from '#libs/market';
import type { JobDescription } from '#libs/sdk';
import type { BlobStore } from '#libs/storage';
import { cliError } from '../errors.ts';
import { readProgram } from './job-program.ts';

export interface ValidatorOptions {
  readonly validator?: string;
  readonly validatorParam?: readonly string[];
  readonly validatorFuel?: string;
}

const CID = /^(baf[a-z2-7]{20,}|Qm[1-9A-HJ-NP-Za-km-z]{44})$/;
const FUEL_TEXT = /^[1-9]\d{0,18}$/;

/** What an order under a validator has beside; looks at everything before anything is stored. */
export interface ValidatorPlan {
  /** A result is held in memory while it is looked at. */
  readonly limits: { readonly outputBytes?: number };
  store(store: BlobStore): Promise<Pick<JobDescription, 'validator'>>;
}

/** @throws CLI_USAGE, CLI_FILE, VM_… */
export function validatorOf(
  { validator: what, validatorParam = [], validatorFuel: fuel }: ValidatorOptions,
  readParameters: (given: readonly string[]) => Readonly<Record<string, unknown>>,
): ValidatorPlan {
  if (what === undefined) {
    if (validatorParam.length > 0 || fuel !== undefined)
      throw cliError('CLI_USAGE', '--validator-param and --validator-fuel need --validator');
    return { limits: {}, store: () => Promise.resolve({}) };
  }
  if (fuel !== undefined && !FUEL_TEXT.test(fuel))
    throw cliError('CLI_USAGE', `--validator-fuel must be a whole number above 0, not "${fuel}"`);
  const isStored = !existsSync(what) && CID.test(what);
  const program = isStored ? undefined : readProgram(what, 'verifiable');
  const params = readParameters(validatorParam);
  return {
    limits: { outputBytes: VALIDATED_OUTPUT_MAX_BYTES },
    async store(store) {
      const code = program ? (await store.put(program.code, { pin: true })).cid : what;
      const terms = fuel === undefined ? {} : { fuel: BigInt(fuel) };
      return { validator: { code, params, ...terms } };
    },
  };
}
