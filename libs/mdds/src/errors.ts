/** Refusals of metadata documents. */
import { defineErrors } from '#libs/kernel';

export const mddsError = defineErrors({
  MDDS_SYNTAX: {
    status: 400,
    title: 'The document is not well-formed RDF',
    fix: 'Mend what the message names; the format must be the stated one.',
  },
  MDDS_LIMIT: {
    status: 413,
    title: 'The document is over a limit of metadata directories',
    fix: 'Split the dataset into several directories, or keep large values in the data.',
  },
  MDDS_REMOTE_CONTEXT: {
    status: 400,
    title: 'The document wants a JSON-LD context from elsewhere',
    fix: 'Write the context into the document, or use https://w3id.org/mdds/context.jsonld; nothing is ever fetched.',
  },
  MDDS_TOO_COMPLEX: {
    status: 400,
    title: 'The blank nodes of the document cannot be told apart in reasonable time',
    fix: 'Give the nodes names: directories that are anchored hold no blank nodes.',
  },
  MDDS_PROOF_INVALID: {
    status: 400,
    title: 'The disclosure does not prove what it says',
    fix: 'Ask the owner for a new one; whoever changed this one cannot mend it.',
  },
  MDDS_DESCRIPTION: {
    status: 400,
    title: 'The description of a dataset cannot become a directory',
    fix: 'Mend what the message names.',
  },
  MDDS_SHAPE: {
    status: 422,
    title: 'The directory does not conform to the shapes',
    fix: 'Mend the nodes that the message names; docs/metadata.md shows a directory that conforms.',
  },
});
