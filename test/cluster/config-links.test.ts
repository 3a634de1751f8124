/**
 * `--config` alone on a machine with three links, a BIRD on each: of another AS, of the same, and
 * of a third where we have IPv4 alone. Each is told the addresses of its own link.
 */
import assert from "node:assert/strict";
import { type TestContext, test } from "node:test";
import { agentFromFile, birdLab, birdOnLink } from "../support/bird-lab.ts";
import { run, until } from "../support/shell.ts";

/** Third octet of a link's network, and hextet of its IPv6 one, and the AS of its BIRD. */
const LINKS = [
  { link: 2, as: 65001 },
  { link: 3, as: 64512 },
  { link: 4, as: 65004 },
] as const;

const bird = (link: number, as: number) => `router id 192.0.${link}.2;
protocol device {}
protocol static { ipv4; route 10.${link}.0.0/16 blackhole; }
protocol static { ipv6; route 2001:db8:${link}00::/48 blackhole; }
protocol bgp up {
  local 192.0.${link}.2 as ${as}; neighbor 192.0.${link}.1 as 64512;
  connect delay time 1; connect retry time 1; error wait time 1, 2;
  ipv4 { import all; export where source = RTS_STATIC; };
  ipv6 { import all; export where source = RTS_STATIC; };
}`;

const CONFIG = `global: { as: 64512, routerId: 192.0.2.1 }
policies:
  - { name: all, default: accept }
peerGroups:
  - { name: any, families: [ipv4, ipv6], import: all, export: all }
peers:
${LINKS.map(({ link, as }) => `  - { name: p${link}, address: 192.0.${link}.2, remoteAs: ${as}, group: any }`).join("\n")}
networks:
  - prefix: 10.99.0.0/24
  - { prefix: 10.98.0.0/24, nextHop: 192.0.4.77 }
  - prefix: 2001:db8:9900::/64
`;

async function lab(t: TestContext) {
  const made = await birdLab(t);
  if (made === undefined) return undefined;
  const { ns } = made;
  const controls = new Map<number, string>();
  await ns.add("us");
  for (const { link, as } of LINKS) {
    controls.set(link, await birdOnLink(made, link, bird(link, as)));
    if (link !== 4) await ns.ip("us", `addr add 2001:db8:${link}::1/64 dev v${link} nodad`);
    await ns.ip(`bird${link}`, `addr add 2001:db8:${link}::2/64 dev v0 nodad`);
  }
  return {
    client: await agentFromFile(made, CONFIG),
    /** Next hops that the BIRD of the link was told, by prefix. */
    told: async (link: number) => {
      const args = ["-s", controls.get(link)!, "show", "route", "all", "protocol", "up"];
      const { stdout } = await run("birdc", args);
      const found = new Map<string, string>();
      let prefix = "";
      for (const line of stdout.split("\n")) {
        prefix = /^([0-9a-f.:]+\/\d+)\s/.exec(line)?.[1] ?? prefix;
        // BIRD adds a link-local one where it knows one.
        const nextHop = /BGP\.next_hop: (\S+)/.exec(line)?.[1];
        if (nextHop !== undefined) found.set(prefix, nextHop);
      }
      return found;
    },
  };
}

test("networks without a next hop: each peer is told the address of its own link", async (t) => {
  const it = await lab(t);
  if (it === undefined) return;
  for (const { link } of LINKS) {
    await until(`BIRD ${link} has ours`, async () => {
      const told = await it.told(link);
      return told.get("10.99.0.0/24") === `192.0.${link}.1`;
    });
  }
  await until("as configured", async () => {
    const told = await it.told(4);
    return told.get("10.98.0.0/24") === "192.0.4.77";
  });
});

test("IPv6 over IPv4 sessions: the address of the link, or a warning", async (t) => {
  const it = await lab(t);
  if (it === undefined) return;
  for (const link of [2, 3]) {
    await until(`BIRD ${link} has ours`, async () => {
      const told = await it.told(link);
      return told.get("2001:db8:9900::/64") === `2001:db8:${link}::1`;
    });
  }
  await until("the external one is told what we learned", async () => {
    const told = await it.told(2);
    return told.get("2001:db8:300::/48") === "2001:db8:2::1";
  });
  const said = /IPv6 routes are not announced to p4 \(192\.0\.4\.2\)/;
  await until("what stays here is said", async () => said.test(await it.client("status")));
  assert.doesNotMatch(await it.client("status"), /not announced to p[23]/);
  // Its session is up when it is said, and it is told the rest then.
  const told = await until("BIRD 4 has what is IPv4", async () => {
    const prefixes = [...(await it.told(4)).keys()];
    const all = ["10.99.0.0/24", "10.98.0.0/24", "10.2.0.0/16", "10.3.0.0/16"];
    return all.every((prefix) => prefixes.includes(prefix)) && prefixes;
  });
  assert.ok(!told.some((prefix) => prefix.includes(":")));
});
