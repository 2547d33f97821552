import { defineErrors } from '#libs/kernel';

/** Every refusal of the scheduler that is the caller's mistake. Having no room is an answer, not an error. */
export const schedulerError = defineErrors({
  SCHEDULER_NODE_INVALID: {
    status: 422,
    title: 'Node cannot be scheduled on',
    fix: 'Give whole, non-negative capacities within the stated limits and at most 8 GPUs a node.',
  },
  SCHEDULER_SHAPE_INVALID: {
    status: 422,
    title: 'Requested resources make no sense',
    fix: 'Ask whole, non-negative amounts within the stated limits; a GPU has 1000 thousandths.',
  },
  SCHEDULER_CLUSTER_LIMITS: {
    status: 422,
    title: 'Cluster is too large or too varied',
    fix: 'Split it into cells of at most 1000000 nodes and 31 GPU models.',
  },
  SCHEDULER_BINDING_INVALID: {
    status: 409,
    title: 'Binding does not fit the node',
    fix: 'Choose again: the node changed since it was chosen.',
  },
  SCHEDULER_TRACE_INVALID: {
    status: 422,
    title: 'Trace cannot be read',
    fix: 'Give a node or task table of the openb format, or an SWF file, as it was published.',
  },
  SCHEDULER_GRAPH_INVALID: {
    status: 422,
    title: 'Dependencies between tasks are not a graph without cycles',
    fix: 'Name only tasks of the same job and break the named cycle.',
  },
  SCHEDULER_POLICY_INVALID: {
    status: 422,
    title: 'Scheduling settings make no sense',
    fix: 'Use the documented ranges of weights, quotas and limits.',
  },
});
