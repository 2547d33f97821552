/**
 * Human account names: what contract `names` registers and what stands in a UAI where an account id
 * would. Only letters, digits and single hyphens of ASCII, so that no two names look alike because of
 * an alphabet, and nothing in a name needs escaping anywhere.
 */
export const ACCOUNT_NAME_MIN = 3;
export const ACCOUNT_NAME_MAX = 63;

const NAME = /^[a-z0-9]+(?:-[a-z0-9]+)*$/;
/** How written account ids begin (`formatAccount`). */
const ACCOUNT_PREFIX = 'seele1';

export function isAccountName(text: string): boolean {
  return (
    text.length >= ACCOUNT_NAME_MIN &&
    text.length <= ACCOUNT_NAME_MAX &&
    !text.startsWith(ACCOUNT_PREFIX) &&
    NAME.test(text)
  );
}
