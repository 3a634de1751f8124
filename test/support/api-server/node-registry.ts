/**
 * Nodes with the rules of the API: resource versions, conflicts, the status subresource, a bounded
 * history of events that can be compacted, consistent pages of a list. Objects are never changed
 * in place, so that a page or an event can keep a reference.
 */
import { randomUUID } from "node:crypto";
import { ApiFailure, gone, isJsonObject, type JsonObject, notFound } from "./api-status.ts";
import { patched, sameJson } from "./patches.ts";
import type { Selector } from "./selectors.ts";

export interface NodeEvent {
  readonly type: "ADDED" | "MODIFIED" | "DELETED";
  readonly version: number;
  readonly object: JsonObject;
  /** The object before a MODIFIED. */
  readonly previous: JsonObject | undefined;
}

export interface NodePage {
  readonly items: readonly JsonObject[];
  readonly version: number;
  readonly continue: string;
  readonly remaining: number;
}

interface Snapshot {
  readonly version: number;
  readonly items: readonly JsonObject[];
}

const SNAPSHOTS_MAX = 64;

export class NodeRegistry {
  readonly #nodes = new Map<string, JsonObject>();
  readonly #listeners = new Set<(event: NodeEvent) => void>();
  readonly #historyMax: number;
  #history: NodeEvent[] = [];
  #version: number;
  /** The oldest version that a watch may start from. */
  #oldest: number;
  #snapshots = new Map<number, Snapshot>();

  /**
   * Versions begin at the time of day, so that those of an earlier server are too old for this
   * one, as after a restored backup.
   */
  constructor(options: { readonly historyMax?: number; readonly version?: number } = {}) {
    this.#historyMax = options.historyMax ?? 10_000;
    this.#version = options.version ?? Date.now();
    this.#oldest = this.#version;
  }

  get version(): number {
    return this.#version;
  }

  get size(): number {
    return this.#nodes.size;
  }

  get(name: string): JsonObject {
    const node = this.#nodes.get(name);
    if (node === undefined) throw notFound(name);
    return node;
  }

  create(input: unknown): JsonObject {
    const object = validNode(input);
    const metadata = object["metadata"] as JsonObject;
    const name = nameOf(object);
    if (this.#nodes.has(name)) {
      const text = `nodes "${name}" already exists`;
      throw new ApiFailure(409, text, { reason: "AlreadyExists", name });
    }
    if (metadata["resourceVersion"]) {
      throw new ApiFailure(400, "resourceVersion should not be set on objects to be created");
    }
    const seconds = new Date().toISOString().replace(/\.\d+Z$/, "Z");
    const created = { uid: randomUUID(), creationTimestamp: seconds };
    const stored = this.#stamped({ ...object, metadata: { ...metadata, ...created } });
    return this.#store("ADDED", name, stored, undefined);
  }

  /** Replaces a Node; without the status, or the status alone. */
  update(name: string, input: unknown, part: "main" | "status"): JsonObject {
    const object = validNode(input);
    if (nameOf(object) !== name) {
      throw new ApiFailure(400, `the name of the object (${nameOf(object)}) is not ${name}`);
    }
    const known = this.get(name);
    const asked = (object["metadata"] as JsonObject)["resourceVersion"];
    if (asked !== undefined && asked !== "" && asked !== versionOf(known)) {
      throw new ApiFailure(
        409,
        `Operation cannot be fulfilled on nodes "${name}": the object has been modified; ` +
          "please apply your changes to the latest version and try again",
        { name },
      );
    }
    return this.#replace(name, known, object, part);
  }

  patch(name: string, mediaType: string, patch: unknown, part: "main" | "status"): JsonObject {
    const known = this.get(name);
    return this.update(name, patched(known, mediaType, patch), part);
  }

  delete(name: string): JsonObject {
    const known = this.get(name);
    return this.#store("DELETED", name, this.#stamped(known), known);
  }

  /** Adds objects as they are, whatever they hold: for tests of clients, and for speed. */
  load(objects: readonly JsonObject[]): void {
    for (const object of objects) {
      const metadata = isJsonObject(object["metadata"]) ? object["metadata"] : {};
      const name = String(metadata["name"] ?? "");
      const created = { uid: randomUUID(), creationTimestamp: new Date().toISOString() };
      const complete = {
        apiVersion: "v1",
        kind: "Node",
        ...object,
        metadata: { ...created, ...metadata },
      };
      const known = this.#nodes.get(name);
      this.#store(known ? "MODIFIED" : "ADDED", name, this.#stamped(complete), known);
    }
  }

  /** One page. `token` is the continue token of the page before. */
  list(selector: Selector | undefined, limit: number, token: string): NodePage {
    const { snapshot, start } = token === "" ? this.#freshSnapshot() : this.#continued(token);
    const matching =
      selector === undefined ? snapshot.items : snapshot.items.filter((node) => selector(node));
    const end = limit > 0 ? Math.min(matching.length, start + limit) : matching.length;
    const more = end < matching.length;
    if (more) this.#keepSnapshot(snapshot);
    const next = { version: snapshot.version, start: end };
    return {
      items: matching.slice(start, end),
      version: snapshot.version,
      continue: more ? Buffer.from(JSON.stringify(next)).toString("base64url") : "",
      remaining: matching.length - end,
    };
  }

  /**
   * Follows the events after `version`: those of the past at once, then live ones. Gives the
   * function that ends it. Throws 410 for a version that is compacted, 504 for one of the future.
   */
  follow(version: string, onEvent: (event: NodeEvent) => void): () => void {
    if (version === "" || version === "0") {
      for (const object of this.#sorted()) {
        onEvent({ type: "ADDED", version: this.#version, object, previous: undefined });
      }
    } else {
      const from = Number(version);
      if (!Number.isSafeInteger(from)) {
        throw new ApiFailure(400, `Invalid value: "${version}": not a resource version`);
      }
      if (from < this.#oldest) throw gone(version, this.#oldest);
      if (from > this.#version) {
        throw new ApiFailure(504, `Too large resource version: ${from}, current: ${this.#version}`);
      }
      for (const event of this.#history) if (event.version > from) onEvent(event);
    }
    this.#listeners.add(onEvent);
    return () => void this.#listeners.delete(onEvent);
  }

  /** Forgets the past: watches and lists that go on from before get 410 Gone. */
  compact(): void {
    // A version of its own, so that even a client that has seen everything is behind.
    this.#version++;
    this.#oldest = this.#version;
    this.#history = [];
    this.#snapshots.clear();
  }

  #replace(
    name: string,
    known: JsonObject,
    input: JsonObject,
    part: "main" | "status",
  ): JsonObject {
    const before = known["metadata"] as JsonObject;
    const kept = { name, uid: before["uid"], creationTimestamp: before["creationTimestamp"] };
    const merged: JsonObject =
      part === "status"
        ? { ...known, status: input["status"] ?? {} }
        : { ...input, ...("status" in known ? { status: known["status"] } : {}) };
    const metadata = part === "status" ? before : (input["metadata"] as JsonObject);
    const version = before["resourceVersion"];
    const object = { ...merged, metadata: { ...metadata, ...kept, resourceVersion: version } };
    if (sameJson(object, known)) return known;
    return this.#store("MODIFIED", name, this.#stamped(object), known);
  }

  #stamped(object: JsonObject): JsonObject {
    this.#version++;
    const metadata = object["metadata"] as JsonObject;
    return { ...object, metadata: { ...metadata, resourceVersion: String(this.#version) } };
  }

  #store(
    type: NodeEvent["type"],
    name: string,
    object: JsonObject,
    previous: JsonObject | undefined,
  ): JsonObject {
    if (type === "DELETED") this.#nodes.delete(name);
    else this.#nodes.set(name, object);
    const event: NodeEvent = { type, version: this.#version, object, previous };
    this.#history.push(event);
    if (this.#history.length > this.#historyMax) {
      this.#oldest = this.#history.shift()!.version;
    }
    for (const listener of [...this.#listeners]) listener(event);
    return object;
  }

  #sorted(): JsonObject[] {
    return [...this.#nodes].sort(([a], [b]) => (a < b ? -1 : 1)).map(([, object]) => object);
  }

  #freshSnapshot(): { snapshot: Snapshot; start: number } {
    return { snapshot: { version: this.#version, items: this.#sorted() }, start: 0 };
  }

  #continued(token: string): { snapshot: Snapshot; start: number } {
    let value: unknown;
    try {
      value = JSON.parse(Buffer.from(token, "base64url").toString("utf8"));
    } catch {
      throw new ApiFailure(400, "continue key is not valid");
    }
    const { version, start } = isJsonObject(value) ? value : {};
    if (typeof version !== "number" || typeof start !== "number") {
      throw new ApiFailure(400, "continue key is not valid");
    }
    const snapshot = this.#snapshots.get(version);
    if (snapshot === undefined) {
      throw new ApiFailure(410, "The provided continue parameter is too old");
    }
    return { snapshot, start };
  }

  #keepSnapshot(snapshot: Snapshot): void {
    this.#snapshots.delete(snapshot.version);
    this.#snapshots.set(snapshot.version, snapshot);
    const oldest = this.#snapshots.keys().next().value;
    if (this.#snapshots.size > SNAPSHOTS_MAX && oldest !== undefined) {
      this.#snapshots.delete(oldest);
    }
  }
}

function validNode(input: unknown): JsonObject {
  if (!isJsonObject(input)) throw new ApiFailure(400, "the body is not an object");
  if (input["kind"] !== undefined && input["kind"] !== "Node") {
    throw new ApiFailure(400, `${String(input["kind"])} in the body is not the kind Node`);
  }
  const metadata = input["metadata"];
  const name = isJsonObject(metadata) ? metadata["name"] : undefined;
  if (!isJsonObject(metadata) || typeof name !== "string" || name === "") {
    throw new ApiFailure(422, "Node is invalid: metadata.name: Required value");
  }
  if (name.length > 253 || !/^[a-z0-9]([-a-z0-9.]*[a-z0-9])?$/.test(name)) {
    throw new ApiFailure(422, `Node "${name}" is invalid: metadata.name: Invalid value`, { name });
  }
  return { ...input, apiVersion: "v1", kind: "Node", metadata };
}

export function nameOf(object: JsonObject): string {
  return String((object["metadata"] as JsonObject)["name"]);
}

export function versionOf(object: JsonObject): string {
  return String((object["metadata"] as JsonObject)["resourceVersion"]);
}
