/** `podrouter cleanup` of which nobody reads what it says, as in `cleanup --yes | head -1`. */
import assert from "node:assert/strict";
import { spawn } from "node:child_process";
import { once } from "node:events";
import { mkdtemp, rm, writeFile } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { test } from "node:test";
import { Namespaces, namespacesUnavailable } from "../support/namespaces.ts";
import { PODROUTER } from "../support/program.ts";
import { requireReal } from "../support/real.ts";
import { must } from "../support/shell.ts";

test("what is begun comes to its end, and the exit code says whether it did", async (t) => {
  const unavailable = await namespacesUnavailable();
  if (!requireReal(t, unavailable === undefined, unavailable ?? "")) return;
  const namespaces = new Namespaces();
  t.after(() => namespaces.remove());
  const folder = await mkdtemp(join(tmpdir(), "podrouter-unread-"));
  t.after(() => rm(folder, { recursive: true }));
  const name = await namespaces.add("node");
  const ip = (...args: string[]) => must("ip", ["-n", name, ...args]);
  await ip("link", "add", "enp1s0", "up", "type", "veth", "peer", "enp1s1");
  await ip("link", "set", "enp1s1", "up");
  await ip("address", "add", "192.168.50.50/24", "dev", "enp1s0");
  await ip("route", "add", "10.233.65.0/24", "via", "192.168.50.51", "proto", "17");
  // It names files of this test alone.
  const conflist = join(folder, "10-podrouter.conflist");
  const paths = { socket: join(folder, "cni.sock"), leases: join(folder, "leases.json") };
  await writeFile(conflist, JSON.stringify({ plugins: [{ type: "podrouter-cni", ...paths }] }));
  const where = [`--cni-conf-file=${conflist}`, `--admin-socket=${join(folder, "none.sock")}`];
  const cleanup = ["netns", "exec", name, PODROUTER, "cleanup", "--yes", ...where];
  const child = spawn("ip", cleanup, { stdio: ["ignore", "pipe", "pipe"] });
  child.stdout.destroy();
  child.stderr.resume();
  assert.deepEqual(await once(child, "close"), [0, null]);
  assert.equal(await ip("route", "show", "proto", "17"), "");
});
