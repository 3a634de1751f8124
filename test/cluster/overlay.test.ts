/**
 * Nodes in two subnets with a router between them that has no route to any pod: what goes through
 * VXLAN, what does not, and what is left when nobody needs it any more; test/vm/overlay-ipip.test.ts
 * has the same of IP in IP.
 */
import assert from "node:assert/strict";
import { rm, writeFile } from "node:fs/promises";
import { join } from "node:path";
import { type TestContext, test } from "node:test";
import { keptFolder } from "../../packages/netlink-ts/test/support/keeper.ts";
import { Namespaces, namespacesUnavailable } from "../support/namespaces.ts";
import { PODROUTER } from "../support/program.ts";
import { requireReal } from "../support/real.ts";
import { run, until } from "../support/shell.ts";
import { throughTunnels } from "../support/tunnel-scenario.ts";
import { type Lab, lines, overlay, restarted, VXLAN } from "../support/two-subnets.ts";

/** Waits until node1's status says so of its routes. */
async function said(cluster: Lab["cluster"], words: RegExp): Promise<void> {
  let text = "";
  await until(`${words}`, async () => {
    text = (await cluster.podrouter("node1", "status")).stdout;
    return words.test(text);
  }).catch((cause: unknown) => {
    throw new Error(text, { cause });
  });
}

test("nodes in two subnets, through VXLAN", { timeout: 600_000 }, async (t: TestContext) => {
  await throughTunnels(t, VXLAN, async ({ cluster, pods, three: [one, , three] }: Lab) => {
    const ns = cluster.namespaces;
    await t.test("somebody else's VXLAN with our VNI and port is one clear condition", async () => {
      const words = "link add vx type vxlan id 77 dstport 4789 local 192.168.50.50 nolearning";
      await ns.ip("node1", words);
      await restarted(cluster, overlay(VXLAN));
      await until("the condition", async () => {
        const { stdout } = await cluster.podrouter("node1", "status");
        return stdout.includes("the VXLAN device vx of somebody else has VNI 77 and UDP port 4789");
      });
      const { stdout } = await cluster.podrouter("node1", "status");
      assert.equal(lines(stdout).filter((line) => line.startsWith("overlay ")).length, 1);
      await said(cluster, /it is reached by a tunnel, which cannot be made: vx of somebody else/);
      await ns.ip("node1", "link delete vx");
      await until("a ping again", () => pods.ping(one.label, three.addresses[0]!));
      // IPv6 has a socket of its own and was not in its way.
      assert.match(await ns.ip("node1", "link show type vxlan"), /podrouter-vx6/);
    });
    await t.test("own address gone: each route says why no tunnel leads", async () => {
      const words = "fd00:192:168:50::50/64 dev enp1s0";
      await ns.ip("node1", `addr del ${words}`);
      const why = "no interface has this Node's address fd00:192:168:50::50, or one in a VRF only";
      const there = "it is in no subnet of this machine, and no tunnel leads there";
      await said(
        cluster,
        new RegExp(`next hop fd00:192:168:51::50 not reachable: ${there}: ${why}`),
      );
      await ns.ip("node1", `addr add ${words} nodad`);
      await until("nothing to say", async () => {
        const { stdout } = await cluster.podrouter("node1", "status");
        return stdout.includes("No conditions");
      });
    });
  });
});

test("an encapsulation that the kernel lacks ends the start in one sentence", async (t) => {
  const reason = await namespacesUnavailable();
  if (!requireReal(t, reason === undefined, reason ?? "")) return;
  const ns = new Namespaces();
  const folder = keptFolder();
  t.after(async () => {
    await ns.remove();
    await rm(folder, { recursive: true });
  });
  await ns.add("node");
  const inside = ["netns", "exec", ns.name("node")];
  const probe = ["ip", "link", "add", "probe", "type", "ipip", "remote", "192.0.2.1"];
  if ((await run("ip", [...inside, ...probe])).status === 0) {
    t.skip("this kernel has ipip");
    return;
  }
  const file = join(folder, "nodes.json");
  await writeFile(file, JSON.stringify({ kind: "List", apiVersion: "v1", items: [] }));
  const result = await run("ip", [
    ...inside,
    PODROUTER,
    ...["run", "--enable-overlay", "--hostname-override=node1", `--nodes-file=${file}`],
    ...[`--admin-socket=${join(folder, "admin.sock")}`, `--state-dir=${join(folder, "state")}`],
    "--log-format=text",
  ]);
  assert.equal(result.status, 2);
  assert.match(
    result.stderr,
    /--overlay-encap=ipip: this kernel has no ipip devices: load its module \(modprobe ipip\), or/,
  );
  // Asking has made nothing.
  assert.doesNotMatch(await ns.ip("node", "link"), /probe/);
});
