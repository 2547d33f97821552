/** `seele data prove`: proofs about the statements of a directory, made by its owner, checked by anybody. */
import { checkProof, proveVersion } from '#libs/data';
import { utf8Decode } from '#libs/kernel';
import { cliError } from '../errors.ts';
import { type CommandContext, wholeNumber } from '../frame/command.ts';
import { openOwnerStore } from '../frame/data-home.ts';
import { readUserFile, writeUserFile } from '../frame/files.ts';

interface DataProveOptions {
  readonly version?: string;
  readonly show?: readonly string[];
  readonly out?: string;
  readonly directory?: string;
  readonly verify?: string;
  readonly whole?: boolean;
  readonly [name: string]: unknown;
}

export async function dataProve(
  context: CommandContext,
  options: DataProveOptions,
  name: string,
): Promise<void> {
  if (options.verify !== undefined) return verify(context, options, options.verify, name);
  const { output, home } = context;
  const { show = [], out } = options;
  if (out === undefined) throw cliError('CLI_USAGE', 'say where the proof goes: --out FILE');
  const owner = openOwnerStore(home);
  try {
    const dataset = owner.dataset(name);
    const wanted =
      options.version === undefined ? undefined : wholeNumber('--version', options.version, 1);
    const version =
      wanted === undefined
        ? owner.latest(dataset)
        : owner.versions(dataset).find(({ sequence }) => sequence === wanted);
    if (version === undefined)
      throw cliError('CLI_USAGE', `${name} has no version ${wanted ?? 'yet'}`);
    const shows = (line: string) => show.some((text) => line.includes(text));
    const { bytes, disclosure } = proveVersion(version, show.length === 0 ? undefined : shows);
    writeUserFile(out, bytes);
    if (options.directory !== undefined) writeUserFile(options.directory, version.secrets.public);
    const { root, size, entries } = disclosure;
    output.answer(
      {
        name,
        version: version.version,
        root,
        size,
        shown: entries.length,
        bytes: bytes.length,
        out,
      },
      () => {
        output.line(
          `${out}: ${entries.length} of ${size} statements of version ${version.version}`,
        );
        if (show.length > 0) for (const { line } of entries) output.line(`  ${line}`);
      },
    );
  } finally {
    owner.close();
  }
}

/** Statements of the directory that are shown when the proof is of others. */
const UNPROVED_SHOWN = 5;

function verify(
  { output }: CommandContext,
  options: DataProveOptions,
  proof: string,
  directory: string,
): void {
  const checked = checkProof(utf8Decode(readUserFile(directory)), readUserFile(proof));
  const { uai, root, size, lines, isWholePublic, unproved } = checked;
  if (options.whole === true && !isWholePublic) throw notWhole(directory, unproved);
  output.answer(
    {
      uai,
      root,
      size,
      statements: [...lines],
      isWholePublic,
      unproved: unproved.length,
      valid: true,
    },
    () => {
      output.line(`${uai}: ${lines.length} of ${size} statements are proved`);
      if (isWholePublic) return output.line('  they are exactly what the public directory says');
      for (const line of lines) output.line(`  ${line}`);
      output.line(`  nothing is proved of ${unproved.length} statements of ${directory}`);
    },
  );
}

function notWhole(directory: string, unproved: readonly string[]): Error {
  const some = unproved.slice(0, UNPROVED_SHOWN).join(' ');
  return cliError(
    'CLI_PROOF_PARTIAL',
    unproved.length === 0
      ? `the proof shows statements that ${directory} does not have`
      : `${unproved.length} statements of ${directory} are not proved: ${some}`,
  );
}
