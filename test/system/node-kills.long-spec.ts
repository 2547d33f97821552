import { KILLS, clearStage, killUnderLoad } from './node-stage.ts';

afterAll(clearStage);

describe('a node that is killed (SIGKILL) under load', () => {
  it.each(Object.keys(KILLS) as (keyof typeof KILLS)[])(
    '%s loses nothing that was final and conserves money',
    killUnderLoad,
    30_000,
  );
});
