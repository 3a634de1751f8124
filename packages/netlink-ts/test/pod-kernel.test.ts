/** A pair between a bridge and another namespace, and a socket in there: what a pod takes. */
import assert from "node:assert/strict";
import { closeSync, openSync, readdirSync } from "node:fs";
import { test } from "node:test";
import { inNetworkNamespace, RouteNetlink, SystemCallError } from "../src/index.ts";
import { Namespace } from "./support/namespace.ts";
import { ScriptedSys } from "./support/scripted-sys.ts";

test("a pair with its other end in another namespace, as a port with hairpin", async (t) => {
  const node = Namespace.make(t);
  const pod = Namespace.make(t);
  if (node === undefined || pod === undefined) return;
  const netlink = node.enter(() => new RouteNetlink());
  t.after(() => netlink.close());
  await netlink.links.create({ name: "br0", up: true, info: { kind: "bridge" } });
  const masterIndex = node.index("br0");
  const file = openSync(`/run/netns/${pod.name}`, "r");
  t.after(() => closeSync(file));
  await netlink.links.create({
    name: "vethpod",
    mtu: 1400,
    up: true,
    masterIndex,
    info: {
      kind: "veth",
      peer: {
        name: "eth0",
        mtu: 1400,
        linkAddress: "0a:58:0a:00:00:02",
        namespaceFd: file,
      },
    },
  });
  await netlink.links.set("vethpod", {
    alias: "of a pod",
    info: { bridgePort: { hairpin: true } },
  });
  const port = await netlink.links.get("vethpod");
  assert.deepEqual(
    [port?.alias, port?.mtu, port?.masterIndex, port?.info?.kind, port?.info?.bridgePort],
    ["of a pod", 1400, masterIndex, "veth", { hairpin: true }],
  );
  const shown = JSON.parse(node.ip("-d -j link show vethpod"))[0];
  assert.equal(shown.linkinfo.info_slave_data.hairpin, true);

  const inside = inNetworkNamespace(file, () => new RouteNetlink());
  t.after(() => inside.close());
  const eth0 = await inside.links.get("eth0");
  assert.deepEqual([eth0?.linkAddress, eth0?.mtu], ["0a:58:0a:00:00:02", 1400]);
  await inside.addresses.add({ interfaceIndex: eth0!.index, address: "10.0.0.2/24" });
  // The kernel refuses `up` of the peer when the pair is made: it is not tied together yet.
  await inside.links.set("eth0", { up: true });
  assert.match(pod.ip("address show eth0"), /inet 10\.0\.0\.2\/24 .*\n/);
  assert.match(pod.ip("link show eth0"), /state UP/);
  // This thread is at home again.
  const home = new RouteNetlink();
  t.after(() => home.close());
  assert.equal(
    await home.links.get("eth0").then((link) => link?.linkAddress === eth0?.linkAddress),
    false,
  );
});

test("what is no network namespace is not entered, and the thread stays at home", (t) => {
  const sys = new ScriptedSys();
  sys.enterResults.push(-22);
  const file = openSync("/proc/self/ns/net", "r");
  t.after(() => closeSync(file));
  const never = () => assert.fail("not inside");
  assert.throws(() => inNetworkNamespace(file, never, sys), {
    name: SystemCallError.name,
    code: "EINVAL",
  });
  assert.deepEqual(sys.entered, [file]);
});

test("an error inside brings the thread home all the same", (t) => {
  const sys = new ScriptedSys();
  const file = openSync("/proc/self/ns/net", "r");
  t.after(() => closeSync(file));
  const openFiles = () => readdirSync("/proc/self/fd").length;
  const before = openFiles();
  assert.throws(
    () =>
      inNetworkNamespace(
        file,
        () => {
          throw new Error("inside");
        },
        sys,
      ),
    /inside/,
  );
  assert.equal(sys.entered.length, 2);
  assert.notEqual(sys.entered[1], file);
  assert.equal(openFiles(), before);
});
