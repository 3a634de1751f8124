/** What goes over a link of a cluster's router, as tcpdump sees it. */
import type { TestContext } from "node:test";
import type { Cluster } from "./cluster.ts";
import { Daemon, until } from "./shell.ts";

/** Listens on a link of the router; gives the packets that matched so far, a line each. */
export async function watched(
  t: TestContext,
  cluster: Cluster,
  link: string,
  filter: string,
): Promise<() => readonly string[]> {
  const inside = ["netns", "exec", cluster.namespaces.name("fabric")];
  const tcpdump = new Daemon("tcpdump", "ip", [
    ...inside,
    ...["tcpdump", "-n", "-l", "--immediate-mode", "-i", link, filter],
  ]);
  t.after(() => tcpdump.stop("SIGINT"));
  await until("tcpdump listens", () => tcpdump.output.includes("listening on"));
  return () => tcpdump.output.split("\n").filter((line) => /^\d\d:\d\d:\d\d/.test(line));
}
