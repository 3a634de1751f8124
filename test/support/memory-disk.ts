/**
 * Files below /memory in memory, in place of the disk, for all code of this process: so that each
 * single call can be made to fail, and so that all of them are done in the same turn of the loop.
 * There is no watching, as on a file system that offers none.
 */
import fs from "node:fs";
import fsp from "node:fs/promises";
import { syncBuiltinESMExports } from "node:module";
import { basename, dirname } from "node:path";
import type { FaultyPort } from "./faults.ts";

const ROOT = "/memory/";

interface Entry {
  text: string;
  readonly ino: bigint;
  changed: bigint;
}

export class MemoryDisk {
  readonly files = new Map<string, Entry>();
  /** What calls go through. */
  port: FaultyPort;
  #count = 1n;

  constructor(port: FaultyPort) {
    this.port = port;
  }

  /** The same inode with another text, as an editor in place. */
  put(path: string, text: string): void {
    const known = this.files.get(path);
    const changed = this.#count++;
    this.files.set(path, { text, ino: known?.ino ?? changed, changed });
  }

  /** Stands in for node:fs until the function that it gives is called. */
  mount(): () => void {
    const own: Record<string, (...given: never[]) => Promise<unknown>> = {
      open: (path: string, flags: string | number) => this.#open(path, flags),
      stat: async (path: string) => this.#stats(path),
      readdir: async (path: string) => {
        const names = [...this.files.keys()].filter((each) => dirname(each) === path);
        return names.map((each) => basename(each));
      },
      rename: async (from: string, to: string) => {
        this.files.set(to, this.#entry(from));
        this.files.delete(from);
      },
      unlink: async (path: string) => {
        this.#entry(path);
        this.files.delete(path);
      },
    };
    const promises = fsp as unknown as Record<string, (...given: unknown[]) => Promise<unknown>>;
    const real = { ...promises };
    for (const [name, run] of Object.entries(own)) {
      promises[name] = (...given) => {
        if (!String(given[0]).startsWith(ROOT)) return real[name]!(...given);
        return this.port.call(name, () => run(...(given as never[])));
      };
    }
    const { mkdirSync, watch } = fs;
    const refusal = (name: string) => diskError(name === "mkdirSync" ? "EEXIST" : "ENOSPC");
    Object.assign(fs, {
      mkdirSync: (path: string, options: object) =>
        path.startsWith(ROOT) ? undefined : mkdirSync(path, options),
      watch: (path: string, ...rest: [object, () => void]) => {
        if (path.startsWith(ROOT)) throw refusal("watch");
        return watch(path, ...rest);
      },
    });
    syncBuiltinESMExports();
    return () => {
      Object.assign(promises, real);
      Object.assign(fs, { mkdirSync, watch });
      syncBuiltinESMExports();
    };
  }

  #entry(path: string): Entry {
    const entry = this.files.get(path);
    if (entry === undefined) throw diskError("ENOENT");
    return entry;
  }

  async #open(path: string, flags: string | number) {
    if (flags === "wx" && this.files.has(path)) throw diskError("EEXIST");
    if (flags === "wx") this.put(path, "");
    const folder = [...this.files.keys()].some((each) => dirname(each) === path);
    if (!folder) this.#entry(path);
    const call = <T>(name: string, run: () => T) => this.port.call(name, async () => run());
    const close = () => call("close", () => undefined);
    let read = 0;
    return {
      stat: () => call("fstat", () => this.#stats(path)),
      read: (buffer: Buffer, offset: number, length: number) =>
        call("read", () => {
          const bytes = Buffer.from(this.#entry(path).text).subarray(read, read + length);
          read += bytes.length;
          return { bytesRead: bytes.copy(buffer, offset), buffer };
        }),
      writeFile: (text: string) => call("write", () => this.put(path, text)),
      sync: () => call("sync", () => undefined),
      close,
      [Symbol.asyncDispose]: close,
    };
  }

  #stats(path: string) {
    const { text, ino, changed } = this.#entry(path);
    const sizes = { size: Buffer.byteLength(text), dev: 1n, ino };
    const times = { mtimeNs: changed, ctimeNs: changed };
    return { ...sizes, ...times, isFile: () => true, isDirectory: () => false };
  }
}

/** As node:fs gives it. */
export function diskError(code: string): Error {
  return Object.assign(new Error(`${code}: the disk in memory`), { code });
}
