/** Failures of links, of what peers send and of catching up. */
import { defineErrors } from '#libs/kernel';

export const netError = defineErrors({
  NET_LISTEN: {
    status: 500,
    title: 'Address cannot be listened on',
    fix: 'Choose an address of this machine and a free port, or 0 for any.',
  },
  NET_ADDRESS_INVALID: {
    status: 400,
    title: 'Malformed network address',
    fix: 'Write host:port, an IPv6 host in brackets.',
  },
  NET_PROTOCOL_INVALID: {
    status: 500,
    title: 'Protocol table cannot be used',
    fix: 'Give every protocol its own number from 1 to 255 and room for its longest message.',
  },
  NET_PROTOCOL_UNKNOWN: {
    status: 400,
    title: 'Unknown protocol number',
    fix: 'Both sides must run compatible versions.',
  },
  NET_MESSAGE_TOO_LARGE: {
    status: 413,
    title: 'Message over the limit of its protocol',
    fix: 'Send less, or in parts.',
  },
  NET_FRAME_INVALID: {
    status: 400,
    title: 'Malformed frame',
    fix: 'The peer speaks something else, or its messages were changed on the way.',
  },
  NET_REQUEST_FAILED: {
    status: 503,
    title: 'Peer did not answer',
    fix: 'Ask another peer, or this one again later.',
  },
  NET_SYNC_INVALID: {
    status: 400,
    title: 'Peer sent something that does not verify',
    fix: 'Nothing was taken over; the data are fetched from another peer.',
  },
  NET_SYNC_FAILED: {
    status: 503,
    title: 'Synchronisation cannot go on',
    fix: 'Connect to at least one honest peer of the same chain, then start again: it resumes.',
  },
});
