/**
 * A listening Unix socket that only root can open: folder 0700 when it is made here, socket 0600
 * from its first moment. A socket file left by a dead process is replaced; one that somebody
 * answers on, or a file that is no socket, never is.
 */
import { type BigIntStats, chmodSync, lstatSync, unlinkSync } from "node:fs";
import { connect, type Server } from "node:net";
import { dirname } from "node:path";
import { makeFolder } from "../runtime/files.ts";
import { messageOf } from "../runtime/operator-text.ts";

const PROBE_MS_MAX = 1000;
/** Tries to take the path, of agents that are started at the same moment. */
const TRIES_MAX = 4;

/** What a socket is called in messages, and the flag that gives it another path. */
export interface SocketName {
  readonly socket: string;
  readonly flag: string;
}

/**
 * Makes `server` listen on `path`. A server that is closed meanwhile ends that: it does not listen
 * then, and never will.
 * @throws {Error} one sentence that names the path: in use, not a socket, or not permitted.
 */
export async function listenPrivately(
  server: Server,
  path: string,
  name: SocketName,
): Promise<void> {
  let closed = false;
  server.once("close", () => {
    closed = true;
  });
  try {
    makeFolder(dirname(path), 0o700);
  } catch (cause) {
    throw new Error(`cannot make the folder of the ${name.socket} ${path}: ${messageOf(cause)}`, {
      cause,
    });
  }
  for (let tries = 0; tries < TRIES_MAX; tries++) {
    if (closed || (await bind(server, path, name))) return;
    await removeStale(path, name);
  }
  throw inUse(path, name);
}

/** True when it listens or was closed, false when the path is taken. */
async function bind(server: Server, path: string, name: SocketName): Promise<boolean> {
  // The bind happens within listen(), so no other file can be made under this mask.
  const mask = process.umask(0o177);
  try {
    await new Promise<void>((resolve, reject) => {
      const done = (): void => {
        server.off("error", reject);
        resolve();
      };
      server.once("error", reject);
      // One that is closed before it has said that it listens never says so.
      server.once("close", done);
      server.listen(path, done);
      process.umask(mask);
    });
    if (server.listening) chmodSync(path, 0o600);
    return true;
  } catch (cause) {
    if ((cause as NodeJS.ErrnoException).code === "EADDRINUSE") return false;
    throw new Error(`cannot listen on the ${name.socket} ${path}: ${messageOf(cause)}`, { cause });
  } finally {
    process.umask(mask);
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
