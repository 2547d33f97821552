import { createViewBudget } from './view-budget.ts';

describe('the budget of read-only calls', () => {
  const heavy = 100_000_000n;

  it('lets a client spend what it saved up, then makes it wait, and says how long', () => {
    const budget = createViewBudget();
    for (let i = 0; i < 9; i++) {
      budget.check('client', 0);
      budget.charge('client', 0, heavy);
    }
    budget.check('client', 0);
    budget.charge('client', 0, heavy);
    expect(() => budget.check('client', 0)).toThrow(
      expect.objectContaining({
        code: 'HTTP_RATE_LIMITED',
        detail: { retryAfterSeconds: expect.any(Number) as number },
      }),
    );
    expect(() => budget.check('client', 400)).not.toThrow();
  });

  it('holds one client up without the others', () => {
    const budget = createViewBudget();
    for (let i = 0; i < 12; i++) budget.charge('greedy', 0, heavy);
    expect(() => budget.check('greedy', 0)).toThrow();
    expect(() => budget.check('modest', 0)).not.toThrow();
  });

  it('holds everybody up when many clients together take what blocks need', () => {
    const budget = createViewBudget();
    for (let i = 0; i < 31; i++) budget.charge(`client ${i}`, 0, heavy);
    expect(() => budget.check('another', 0)).toThrow();
  });

  it('counts calls that use no fuel', () => {
    const budget = createViewBudget();
    for (let i = 0; i < 2_000; i++) budget.charge('client', 0, 0n);
    expect(() => budget.check('client', 0)).toThrow();
  });
});
