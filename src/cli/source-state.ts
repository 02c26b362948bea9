import { createHash } from 'node:crypto';
import { chmod, mkdir, open, readFile, rename, rm } from 'node:fs/promises';
import { join, relative } from 'node:path';
import { z } from 'zod';
import { CliFailure, sentenceOf } from './failure.ts';
import { Position } from './position.ts';

/** What makes a file the same file: the name alone would skip lines of tomorrow's export. */
export interface FileKey {
  name: string;
  size: number;
  /** Of the first 64 KiB as they are stored, packed or not; hex. */
  sha256: string;
}

const fileShape = z.object({
  name: z.string(),
  size: z.number(),
  sha256: z.string(),
  acknowledged: z.int().min(0),
  beyond: z.array(z.int().positive()),
  finished: z.boolean(),
});
const stateShape = z.object({
  version: z.literal(1),
  source: z.string(),
  token: z.string().optional(),
  files: z.array(fileShape),
  /** Of `demo` only: the instant at which its 14 days end, and whether what was answered has been marked read. */
  demo: z.object({ endsAt: z.iso.datetime(), isMarkedRead: z.boolean() }).optional(),
});
type State = z.infer<typeof stateShape>;

const keptFiles = 50;

/**
 * What the command line remembers of a source: its token, which the gateway shows only once, and how far each file is
 * sent. Kept in `DATA_DIR/import/<source>.json`, for the owner's eyes only.
 */
export class SourceState {
  readonly path: string;
  readonly #dataDir: string;
  readonly #state: State;
  readonly #positions = new Map<string, Position>();
  #saving: Promise<void> = Promise.resolve();

  private constructor(dataDir: string, state: State) {
    this.#dataDir = dataDir;
    this.path = statePath(dataDir, state.source);
    this.#state = state;
  }

  /** @throws CliFailure when there is a file that cannot be understood */
  static async load(dataDir: string, sourceId: string): Promise<SourceState> {
    const path = statePath(dataDir, sourceId);
    const shown = relative(process.cwd(), path);
    let text: string;
    try {
      text = await readFile(path, 'utf8');
    } catch (error) {
      if ((error as NodeJS.ErrnoException).code !== 'ENOENT') throw new CliFailure(`${shown}: ${sentenceOf(error)}`);
      return new SourceState(dataDir, { version: 1, source: sourceId, files: [] });
    }
    const state = stateShape.safeParse(jsonOf(text)).data;
    if (state?.source === sourceId) return new SourceState(dataDir, state);
    throw new CliFailure(`${shown} is damaged or of another source: move it away and use --rotate for a new token.`);
  }

  get shownPath(): string {
    return relative(process.cwd(), this.path);
  }

  get token(): string | undefined {
    return this.#state.token;
  }

  get demo(): State['demo'] {
    return this.#state.demo;
  }

  async keepToken(token: string): Promise<void> {
    this.#state.token = token;
    await this.save();
  }

  async keepDemo(demo: NonNullable<State['demo']>): Promise<void> {
    this.#state.demo = demo;
    await this.save();
  }

  /** Where sending of this file stands; the same object for the same file, saved with the state. */
  positionOf(key: FileKey): { position: Position; isFinished: boolean } {
    const text = JSON.stringify(key);
    const kept = this.#state.files.find((file) => isSameFile(file, key));
    const position = this.#positions.get(text) ?? new Position(kept?.acknowledged, kept?.beyond);
    this.#positions.set(text, position);
    return { position, isFinished: kept?.finished ?? false };
  }

  /** Writes down how far the file is; the newest fifty files are remembered. */
  async keepPosition(key: FileKey, { isFinished }: { isFinished: boolean }): Promise<void> {
    const { position } = this.positionOf(key);
    const others = this.#state.files.filter((file) => !isSameFile(file, key));
    const entry = { ...key, acknowledged: position.acknowledged, beyond: position.beyond, finished: isFinished };
    this.#state.files = [...others.slice(1 - keptFiles), entry];
    await this.save();
  }

  /** For a gateway that turned out to be another one: what was sent elsewhere says nothing about this one. */
  async beginAnew(token: string): Promise<void> {
    this.#state.files = [];
    this.#positions.clear();
    delete this.#state.demo;
    await this.keepToken(token);
  }

  /** Writes the file anew and puts it in place in one step, so that a kill leaves the old or the new one. */
  save(): Promise<void> {
    this.#saving = this.#saving.catch(() => undefined).then(() => this.#write(`${JSON.stringify(this.#state)}\n`));
    return this.#saving;
  }

  async #write(text: string): Promise<void> {
    const temporary = `${this.path}.${process.pid}.tmp`;
    try {
      // The database's own user must pass the outer folder; the inner one is for the owner alone.
      await mkdir(this.#dataDir, { recursive: true, mode: 0o711 });
      await mkdir(join(this.#dataDir, 'import'), { recursive: true, mode: 0o700 });
      const file = await open(temporary, 'w', 0o600);
      try {
        await file.writeFile(text);
        await file.sync();
      } finally {
        await file.close();
      }
      await chmod(temporary, 0o600);
      await rename(temporary, this.path);
    } catch (error) {
      await rm(temporary, { force: true }).catch(() => undefined);
      throw new CliFailure(`${this.shownPath} cannot be written: ${sentenceOf(error)}`);
    }
  }
}

function statePath(dataDir: string, sourceId: string): string {
  // A source id may hold anything but blanks, slashes too.
  const encoded = encodeURIComponent(sourceId);
  const name = encoded.length <= 200 ? encoded : createHash('sha256').update(sourceId).digest('hex');
  return join(dataDir, 'import', `${name}.json`);
}

function isSameFile(one: FileKey, other: FileKey): boolean {
  return one.name === other.name && one.size === other.size && one.sha256 === other.sha256;
}

function jsonOf(text: string): unknown {
  try {
    return JSON.parse(text);
  } catch {
    return undefined;
  }
}
