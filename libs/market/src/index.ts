/** Market: orders, leases, settlement; the documents of jobs and the agent protocol. */
export * from './agent-protocol.ts';
export * from './manifest.ts';
