/**
 * A directly connected router, and another one that announces its address: a /32 is more specific
 * than the link's subnet, and the session with the first, whose packets go one hop far, would end.
 */
import assert from "node:assert/strict";
import { writeFile } from "node:fs/promises";
import { join } from "node:path";
import { test } from "node:test";
import { setTimeout as delay } from "node:timers/promises";
import { agentFromFile, birdLab, birdOnLink } from "../support/bird-lab.ts";
import { until } from "../support/shell.ts";

const HOLD_SECONDS = 3;
const TOR = "192.0.2.2";
const UPLINK = "192.0.2.9";
const SERVICE = "192.0.2.200";

const bird = (link: number, as: number, routes: readonly string[]) => `router id 192.0.${link}.2;
protocol device {}
protocol static { ipv4; ${routes.map((to) => `route ${to} blackhole;`).join(" ")} }
protocol bgp up {
  local 192.0.${link}.2 as ${as}; neighbor 192.0.${link}.1 as 64512;
  connect delay time 1; connect retry time 1; error wait time 1, 2;
  ipv4 { import all; export where source = RTS_STATIC; };
}`;

const peer = (name: string, address: string, as: number) =>
  `  - { name: ${name}, address: ${address}, remoteAs: ${as}, import: all, export: all,` +
  ` holdTime: ${HOLD_SECONDS}s }\n`;
const OTHER = peer("other", "192.0.3.2", 65002);
const config = (peers: string) => `global: { as: 64512, routerId: 192.0.2.1 }
policies: [{ name: all, default: accept }]
peers:
${peers}`;

test("what another router announces leads to no router and no gateway of our links", async (t) => {
  const lab = await birdLab(t);
  if (lab === undefined) return;
  const { ns, folder } = lab;
  await ns.add("us");
  await birdOnLink(lab, 2, bird(2, 65001, ["10.50.0.0/16"]));
  const stolen = [TOR, UPLINK, SERVICE].map((address) => `${address}/32`);
  await birdOnLink(lab, 3, bird(3, 65002, ["10.60.0.0/16", ...stolen]));
  await ns.ip("us", `route add 10.70.0.0/16 via ${UPLINK}`);
  const client = await agentFromFile(lab, config(peer("tor", TOR, 65001) + OTHER));
  const installed = async () => {
    const lines = (await ns.ip("us", "route show proto 17")).split("\n");
    return lines.map((line) => line.split(" via ")[0]).filter((to) => to !== "");
  };
  const have = (...routes: string[]) =>
    until(routes.join(), async () => {
      assert.deepEqual(await installed(), routes);
      return true;
    });

  await have("10.50.0.0/16", "10.60.0.0/16", SERVICE);
  await delay(HOLD_SECONDS * 1000 + 500);
  assert.match(await client("peers", "tor"), /Established = 1\b/, "one session all the time");
  await have("10.50.0.0/16", "10.60.0.0/16", SERVICE);
  const status = await client("status");
  const says = (what: string) =>
    `${what.split(" ")[1]}/32 via 192.0.3.2 is refused: it covers the ${what}, which is on a link`;
  assert.ok(status.includes(says(`peer ${TOR}`)), status);
  assert.ok(status.includes(says(`gateway ${UPLINK}`)), status);

  // Followed live: nobody's address, then a peer's again.
  await writeFile(join(folder, "bgp.yaml"), config(OTHER));
  await have("10.60.0.0/16", TOR, SERVICE);
  await writeFile(join(folder, "bgp.yaml"), config(peer("tor", TOR, 65001) + OTHER));
  await have("10.50.0.0/16", "10.60.0.0/16", SERVICE);
  await ns.ip("us", `route add 10.80.0.0/16 via ${SERVICE}`);
  await have("10.50.0.0/16", "10.60.0.0/16");
});
