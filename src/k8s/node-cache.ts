/**
 * The Nodes last known, on disk, so that an agent can start and route while the API is away. Saved
 * as Node objects with the fields that are read, and read back by the same checks as any Node
 * object: a damaged file is a warning, never a crash. Annotations can hold passwords, so the file
 * is readable by its owner only.
 */
import type { Clock, Timer } from "../runtime/clock.ts";
import { FileError, readText, writeAtomically } from "../runtime/files.ts";
import { isJsonObject } from "../runtime/json.ts";
import type { Log } from "../runtime/log.ts";
import { messageOf, printable } from "../runtime/operator-text.ts";
import { NODES_FILE_BYTES_MAX } from "./limits.ts";
import { ANNOTATION_PREFIX, isVersion, type NodeSnapshot } from "./node-snapshot.ts";
import type { Nodes } from "./node-source.ts";
import { NodeStore } from "./node-store.ts";

const VERSION = 1;

/** Nodes that come and go all the time must not wear out the disk. */
const SAVE_INTERVAL_MS = 5_000;

/** A disk that was full may have room again without a Node that changes. */
const RETRY_MS = 60_000;

/** What follows from a change comes first. */
const SAVE_DELAY_MS = 500;

/** What is saved of a run. */
export interface SavedNodes {
  readonly nodes: Nodes;
  /** The API's version of them; undefined of Nodes of a file. */
  readonly version: string | undefined;
}

export interface NodeCacheParts {
  /** `<stateDir>/nodes.json` */
  readonly path: string;
  readonly clock: Clock;
  readonly log: Log;
}

export class NodeCache {
  readonly #path: string;
  readonly #clock: Clock;
  readonly #log: Log;
  #pending: SavedNodes | undefined;
  #timer: Timer | undefined;
  /** The timer is that of another try: news need not wait for it. */
  #retrying = false;
  #closed = false;
  #writing: Promise<void> = Promise.resolve();
  #lastWrite = Number.NEGATIVE_INFINITY;
  #problem: string | undefined;
  #unusable: string | undefined;

  constructor(parts: NodeCacheParts) {
    this.#path = parts.path;
    this.#clock = parts.clock;
    this.#log = parts.log;
  }

  /** Nodes of the last run; undefined when there are none that can be read. */
  async load(): Promise<SavedNodes | undefined> {
    try {
      return decodeNodes(await readText(this.#path, NODES_FILE_BYTES_MAX));
    } catch (error) {
      if (error instanceof FileError && error.code === "ENOENT") return undefined;
      const reason = error instanceof FileError ? error.reason : messageOf(error);
      this.#log.warn({ file: this.#path, reason }, "the saved Nodes cannot be used");
      this.#unusable = printable(`${this.#path}: ${reason}`);
      return undefined;
    }
  }

  /** Why what {@link load} found is none; undefined when it is, or nothing was there. */
  get unusable(): string | undefined {
    return this.#unusable;
  }

  /** Why the last writing failed; undefined when it did not. */
  get problem(): string | undefined {
    return this.#problem;
  }

  /**
   * Keeps these Nodes: in half a second, at most every five seconds. Never fails, only warns, and
   * tries again.
   */
  save(saved: SavedNodes): void {
    this.#pending = saved;
    const delay = Math.max(SAVE_DELAY_MS, this.#lastWrite + SAVE_INTERVAL_MS - this.#clock.now());
    if (this.#timer !== undefined && !this.#retrying) return;
    this.#writeAfter(delay);
  }

  #writeAfter(delay: number): void {
    this.#timer?.cancel();
    this.#retrying = false;
    this.#timer = this.#clock.after(delay, () => void this.#writeUntilItIs());
  }

  async #writeUntilItIs(): Promise<void> {
    const saved = this.#pending;
    await this.flush();
    if (this.#problem === undefined || this.#timer !== undefined || this.#closed) return;
    this.#pending ??= saved;
    this.#writeAfter(RETRY_MS);
    this.#retrying = true;
  }

  /** Writes what is not written yet, for the last time. */
  close(): Promise<void> {
    this.#closed = true;
    return this.flush();
  }

  /** Writes what is not written yet, and resolves when it is on disk. */
  flush(): Promise<void> {
    this.#timer?.cancel();
    this.#timer = undefined;
    this.#writing = this.#writing.then(() => this.#write());
    return this.#writing;
  }

  async #write(): Promise<void> {
    const saved = this.#pending;
    if (saved === undefined) return;
    this.#pending = undefined;
    this.#lastWrite = this.#clock.now();
    try {
      await writeAtomically(this.#path, encodeNodes(saved, this.#clock.wall()));
      this.#problem = undefined;
    } catch (error) {
      const reason = messageOf(error);
      if (this.#problem === undefined) {
        this.#log.warn({ reason }, "the Nodes cannot be saved for the next start");
      }
      this.#problem = printable(reason);
    }
  }
}

/** The file's text. */
export function encodeNodes({ nodes, version }: SavedNodes, savedAt: number): string {
  const items = [...nodes.values()].map(nodeObject);
  const head = { version: VERSION, savedAt: new Date(savedAt).toISOString() };
  return JSON.stringify({ ...head, resourceVersion: version, items });
}

/** The Nodes of the file's text; throws an error that says what is wrong. */
export function decodeNodes(text: string): SavedNodes {
  let value: unknown;
  try {
    value = JSON.parse(text);
  } catch {
    throw new Error("not JSON");
  }
  if (!isJsonObject(value) || value["version"] !== VERSION || !Array.isArray(value["items"])) {
    throw new Error(`not saved Nodes of version ${VERSION}`);
  }
  const store = new NodeStore();
  const staged = store.stage();
  for (const item of value["items"]) staged.add(item);
  if (staged.problems.length > 0) throw new Error(staged.problems[0]!.message);
  store.replace(staged);
  const { resourceVersion } = value;
  return { nodes: store.nodes, version: isVersion(resourceVersion) ? resourceVersion : undefined };
}

/** A Node object that reads back as the same snapshot, but for its problems. */
function nodeObject(node: NodeSnapshot): unknown {
  const annotations = [...node.annotations].map(([name, value]) => [
    ANNOTATION_PREFIX + name,
    value,
  ]);
  const creationTimestamp =
    node.createdAt === undefined ? undefined : new Date(node.createdAt).toISOString();
  return {
    kind: "Node",
    metadata: {
      name: node.name,
      uid: node.uid,
      creationTimestamp,
      annotations: Object.fromEntries(annotations),
    },
    spec: { podCIDRs: node.podCidrs },
    status: { addresses: node.addresses },
  };
}
