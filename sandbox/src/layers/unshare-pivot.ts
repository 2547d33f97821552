/**
 * An own root without bubblewrap: util-linux `unshare` makes the namespaces, a fixed shell script
 * fills a tmpfs with bind mounts, pivots into it and lets go of the machine's root. After the pivot
 * the tools are reached through the working directory, which is still in the old root; the last one
 * (`env -C /`) leaves it, so that nothing of it stays reachable.
 */
import { accessSync, constants, realpathSync, statSync } from 'node:fs';
import type { SlotRoot } from './slot-root.ts';
import { elfInterpreter } from './slot-root.ts';

const FOLDERS = ['/usr/sbin', '/usr/bin', '/sbin', '/bin'];

function findTool(name: string): string | undefined {
  for (const folder of FOLDERS) {
    try {
      const path = realpathSync(`${folder}/${name}`);
      accessSync(path, constants.X_OK);
      return path;
    } catch {
      // Not in this folder.
    }
  }
  return undefined;
}

const LIBRARIES = ['/lib', '/usr/lib', '/lib64', '/usr/lib64'];

/**
 * `$1` = loader, `$2` = library path, `$3` `$4` `$5` = umount, setpriv, env, all relative to `/`;
 * `$6` = folder on which the new root is made; `$7` = number of binds; then from, to, from, to, …;
 * then the command.
 */
const SCRIPT = `
set -e
loader=$1 libraries=$2 umount=$3 setpriv=$4 env=$5 root=$6 binds=$7
shift 7
mount --make-rprivate /
mount -t tmpfs -o mode=755,size=16m,nosuid,nodev slot "$root"
mkdir "$root/old" "$root/dev" "$root/proc"
# umount reads its own mounts there; taken away last.
mount --rbind /proc "$root/proc"
while [ "$binds" -gt 0 ]; do
  to=$root$2
  [ -d "\${to%/*}" ] || mkdir -p "\${to%/*}"
  if [ -d "$1" ]; then mkdir -p "$to"; else : > "$to"; fi
  # Where the second half of it fails, the mount is there and must keep a flag that it had.
  mount -o bind,ro,nosuid "$1" "$to" 2>/dev/null || mount -o remount,bind,ro,nosuid,nodev "$to"
  shift 2
  binds=$((binds - 1))
done
for device in null urandom; do : > "$root/dev/$device"; mount --bind "/dev/$device" "$root/dev/$device"; done
mount -o remount,bind,ro,nosuid,nodev "$root"
cd "$root"
pivot_root . old
cd /old
"./$loader" --library-path "$libraries" "./$umount" -n -i -l /old
"./$loader" --library-path "$libraries" "./$umount" -n -i -l /proc
exec "./$loader" --library-path "$libraries" "./$setpriv" --no-new-privs --inh-caps=-all \\
  --ambient-caps=-all --bounding-set=-all --securebits=+noroot,+noroot_locked -- \\
  "./$loader" --library-path "$libraries" "./$env" -i -C / "$@"
`;

const UNSHARE = [
  ...['unshare', '--user', '--map-root-user', '--mount', '--pid', '--fork', '--kill-child=KILL'],
  ...['--net', '--ipc', '--uts', '--'],
];

/** The prefix before the command; `trial` only asks whether the kernel and the tools allow it. */
export function pivotPrefix(root: Pick<SlotRoot, 'binds' | 'loader'>, trial = false): string[] {
  const tools = ['umount', 'setpriv', 'env'].map(findTool);
  const shell = findTool('sh');
  const [, setpriv] = tools;
  const loader = setpriv === undefined ? undefined : elfInterpreter(setpriv);
  const missing = ['umount', 'setpriv', 'env'].filter((_, i) => tools[i] === undefined);
  if (shell === undefined || loader === undefined || missing.length > 0)
    return [`(a dynamically linked ${['sh', ...missing].join(', ')})`];
  if (trial) return [...UNSHARE, shell, '-c', 'mount -t tmpfs trial /tmp && exec "$@"', 'sh'];
  const relative = (path: string) => realpathSync(path).slice(1);
  const libraries = LIBRARIES.flatMap((folder) => {
    try {
      const real = realpathSync(folder).slice(1);
      const triple = loaderFolder(loader);
      return [...(triple === undefined ? [] : [triple]), real];
    } catch {
      return [];
    }
  });
  return [
    ...[...UNSHARE, shell, '-c', SCRIPT, 'sh'],
    ...[relative(loader), [...new Set(libraries)].map((path) => `./${path}`).join(':')],
    ...tools.map((path) => relative(path as string)),
    ...[rootFolder(root), String(root.binds.length)],
    ...root.binds.flatMap(({ from, to }) => [from, to]),
  ];
}

const ROOT_FOLDERS = ['/mnt', '/media', '/srv', '/opt', '/var/tmp', '/tmp'];

/** An existing folder that can be covered: nothing that the slot needs lies in it. */
function rootFolder({ binds }: Pick<SlotRoot, 'binds'>): string {
  const isFree = (folder: string) =>
    statSync(folder, { throwIfNoEntry: false })?.isDirectory() === true &&
    !binds.some(({ from }) => `${from}/`.startsWith(`${folder}/`));
  return ROOT_FOLDERS.find(isFree) ?? '/tmp';
}

/** Where the C library lives: beside its loader, once links are followed. */
function loaderFolder(loader: string): string | undefined {
  const real = realpathSync(loader);
  return real.slice(1, real.lastIndexOf('/'));
}
