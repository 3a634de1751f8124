/** The CNI folders in memory. */
import { basename, dirname, join } from "node:path";
import type { ConflistFiles } from "../../src/cni/conflist-file.ts";
import { FileError } from "../../src/runtime/files.ts";

export const BIN = "/opt/cni/bin";
export const PLUGINS = ["bridge", "host-local", "portmap", "loopback"];

/** Files as a map; `failure` is thrown by the next writes. */
export class MemoryFiles implements ConflistFiles {
  readonly texts = new Map<string, string>();
  readonly programs = new Set(PLUGINS.map((name) => join(BIN, name)));
  failure: string | undefined;
  writes = 0;
  reads = 0;
  #watchers: (() => void)[] = [];

  async read(path: string): Promise<string | undefined> {
    this.reads++;
    return this.texts.get(path);
  }

  async write(path: string, text: string): Promise<void> {
    if (this.failure !== undefined) {
      this.event();
      throw new FileError(path, this.failure);
    }
    this.writes++;
    this.put(path, text);
  }

  async list(folder: string): Promise<readonly string[] | undefined> {
    return [...this.texts.keys()]
      .filter((path) => dirname(path) === folder)
      .map((path) => basename(path));
  }

  async isProgram(path: string): Promise<boolean> {
    return this.programs.has(path);
  }

  /** How many watch a folder. */
  get watching(): number {
    return this.#watchers.length;
  }

  watch(_path: string, onEvent: () => void): { close(): void } {
    this.#watchers.push(onEvent);
    return { close: () => (this.#watchers = []) };
  }

  put(path: string, text: string): void {
    this.texts.set(path, text);
    this.event();
  }

  remove(path: string): void {
    this.texts.delete(path);
    this.event();
  }

  event(): void {
    for (const watcher of this.#watchers) watcher();
  }
}
