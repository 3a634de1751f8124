/**
 * Where log lines go: a file descriptor, without ever waiting for its reader. A pipe or socket is
 * written through Node's asynchronous stream, the lines of FLUSH_MS in one piece; beyond
 * PENDING_BYTES_MAX lines are dropped and counted. A file or terminal takes its lines at once.
 * Only a process that is killed loses the lines of its last FLUSH_MS.
 */
import { fstatSync, writeSync } from "node:fs";
import { Socket } from "node:net";

/** Each write wakes the reader, which takes the time of a session to come up. */
const FLUSH_MS = 10;

/** What waits for a slow reader at most. */
const PENDING_BYTES_MAX = 4 * 1024 * 1024;

export class LogSink {
  readonly #fd: number;
  readonly #pipe: Socket | undefined;
  readonly #write: (fd: number, octets: Uint8Array) => number;
  #dropped = 0;
  /** Lines that wait for the next write. */
  #lines = "";
  /** A disk that is full took a part of the last line: the next one begins with a line end. */
  #torn = false;

  /** `write`: of a file or terminal, how many octets it took; the system's unless told. */
  constructor(fd: number, write: (fd: number, octets: Uint8Array) => number = writeSync) {
    this.#fd = fd;
    this.#write = write;
    this.#pipe = isPipe(fd) ? this.#open(fd) : undefined;
  }

  /** Lines that were dropped because nobody read them. */
  get dropped(): number {
    return this.#dropped;
  }

  /** Takes one line with its line end. */
  write(line: string): void {
    const pipe = this.#pipe;
    if (pipe === undefined) {
      this.#writeNow(line);
      return;
    }
    const pending = pipe.writableLength + this.#lines.length;
    if (!pipe.writable || pending + line.length > PENDING_BYTES_MAX) {
      this.#dropped++;
      return;
    }
    if (this.#lines === "") setTimeout(() => this.#flush(), FLUSH_MS);
    this.#lines += line;
  }

  /** Resolves when everything is written, or after `deadlineMs`: for the end of the process. */
  drain(deadlineMs: number): Promise<void> {
    this.#flush();
    const pipe = this.#pipe;
    if (pipe === undefined || !pipe.writable || pipe.writableLength === 0) return Promise.resolve();
    return new Promise((resolve) => {
      setTimeout(resolve, deadlineMs);
      // Called back in order: after everything that was written before it.
      pipe.write("", () => resolve());
    });
  }

  #flush(): void {
    const lines = this.#lines;
    this.#lines = "";
    if (lines !== "" && this.#pipe?.writable === true) this.#pipe.write(lines);
  }

  #open(fd: number): Socket {
    const pipe = new Socket({ fd, readable: false, writable: true });
    // A log that cannot be written is no reason to stop routing, and there is nowhere to say it.
    pipe.on("error", () => {
      this.#dropped++;
    });
    pipe.unref();
    return pipe;
  }

  #writeNow(line: string): void {
    const octets = Buffer.from(this.#torn ? `\n${line}` : line);
    let written = 0;
    try {
      for (let taken = -1; taken !== 0 && written < octets.length; written += taken) {
        taken = this.#write(this.#fd, octets.subarray(written));
      }
    } catch {
      // There is nowhere to say it but in the count.
    }
    if (written < octets.length) this.#dropped++;
    if (written > 0) this.#torn = written < octets.length;
  }
}

function isPipe(fd: number): boolean {
  const stat = fstatSync(fd);
  return stat.isFIFO() || stat.isSocket();
}
