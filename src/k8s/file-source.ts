/**
 * Nodes from a file, followed live: `--nodes-file`. The folder is watched, so that a rename over
 * the file and a ConfigMap's symlink swap are seen, and the file is looked at every two seconds
 * for file systems that cannot be watched. New content is taken over once the file has rested
 * for a moment, since a file that is being written can be valid and half, but one that never
 * rests is read all the same; content that cannot be read keeps the Nodes there are and is named.
 * Where no Nodes are known yet there are none to lose, and it is read at once.
 */
import type { Clock, Timer } from "../runtime/clock.ts";
import { FileError, type FileStamp, fileStamp, readText, watchFolderOf } from "../runtime/files.ts";
import type { Log } from "../runtime/log.ts";
import { NODES_FILE_BYTES_MAX, NODES_FILE_REST_MS_MAX } from "./limits.ts";
import type { NodeSource, NodeSourceStatus, Nodes, OnNodes } from "./node-source.ts";
import { NodeStore } from "./node-store.ts";
import { parseNodesFile } from "./nodes-file.ts";

const POLL_MS = 2_000;

/** A file that has not changed for so long is taken to be whole. */
const REST_MS = 50;

export interface FileSourceParts {
  readonly path: string;
  readonly clock: Clock;
  readonly log: Log;
}

export class FileNodeSource implements NodeSource {
  readonly #path: string;
  readonly #clock: Clock;
  readonly #log: Log;
  readonly #store = new NodeStore();
  #onChange: OnNodes = () => {};
  #watch: { close(): void } | undefined;
  #timer: Timer | undefined;
  #stopped = false;
  /** The check under way, and whether another one was asked for meanwhile. */
  #checking: Promise<void> | undefined;
  #again = false;
  /**
   * The state of the file that was read last, the one seen last, since when that one is, and since
   * when the file has not been as it was read.
   */
  #read: FileStamp | undefined;
  #seen: FileStamp | undefined;
  #seenAt = 0;
  #changedAt: number | undefined;
  #synced = false;
  #connected = false;
  #lastSync: number | undefined;
  #lastError: { readonly at: number; readonly reason: string } | undefined;

  constructor(parts: FileSourceParts) {
    this.#path = parts.path;
    this.#clock = parts.clock;
    this.#log = parts.log;
  }

  start(onChange: OnNodes, known: Nodes = new Map()): void {
    this.#onChange = onChange;
    this.#store.seed(known);
    this.#watch = watchFolderOf(this.#path, () => this.#check());
    this.#check();
  }

  async stop(): Promise<void> {
    this.#stopped = true;
    this.#connected = false;
    this.#watch?.close();
    this.#timer?.cancel();
    await this.#checking;
  }

  status(): NodeSourceStatus {
    return {
      kind: "file",
      origin: this.#path,
      synced: this.#synced,
      connected: this.#connected,
      lastSync: this.#lastSync,
      lastError: this.#lastError,
      nodes: this.#store.size,
      problems: this.#store.problems,
    };
  }

  /** Looks at the file, one look at a time, and sees to it that there will be another. */
  #check(): void {
    if (this.#stopped) return;
    if (this.#checking !== undefined) {
      this.#again = true;
      return;
    }
    this.#timer?.cancel();
    this.#checking = this.#look().then((delayMs) => {
      this.#checking = undefined;
      if (this.#stopped) return;
      if (this.#again) {
        this.#again = false;
        this.#check();
      } else {
        this.#timer = this.#clock.after(delayMs, () => this.#check());
      }
    });
  }

  /** One look; gives the delay until the next one. */
  async #look(): Promise<number> {
    try {
      const stamp = await fileStamp(this.#path);
      if (stamp === this.#read) {
        this.#changedAt = undefined;
        this.#lastSync = this.#connected ? this.#clock.wall() : this.#lastSync;
        return POLL_MS;
      }
      const restMs = this.#restLeft(stamp);
      const knows = this.#read !== undefined || this.#store.size > 0;
      if (knows && restMs > 0) return restMs;
      const text = await readText(this.#path, NODES_FILE_BYTES_MAX);
      if ((await fileStamp(this.#path)) !== stamp) return REST_MS;
      this.#read = stamp;
      this.#changedAt = undefined;
      this.#take(text);
    } catch (error) {
      if (!(error instanceof FileError)) throw error;
      this.#read = "";
      // What comes in its place has a rest of its own.
      this.#seen = undefined;
      this.#changedAt = undefined;
      this.#fail(error.message);
    }
    return POLL_MS;
  }

  /**
   * How long the file has to be left alone yet. Time counts, not looks: one change makes several
   * events, and when they come late all at once the looks that they cause follow each other.
   */
  #restLeft(stamp: FileStamp): number {
    const now = this.#clock.now();
    if (stamp !== this.#seen) this.#seenAt = now;
    this.#seen = stamp;
    this.#changedAt ??= now;
    return Math.min(this.#seenAt + REST_MS, this.#changedAt + NODES_FILE_REST_MS_MAX) - now;
  }

  #take(text: string): void {
    if (this.#stopped) return;
    const file = parseNodesFile(text);
    if ("problem" in file) {
      this.#fail(`${this.#path}: ${file.problem}`);
      return;
    }
    const staged = this.#store.stage();
    for (const node of file.nodes) staged.add(node);
    const changed = this.#store.replace(staged);
    const first = !this.#synced;
    this.#synced = true;
    this.#connected = true;
    this.#lastSync = this.#clock.wall();
    if (!changed && !first) return;
    this.#log.info({ file: this.#path, nodes: this.#store.size }, "Nodes are read from the file");
    this.#onChange(this.#store.nodes);
  }

  /** Said once for each reason: the file is looked at again and again. */
  #fail(reason: string): void {
    if (this.#connected || this.#lastError?.reason !== reason) {
      this.#log.warn({ reason }, "the nodes file cannot be used; the Nodes known so far are kept");
    }
    this.#connected = false;
    this.#lastError = { at: this.#clock.wall(), reason };
  }
}
