/** Refusals of the owner's side: sources that cannot be read, descriptions, versions, grants. */
import { defineErrors } from '#libs/kernel';

export const dataError = defineErrors({
  DATA_SOURCE: {
    status: 400,
    title: 'The source cannot be read',
    fix: 'Name a file, a folder, or a table as postgresql://user@host/database#schema.table that you may read.',
  },
  DATA_BROKEN: {
    status: 422,
    title: 'The source is not what its format says',
    fix: 'Mend or export the file again; the message names the place.',
  },
  DATA_LIMIT: {
    status: 413,
    title: 'The source is over a limit of extraction',
    fix: 'Split the source, or leave the part that the message names out of it.',
  },
  DATA_EXTRACTION: {
    status: 422,
    title: 'The source could not be looked at safely',
    fix: 'The file needs more memory or time than a file of its kind should, or ends the reader: convert it to CSV or Parquet.',
  },
  DATA_CHANGED: {
    status: 409,
    title: 'The source changes while it is read',
    fix: 'Try again when nothing writes to it, or add it while it is watched (`seele data watch`).',
  },
  DATA_DESCRIPTION: {
    status: 400,
    title: 'The description file is not understood',
    fix: 'Mend what the message names; schemas/describe.schema.json says what may stand there.',
  },
  DATA_UNKNOWN: {
    status: 404,
    title: 'No such dataset or version here',
    fix: 'List what this home keeps with `seele data list`.',
  },
  DATA_STORE: {
    status: 500,
    title: 'What the owner keeps cannot be opened',
    fix: 'Use the home and the account that the dataset was added with; nothing was changed.',
  },
  DATA_CONFLICT: {
    status: 409,
    title: 'The chain knows another version than this home',
    fix: 'Publish a dataset from one home only; `seele data list` shows what this one knows.',
  },
  DATA_NOT_SERVED: {
    status: 503,
    title: 'The data is served nowhere now',
    fix: 'Ask its owner to run `seele data serve` where you can reach it; it says on the chain where that is.',
  },
  DATA_GRANT: {
    status: 403,
    title: 'The grant does not allow this',
    fix: 'Ask the owner for a grant to your account, for this dataset, that is not used up or expired.',
  },
});
