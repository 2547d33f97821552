/** `seele`: the command line. */
import { runProgram } from './frame/command.ts';
import { createProgram } from './program.ts';

await runProgram(createProgram(), process.argv.slice(2));
