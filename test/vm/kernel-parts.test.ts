/** What the virtual machine has, its kernel above all, which others of test/vm build on. */
import assert from "node:assert/strict";
import { test } from "node:test";
import { Namespaces } from "../support/namespaces.ts";
import { PODROUTER } from "../support/program.ts";
import { run } from "../support/shell.ts";

const KINDS = {
  dummy: "type dummy",
  ipip: "type ipip local 192.0.2.1 remote 192.0.2.2",
  ip6tnl: "type ip6tnl local 2001:db8::1 remote 2001:db8::2 mode any",
  vxlan: "type vxlan id 7 dstport 4789",
  bond: "type bond mode active-backup",
  vrf: "type vrf table 77",
  bridge: "type bridge vlan_filtering 1",
} as const;

test("links of every kind that a bare-metal node has can be made", async (t) => {
  const namespaces = new Namespaces();
  t.after(() => namespaces.remove());
  await namespaces.add("node");
  for (const [name, words] of Object.entries(KINDS)) {
    await namespaces.ip("node", `link add ${name}9 ${words}`);
  }
  await namespaces.ip("node", "link add link dummy9 name dummy9.5 type vlan id 5");
  await namespaces.ip("node", "link add link dummy9 name macvlan9 type macvlan mode bridge");
  await namespaces.exec("node", "tc", "qdisc", "add", "dev", "dummy9", "root", "netem");
  const links = await namespaces.ip("node", "-o link");
  for (const name of [...Object.keys(KINDS), "macvlan"])
    assert.match(links, new RegExp(`${name}9`));
});

test("agents run as in the image, with their compiled code", async () => {
  // It ends at once: a folder of that name cannot be made.
  const socket = "--admin-socket=/dev/null/podrouter.sock";
  const { stderr } = await run(PODROUTER, ["run", "--dry-run=true", "--health-port=0", socket]);
  assert.match(stderr, /"codeCache":"used","msg":"agent starts"/);
});
