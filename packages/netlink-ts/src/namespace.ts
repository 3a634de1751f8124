/**
 * Sockets of another network namespace. A socket belongs to the namespace that its thread was in
 * when it was made, and stays there, so the thread need only be inside for that moment.
 *
 * Why moving the main thread is safe: setns(2) moves the calling thread alone. From the first call
 * to the last nothing is awaited, so no other JavaScript runs inside; the threads that send, read
 * files and collect garbage have namespaces of their own and stay where they are; and a new thread,
 * which would inherit the namespace, is only begun by an asynchronous call, which `make` must not
 * make. Going back uses an fd opened beforehand and cannot fail for want of anything; should it
 * fail all the same, the process ends at once, because everything it did from then on would be done
 * to a stranger's network.
 *
 * It takes CAP_SYS_ADMIN.
 */
import { closeSync, openSync } from "node:fs";
import { check, errnoName } from "./errors.ts";
import { linuxSys } from "./libc.ts";
import type { Sys } from "./sys.ts";

const HOME = "/proc/thread-self/ns/net";

/**
 * Runs `make` with this thread in the network namespace of `fd`, an open file of /run/netns/NAME or
 * /proc/PID/ns/net. `make` must be synchronous: open a socket, and give it back. Throws
 * {@link SystemCallError} when the namespace cannot be entered.
 */
export function inNetworkNamespace<T>(fd: number, make: () => T, sys: Sys = linuxSys): T {
  const home = openSync(HOME, "r");
  try {
    check("setns", sys.enterNetworkNamespace(fd));
    try {
      return make();
    } finally {
      const back = sys.enterNetworkNamespace(home);
      if (back < 0) abandon(errnoName(-back));
    }
  } finally {
    closeSync(home);
  }
}

function abandon(code: string): never {
  process.stderr.write(`netlink-ts: setns back to the own network namespace: ${code}\n`);
  process.abort();
}
