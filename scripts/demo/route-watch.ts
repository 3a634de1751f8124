import type { Cluster } from "../../test/support/cluster.ts";
import { Daemon, until } from "../../test/support/shell.ts";

interface RouteEvent {
  /** ms since the epoch, as the kernel's listener stamped it. */
  readonly at: number;
  readonly deleted: boolean;
  readonly text: string;
}

/** `ip -ts monitor route` on a node: when did the kernel's table change? */
export class RouteWatch {
  readonly #events: RouteEvent[] = [];
  readonly #daemon: Daemon;

  constructor(cluster: Cluster, node: string) {
    this.#daemon = new Daemon(
      `ip monitor on ${node}`,
      "ip",
      ["-n", cluster.namespaces.name(node), "-ts", "-o", "monitor", "route"],
      { onLine: (line) => this.#take(line) },
    );
  }

  /** The first change of `prefix` of that kind since `sinceMs`; waits for it. */
  async change(prefix: string, deleted: boolean, sinceMs: number): Promise<RouteEvent> {
    const what = `the kernel ${deleted ? "drops" : "gets"} the route ${prefix}`;
    return until(what, () => this.seen(prefix, deleted, sinceMs));
  }

  /** That change, when it has been seen already. */
  seen(prefix: string, deleted: boolean, sinceMs: number): RouteEvent | undefined {
    return this.#events.find(
      (event) =>
        event.deleted === deleted && event.at >= sinceMs && event.text.startsWith(`${prefix} `),
    );
  }

  async stop(): Promise<void> {
    await this.#daemon.stop();
  }

  #take(line: string): void {
    const match = /^\[(\S+)\]\s+(Deleted )?(.*)$/.exec(line);
    if (match === null) return;
    // The stamp is local time without a zone, in microseconds; Date.parse keeps only ms.
    const stamp = match[1]!;
    const micros = Number(/\.(\d{6})/.exec(stamp)?.[1] ?? "0");
    const at = Date.parse(stamp.replace(/\.\d+$/, "")) + micros / 1000;
    this.#events.push({ at, deleted: match[2] !== undefined, text: match[3]!.trim() });
  }
}
