import { FinalityStages } from './finality-stages.ts';

describe('stages of finality', () => {
  const follow = () => {
    const seen: [string, number][] = [];
    let nowMs = 0;
    const stages = new FinalityStages(
      (stage, seconds) => seen.push([stage, seconds]),
      () => nowMs,
    );
    return { seen, stages, at: (ms: number) => (nowMs = ms) };
  };

  it('states the time between one stage and the next', () => {
    const { seen, stages, at } = follow();
    stages.submitted();
    at(10);
    stages.submitted();
    at(40);
    stages.made('b1');
    at(100);
    stages.available('b1');
    expect(stages.unagreed).toEqual(['b1']);
    at(300);
    stages.agreed('b1');
    expect(stages.unagreed).toEqual([]);
    at(350);
    stages.decided(7, ['other', 'b1']);
    at(360);
    stages.executed(7);
    at(380);
    stages.stored(7);
    expect(seen).toEqual([
      ['in-block', 0.04],
      ['available', 0.06],
      ['agreed', 0.2],
      ['decided', 0.05],
      ['executed', 0.01],
      ['stored', 0.02],
    ]);
  });

  it('states nothing for stages that a block skipped, and forgets what is stored', () => {
    const { seen, stages, at } = follow();
    stages.made('b1');
    at(100);
    stages.decided(1, ['b1']);
    at(150);
    stages.executed(1);
    stages.stored(1);
    stages.executed(1);
    stages.agreed('b1');
    expect(seen).toEqual([
      ['executed', 0.05],
      ['stored', 0],
    ]);
  });

  it('follows so many blocks at a time, however many never become final', () => {
    const { stages } = follow();
    for (let i = 0; i < 1_000; i++) {
      stages.made(`b${i}`);
      stages.available(`b${i}`);
    }
    expect(stages.unagreed).toHaveLength(32);
  });
});
