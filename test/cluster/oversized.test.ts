/**
 * A route whose attributes fill more than 4,096 octets, from a BIRD with long messages to one
 * without: kept from it and said, until the first one tells it shorter.
 */
import assert from "node:assert/strict";
import { writeFile } from "node:fs/promises";
import { join } from "node:path";
import { test } from "node:test";
import { agentFromFile, birdLab, birdOnLink } from "../support/bird-lab.ts";
import { run, until } from "../support/shell.ts";

const CONFIG = `global: { as: 64512, routerId: 192.0.3.1 }
policies: [{ name: all, default: accept }]
peers:
  - { name: wide, address: 192.0.3.2, remoteAs: 65003, import: all, export: all }
  - { name: narrow, address: 192.0.4.2, remoteAs: 65004, import: all, export: all }
`;

/** `communities`: how many it adds to 10.1.0.0/16. */
function bird(link: number, extended: boolean, communities: number): string {
  const added = Array.from(
    { length: communities },
    (_, i) => `bgp_community.add((65003, ${i + 1}));`,
  );
  return `router id 192.0.${link}.2;
protocol device {}
protocol static {
  ipv4;
  route 10.${link}.0.0/24 blackhole;
  ${communities > 0 ? "route 10.1.0.0/16 blackhole;" : ""}
}
filter tagged { if net = 10.1.0.0/16 then { ${added.join(" ")} } accept; }
protocol bgp up {
  local 192.0.${link}.2 as 6500${link}; neighbor 192.0.${link}.1 as 64512;
  enable extended messages ${extended ? "on" : "off"};
  connect delay time 1; connect retry time 1; error wait time 1, 2;
  ipv4 { import all; export filter tagged; };
}`;
}

test("a route that is too large for one peer's messages, beside one with long messages", async (t) => {
  const lab = await birdLab(t);
  if (lab === undefined) return;
  await lab.ns.add("us");
  const wide = await birdOnLink(lab, 3, bird(3, true, 1100));
  const narrow = await birdOnLink(lab, 4, bird(4, false, 0));
  const client = await agentFromFile(lab, CONFIG);
  const narrowHas = async () => (await run("birdc", ["-s", narrow, "show", "route"])).stdout;
  await until("the small route is passed on", async () =>
    /10\.3\.0\.0\/24/.test(await narrowHas()),
  );
  const warning = /oversized routes 192\.0\.4\.2.*the route 10\.1\.0\.0\/16 .* narrow /s;
  await until("it is said", async () => warning.test(await client("status")));
  assert.doesNotMatch(await narrowHas(), /10\.1\.0\.0\/16/);
  assert.match(await client("peers", "narrow"), /Advertised: +1\n(.*\n)*? +Oversized: +1\n/);
  assert.doesNotMatch(await client("peers", "wide"), /Oversized/);
  assert.match(await client("rib", "10.1.0.0/16"), /65003:1100/);

  await writeFile(join(lab.folder, "bird3.conf"), bird(3, true, 2));
  await run("birdc", ["-s", wide, "configure"]);
  await until("a shorter one is passed on", async () => /10\.1\.0\.0\/16/.test(await narrowHas()));
  await until("nothing is said", async () => !/oversized/.test(await client("status")));
  assert.match(await client("peers", "narrow"), /Advertised: +2\n/);
});
