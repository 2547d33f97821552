/** Lying validators: each runs the honest code and twists what leaves it. */
import type { EdaEffect, EdaMessage, Tick } from '#libs/eda';
import type { SimNode, World } from './world.ts';

export interface Behaviour {
  readonly name: string;
  rewrite(sim: SimNode, effects: readonly EdaEffect[], world: World): readonly EdaEffect[];
}

const FAR_US = 1_000_000_000;

/** Re-signs a changed message. */
function resign(sim: SimNode, world: World, message: EdaMessage): EdaMessage {
  if (!('message' in message) || !('signature' in message)) return message;
  const { kind } = message;
  const signature = world.auth.of(sim.index).sign(kind, message.message as never);
  return { ...message, signature } as EdaMessage;
}

function mapMessages(
  effects: readonly EdaEffect[],
  change: (message: EdaMessage) => EdaMessage | undefined,
): EdaEffect[] {
  return effects.flatMap((effect): EdaEffect[] => {
    if (effect.kind !== 'broadcast' && effect.kind !== 'send') return [effect];
    const message = change(effect.message);
    return message ? [{ ...effect, message }] : [];
  });
}

function lie(tick: Tick, byUs: number): Tick {
  return {
    ...tick,
    entries: tick.entries.map((entry) => ({ ...entry, x: Math.max(0, entry.x + byUs) })),
  };
}

/** Extreme positions and times in everything it says. */
const liar: Behaviour = {
  name: 'liar',
  rewrite: (sim, effects, world) =>
    mapMessages(effects, (message) => {
      const byUs = world.random.chance(0.5) ? FAR_US : -FAR_US;
      if (message.kind === 'tick')
        return resign(sim, world, { ...message, message: lie(message.message, byUs) });
      if (message.kind !== 'newview') return message;
      const { timeUs, reports } = message.message;
      const changed = {
        ...message.message,
        timeUs: Math.max(0, timeUs + byUs),
        reports: reports.map((report) => ({ ...report, x: Math.max(0, report.x + byUs) })),
        highQc: null,
      };
      return resign(sim, world, { ...message, message: changed });
    }),
};

/** Every message to some only: halves the network in what it knows of this node. */
const selective: Behaviour = {
  name: 'selective',
  rewrite: (sim, effects, world) =>
    effects.flatMap((effect): EdaEffect[] => {
      if (effect.kind !== 'broadcast') return [effect];
      const { message } = effect;
      const half = world.random.below(2);
      const byUs = half === 0 ? -FAR_US : FAR_US;
      const said =
        message.kind === 'tick'
          ? resign(sim, world, { ...message, message: lie(message.message, byUs) })
          : message;
      return world.nodes
        .filter(({ index }) => index !== sim.index && index % 2 === half)
        .map(({ key }) => ({ kind: 'send', to: key, message: said }));
    }),
};

/** Two different ticks for one k, one to each half: makes no evidence until they compare. */
const equivocator: Behaviour = {
  name: 'equivocator',
  rewrite: (sim, effects, world) =>
    effects.flatMap((effect): EdaEffect[] => {
      if (effect.kind !== 'broadcast' || effect.message.kind !== 'tick') return [effect];
      const { message } = effect;
      const low = resign(sim, world, { ...message, message: lie(message.message, -FAR_US) });
      const high = resign(sim, world, { ...message, message: lie(message.message, FAR_US) });
      return world.nodes
        .filter(({ index }) => index !== sim.index)
        .map(({ key, index }) => ({ kind: 'send', to: key, message: index % 2 ? low : high }));
    }),
};

/** The same with ticks that nobody can be shown: what it says over its own links is not signed. */
const unsigned: Behaviour = {
  name: 'unsigned',
  rewrite: (sim, effects, world) =>
    equivocator.rewrite(sim, effects, world).map((effect) => {
      if (effect.kind !== 'send' || effect.message.kind !== 'tick') return effect;
      if (effect.message.from !== world.set.indexOf(sim.key)) return effect;
      const signature = effect.message.signature.map((byte) => byte ^ 1);
      return { ...effect, message: { ...effect.message, signature } };
    }),
};

/** Equivocating author: another block for the same seq, one to each half. */
const forker: Behaviour = {
  name: 'forker',
  rewrite: (sim, effects, world) =>
    effects.flatMap((effect): EdaEffect[] => {
      if (effect.kind !== 'broadcast' || effect.message.kind !== 'block') return [effect];
      const { message } = effect;
      const payload = Uint8Array.of(1, ...message.payload);
      const txRoot = world.auth.of(sim.index).payloadRoot(payload) as string;
      const other = resign(sim, world, {
        ...message,
        payload,
        message: { ...message.message, txRoot },
      });
      return world.nodes
        .filter(({ index }) => index !== sim.index)
        .map(({ key, index }) => ({ kind: 'send', to: key, message: index % 2 ? message : other }));
    }),
};

/**
 * Votes for every proposal it hears of, in any view, and denies its lock in NEWVIEW. Its votes reach
 * each node with even chance only.
 */
const doubleVoter: Behaviour = {
  name: 'doubleVoter',
  rewrite: (sim, effects, world) => {
    const out: EdaEffect[] = [];
    for (const effect of effects) {
      if (effect.kind !== 'broadcast') {
        out.push(effect);
        continue;
      }
      let { message } = effect;
      if (message.kind === 'newview')
        message = resign(sim, world, { ...message, message: { ...message.message, highQc: null } });
      for (const { key, index } of world.nodes)
        if (index !== sim.index && world.random.chance(0.6))
          out.push({ kind: 'send', to: key, message });
      if (message.kind !== 'prepare') continue;
      const commit = resign(sim, world, { ...message, kind: 'commit' });
      for (const { key, index } of world.nodes)
        if (index !== sim.index && world.random.chance(0.5))
          out.push({ kind: 'send', to: key, message: commit });
    }
    return out;
  },
};

/** As leader: different bodies to different nodes, each of them wrong or contradicting the other. */
const badLeader: Behaviour = {
  name: 'badLeader',
  rewrite: (sim, effects, world) =>
    effects.flatMap((effect): EdaEffect[] => {
      if (effect.kind !== 'broadcast' || effect.message.kind !== 'proposal') return [effect];
      const { message } = effect;
      const { body } = message.message;
      const twists = [
        { ...body, entries: body.entries.slice(1) },
        { ...body, timeUs: body.timeUs + FAR_US },
        { ...body, timeUs: body.timeUs + 1 },
        { ...body, entries: body.entries.toReversed() },
        { ...body, entries: [...body.entries, ...body.entries] },
        {
          ...body,
          entries: body.entries.map((e) => ({ ...e, pos: e.pos + 256, raw: e.raw + 256 })),
        },
        body,
      ];
      return world.nodes
        .filter(({ index }) => index !== sim.index)
        .map(({ key, index }) => {
          const twisted = twists[(index + world.random.below(2)) % twists.length] as typeof body;
          const inner = { ...message.message, body: twisted };
          const said = resign(sim, world, { ...message, message: inner });
          // It backs each of its bodies.
          return { kind: 'send', to: key, message: said };
        });
    }),
};

/** Takes part, but acknowledges and votes nothing. */
const silent: Behaviour = {
  name: 'silent',
  rewrite: (_sim, effects) => mapMessages(effects, () => undefined),
};

export const ADVERSARIES: Readonly<Record<string, Behaviour>> = {
  liar,
  selective,
  equivocator,
  unsigned,
  forker,
  doubleVoter,
  badLeader,
  silent,
};
