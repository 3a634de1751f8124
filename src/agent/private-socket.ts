/**
 * A listening Unix socket that only root can open: folder 0700 when it is made here, socket 0600
 * from its first moment. A socket file left by a dead process is replaced; one that somebody
 * answers on, or a file that is no socket, never is.
 *
 * Nobody tells a listener that its file was removed, and then nobody finds it any more: what stands
 * at the path is looked at every LOOK_MS. Where that is not this socket any more the path is taken
 * anew, in the way of the start; where it cannot be had that is a trouble, until a later look.
 */
import { type BigIntStats, chmodSync, lstatSync, unlinkSync } from "node:fs";
import { connect, type Server } from "node:net";
import { dirname } from "node:path";
import { listenOnPath } from "netlink-ts";
import type { Clock } from "../runtime/clock.ts";
import { makeFolder } from "../runtime/files.ts";
import type { Log } from "../runtime/log.ts";
import { messageOf } from "../runtime/operator-text.ts";
import { PassLoop } from "../runtime/pass-loop.ts";

/** Between two looks at the path. */
export const LOOK_MS = 2000;
const PROBE_MS_MAX = 1000;
/** Tries to take the path, of agents that are started at the same moment. */
const TRIES_MAX = 4;
/** Connections that wait to be taken, as Node.js has it. */
const BACKLOG = 511;

/** What a socket is called in messages, and the flag that gives it another path. */
export interface SocketName {
  readonly socket: string;
  readonly flag: string;
}

export interface PrivateSocketDeps {
  readonly log: Log;
  readonly clock: Clock;
}

export class PrivateSocket {
  readonly #server: Server;
  readonly #name: SocketName;
  readonly #log: Log;
  readonly #loop: PassLoop;
  #path = "";
  /** The file, as it was when this listened on it last. The socket keeps its inode from others. */
  #file: BigIntStats | undefined;
  #problem: string | undefined;
  #closed = false;

  /** `server`: one that does not listen; it does from `start` to `close`. */
  constructor(server: Server, name: SocketName, { log, clock }: PrivateSocketDeps) {
    this.#server = server;
    this.#name = name;
    this.#log = log;
    this.#loop = new PassLoop(clock, async () => {
      await this.#look();
      return LOOK_MS;
    });
  }

  /**
   * After `close`, as where the end comes in the middle of a start, it does nothing.
   * @throws {Error} one sentence that names the path: in use, not a socket, or not permitted.
   */
  async start(path: string): Promise<void> {
    this.#path = path;
    this.#server.on("error", (error) => {
      this.#log.error({ err: error }, `${this.#name.socket} failed`);
    });
    await this.#listen();
    this.#loop.start();
  }

  /** Why it is not to be found at its path, one sentence that names it; undefined = it is. */
  get problem(): string | undefined {
    return this.#problem;
  }

  /** Takes no further connections; those that there are go on. Another one's file stays. */
  close(onClosed?: () => void): void {
    this.#closed = true;
    void this.#loop.stop();
    try {
      if (this.#isThere()) unlinkSync(this.#path);
    } catch {
      // Of a folder that lets nobody in now: the next start replaces the file of a dead process.
    }
    this.#server.close(onClosed);
  }

  async #look(): Promise<void> {
    try {
      if (!this.#isThere()) {
        await this.#listen();
        if (this.#closed) return;
        const fields = { socket: this.#path };
        this.#log.warn(fields, `the file of the ${this.#name.socket} was gone: made anew`);
      }
      this.#problem = undefined;
    } catch (error) {
      this.#problem = messageOf(error);
    }
  }

  #isThere(): boolean {
    if (this.#file === undefined) return false;
    try {
      const now = lookAt(this.#path);
      return now?.ino === this.#file.ino && now.dev === this.#file.dev;
    } catch {
      // Listening there says why.
      return false;
    }
  }

  /** @throws {Error} as {@link start}; then it listens where it did before, if it did. */
  async #listen(): Promise<void> {
    const [path, name] = [this.#path, this.#name];
    try {
      if (!this.#closed) makeFolder(dirname(path), 0o700);
    } catch (cause) {
      throw new Error(`cannot make the folder of the ${name.socket} ${path}: ${messageOf(cause)}`, {
        cause,
      });
    }
    for (let tries = 0; tries < TRIES_MAX; tries++) {
      if (this.#closed || this.#bind()) return;
      await removeStale(path, name);
    }
    throw inUse(path, name);
  }

  /** False when something is at the path. */
  #bind(): boolean {
    const [path, name] = [this.#path, this.#name];
    const mask = process.umask(0o177);
    try {
      const fd = listenOnPath(path, BACKLOG);
      // The connections that the server has stay, and go on counting.
      if (this.#server.listening) this.#server.close();
      this.#server.listen({ fd, backlog: BACKLOG });
      this.#file = lookAt(path);
      chmodSync(path, 0o600);
      return true;
    } catch (cause) {
      if ((cause as NodeJS.ErrnoException).code === "EADDRINUSE") return false;
      throw new Error(`cannot listen on the ${name.socket} ${path}: ${messageOf(cause)}`, {
        cause,
      });
    } finally {
      process.umask(mask);
    }
  }
}

async function removeStale(path: string, name: SocketName): Promise<void> {
  const found = lookAt(path);
  if (found === undefined) return;
  if (!found.isSocket()) {
    throw new Error(`cannot listen on the ${name.socket} ${path}: that file is not a socket`);
  }
  if (await answers(path)) throw inUse(path, name);
  // Meanwhile another agent may have replaced it: then this is that one's, and it will answer.
  const now = lookAt(path);
  if (now?.ino === found.ino && now.ctimeNs === found.ctimeNs) unlinkSync(path);
}

/** Undefined when there is nothing. */
function lookAt(path: string): BigIntStats | undefined {
  return lstatSync(path, { bigint: true, throwIfNoEntry: false });
}

function inUse(path: string, name: SocketName): Error {
  return new Error(
    `another agent runs here already: it answers on ${path} ` +
      `(${name.flag} gives this one a socket of its own)`,
  );
}

/** Its process is gone, or the socket itself is. */
const NOBODY = new Set(["ECONNREFUSED", "ENOENT"]);

function answers(path: string): Promise<boolean> {
  return new Promise((resolve) => {
    const socket = connect(path);
    const finish = (answered: boolean): void => {
      socket.destroy();
      resolve(answered);
    };
    // A full backlog or a stuck process is somebody's socket all the same.
    socket.setTimeout(PROBE_MS_MAX, () => finish(true));
    socket.once("connect", () => finish(true));
    socket.once("error", ({ code }: NodeJS.ErrnoException) => finish(!NOBODY.has(code ?? "")));
  });
}
