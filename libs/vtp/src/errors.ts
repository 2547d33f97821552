import { defineErrors } from '#libs/kernel';

export const vtpError = defineErrors({
  VTP_UAI_INVALID: {
    status: 400,
    title: 'Malformed UAI',
    fix: 'Write chain://edu.pku.cs/account/data: lower-case chain labels from the root down, then the account, then the path.',
  },
});
