/**
 * The leases on disk. The file is replaced whole: written beside it, synced, renamed over it, so
 * that it is never seen half written, whenever the agent or the machine dies. Calls that come while
 * it is being written share the next writing, so that fifty pods at once cost two of them.
 */
import { FileError } from "../../runtime/files.ts";
import type { LeaseBook } from "./lease-book.ts";

/** The file, for tests to stand in. Calls reject with {@link FileError}. */
export interface LeaseFile {
  /** Undefined when there is none. */
  read(): Promise<string | undefined>;
  write(text: string): Promise<void>;
  /** Puts a file that is not understood out of the way, to be looked at; gives its new path. */
  putAside(): Promise<string>;
}

export class LeaseStore {
  readonly #book: LeaseBook;
  readonly #file: LeaseFile;
  /** The writing that takes what is in the book now. */
  #next: Promise<void> | undefined;
  #busy: Promise<void> = Promise.resolve();

  constructor(book: LeaseBook, file: LeaseFile) {
    this.#book = book;
    this.#file = file;
  }

  /**
   * Fills the book. A damaged file is put aside, and the kernel's links must tell the rest: gives
   * where it is then, and undefined of any other.
   */
  async load(): Promise<string | undefined> {
    try {
      const text = await this.#file.read();
      if (text === undefined || this.#book.load(text)) return undefined;
    } catch (error) {
      if (!(error instanceof FileError) || error.code !== "too-large") throw error;
    }
    return await this.#file.putAside();
  }

  /** Resolves when all that is in the book now is on disk; rejects when it cannot be. */
  save(): Promise<void> {
    this.#next ??= this.#busy.then(() => {
      this.#next = undefined;
      const writing = this.#file.write(this.#book.encode());
      // Whoever waits for it hears of a failure; the one after it is not concerned.
      this.#busy = writing.catch(() => undefined);
      return writing;
    });
    return this.#next;
  }
}
