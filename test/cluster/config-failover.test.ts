/**
 * Two routers of other AS that announce the same, and one inside to whom it is passed on. The link
 * to the better router goes, and not a word is said: hold timers would take 90 s to find out.
 */
import assert from "node:assert/strict";
import { type TestContext, test } from "node:test";
import { agentFromFile, birdLab, birdOnLink } from "../support/bird-lab.ts";
import { run, until } from "../support/shell.ts";

/** Far less than a hold time, and room for a machine that is busy with other things. */
const PROMPT_MS = 5_000;

/** Third octet of a link's network, and the AS of its BIRD. */
const LINKS = [
  { link: 2, as: 65001 },
  { link: 3, as: 65002 },
  { link: 4, as: 64512 },
] as const;

const bird = (link: number, as: number) => `router id 192.0.${link}.2;
protocol device {}
protocol static { ipv4; ${as === 64512 ? "" : "route 10.50.0.0/16 blackhole;"} }
protocol bgp up {
  local 192.0.${link}.2 as ${as}; neighbor 192.0.${link}.1 as 64512;
  connect delay time 1; connect retry time 1; error wait time 1, 2;
  ipv4 { import all; export where source = RTS_STATIC; };
}`;

const CONFIG = `global: { as: 64512, routerId: 192.0.2.1 }
policies:
  - { name: all, default: accept }
  - name: better
    statements: [{ set: { localPref: 200 }, result: accept }]
peers:
  - { name: first, address: 192.0.2.2, remoteAs: 65001, import: better, export: all }
  - { name: second, address: 192.0.3.2, remoteAs: 65002, import: all, export: all }
  - { name: inside, address: 192.0.4.2, remoteAs: 64512, import: all, export: all, nextHopSelf: true }
`;

async function lab(t: TestContext) {
  const made = await birdLab(t);
  if (made === undefined) return undefined;
  const { ns } = made;
  await ns.add("us");
  const controls = new Map<number, string>();
  for (const { link, as } of LINKS) {
    controls.set(link, await birdOnLink(made, link, bird(link, as)));
  }
  const client = await agentFromFile(made, CONFIG);
  const inside = controls.get(4)!;
  const it = {
    ns,
    client,
    installed: () => ns.ip("us", "route show 10.50.0.0/16"),
    /** AS paths of the route at the one inside. */
    told: async () => {
      const args = ["-s", inside, "show", "route", "all", "10.50.0.0/16"];
      return [...(await run("birdc", args)).stdout.matchAll(/BGP\.as_path: (.*)/g)].map(
        (m) => m[1],
      );
    },
  };
  await until("the better one is used", async () => (await it.installed()).includes("192.0.2.2"));
  await until("and told", async () => (await it.told()).join() === "65001");
  await until("and the other known", async () => {
    return (await it.client("rib")).includes("192.0.3.2");
  });
  return it;
}

const WAYS = {
  "set down": ["us", "v2"],
  "without a carrier": ["bird2", "v0"],
} as const;

for (const [how, [namespace, link]] of Object.entries(WAYS)) {
  test(`a link ${how}: the other router is used at once, here and inside`, async (t) => {
    const it = await lab(t);
    if (it === undefined) return;
    await it.ns.ip(namespace, `link set ${link} down`);
    const began = performance.now();
    await until("the other is used", async () => (await it.installed()).includes("192.0.3.2"));
    await until("and told", async () => (await it.told()).join() === "65002");
    assert.ok(performance.now() - began < PROMPT_MS, `took ${performance.now() - began} ms`);
    await it.ns.ip(namespace, `link set ${link} up`);
    await until("the better one again", async () => (await it.installed()).includes("192.0.2.2"));
    await until("and told", async () => (await it.told()).join() === "65001");
  });
}
