/** What the command line refuses or fails at by itself; failures of other parts keep their codes. */
import { defineErrors } from '#libs/kernel';

export const cliError = defineErrors({
  CLI_USAGE: {
    status: 400,
    title: 'Wrong usage',
    fix: 'Add --help to the command to see what it takes.',
  },
  CLI_HOME: {
    status: 500,
    title: 'Home folder unusable',
    fix: 'Give a folder that you may write to: --home DIR or SEELE_HOME.',
  },
  CLI_NOT_UP: {
    status: 503,
    title: 'Nothing is running',
    fix: 'Start it with `seele up`, or name a running one with --market URL and --node URL.',
  },
  CLI_PROOF_PARTIAL: {
    status: 422,
    title: 'The proof is not of the whole public directory',
    fix: 'Ask the owner for the proof of this version (seele data prove NAME --out FILE --directory FILE); leave --whole out to see what it proves.',
  },
  CLI_PORT_IN_USE: {
    status: 409,
    title: 'Port occupied',
    fix: 'Stop what listens there, or let free ports be chosen: seele up --ports auto.',
  },
  CLI_START_FAILED: {
    status: 500,
    title: 'A process did not start',
    fix: 'Read the log that the message names; `seele doctor` checks what it needs.',
  },
  CLI_ACCOUNT_UNKNOWN: {
    status: 404,
    title: 'No such account',
    fix: 'List the accounts with `seele account show`, make one with `seele account new NAME`.',
  },
  CLI_ACCOUNT_EXISTS: {
    status: 409,
    title: 'The account exists',
    fix: 'Choose another name; a keystore is never overwritten.',
  },
  CLI_PASSPHRASE: {
    status: 401,
    title: 'No passphrase for the keystore',
    fix: 'Set SEELE_PASSPHRASE to the passphrase the keystore was made with.',
  },
  CLI_FILE: {
    status: 400,
    title: 'File not readable or writable',
    fix: 'Check the path and its permissions.',
  },
  CLI_TIMEOUT: {
    status: 504,
    title: 'Not done in time',
    fix: 'It may still finish: look again, or give more time with --timeout SECONDS.',
  },
  CLI_INTERRUPTED: {
    status: 499,
    title: 'Stopped on request',
    fix: 'Run the command again.',
  },
  CLI_JOB_FAILED: {
    status: 422,
    title: 'The job did not end well',
    fix: 'Read why with `seele job show JOB`; what was not spent has been given back.',
  },
  CLI_JOB_RUN: {
    status: 409,
    title: 'Another run of the job file',
    fix: 'Go on with it by --resume, or order everything anew by --again (what was ordered goes on).',
  },
  CLI_CHECK_FAILED: {
    status: 422,
    title: 'A check failed',
    fix: 'Read the failed lines above.',
  },
  CLI_CONTRACT: {
    status: 400,
    title: 'The contract cannot be built',
    fix: 'Mend what the message names; a contract is one file, contract.ts or contract.as, without imports of code.',
  },
  CLI_CALL_FAILED: {
    status: 422,
    title: 'The call failed',
    fix: 'Read the contract’s code for the refusal that the message ends with.',
  },
  CLI_INCOMPLETE: {
    status: 500,
    title: 'A part of the program is not there',
    fix: 'Build it: node tools/ready.mjs',
  },
});
