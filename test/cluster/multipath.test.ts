/**
 * Several equal paths in one route: two BIRD routers, each on a link of its own, announce the same
 * prefixes of both families, and packets go to both.
 *
 *   us ─ v1 ─ one   192.0.2.0/30, fd00:1::/64    both have every address of 198.51.100.0/24
 *      ─ v2 ─ two   192.0.2.4/30, fd00:2::/64    and of 2001:db8:1::/64
 */
import assert from "node:assert/strict";
import { writeFile } from "node:fs/promises";
import { join } from "node:path";
import { type TestContext, test } from "node:test";
import { birdLab } from "../support/bird-lab.ts";
import { PODROUTER } from "../support/program.ts";
import { must, run, until } from "../support/shell.ts";

const PREFIX = "198.51.100.0/24";
const PREFIX6 = "2001:db8:1::/64";
const ONE = { name: "one", link: "v1", as: 65001, us: "192.0.2.1", us6: "fd00:1::1" };
const TWO = { name: "two", link: "v2", as: 65002, us: "192.0.2.5", us6: "fd00:2::1" };
const ROUTERS = [
  { ...ONE, address: "192.0.2.2", address6: "fd00:1::2" },
  { ...TWO, address: "192.0.2.6", address6: "fd00:2::2" },
] as const;
type Router = (typeof ROUTERS)[number];

const birdConfig = ({ as, us, us6, address, address6 }: Router) => `router id ${address};
protocol device {}
protocol static static4 { ipv4; route ${PREFIX} blackhole; }
protocol static static6 { ipv6; route ${PREFIX6} blackhole; }
template bgp up {
  local as ${as}; connect delay time 1; connect retry time 1; error wait time 1, 2;
}
protocol bgp up4 from up { source address ${address}; neighbor ${us} as 64512;
  ipv4 { import all; export all; }; }
protocol bgp up6 from up { source address ${address6}; neighbor ${us6} as 64512;
  ipv6 { import all; export all; }; }
`;

const ourConfig = (paths?: number) => `global:
  as: 64512
  routerId: 192.0.2.1
${paths === undefined ? "" : `  maximumPaths: ${paths}\n`}policies: [{ name: all, default: accept }]
peers:
${ROUTERS.map(
  ({ name, as, address, address6 }) =>
    `  - { name: ${name}, address: ${address}, remoteAs: ${as}, families: [ipv4], import: all }
  - { name: ${name}-6, address: "${address6}", remoteAs: ${as}, families: [ipv6], import: all }
`,
).join("")}`;

async function lab(t: TestContext) {
  const made = await birdLab(t);
  if (made === undefined) return undefined;
  const { folder, ns, start } = made;
  const control = (name: string) => join(folder, `${name}.ctl`);
  await ns.add("us");
  for (const router of ROUTERS) {
    const { name, link } = router;
    await ns.add(name);
    await ns.veth("us", link, name, "eth0");
    await ns.ip("us", `addr add ${router.us}/30 dev ${link}`);
    await ns.ip("us", `addr add ${router.us6}/64 dev ${link} nodad`);
    await ns.ip(name, `addr add ${router.address}/30 dev eth0`);
    await ns.ip(name, `addr add ${router.address6}/64 dev eth0 nodad`);
    await ns.ip(name, `route add local ${PREFIX} dev lo`);
    await ns.ip(name, `route add local ${PREFIX6} dev lo`);
    // Replies from the anycast addresses find the way back whatever the source.
    await ns.ip(name, `route add default via ${router.us}`);
    await ns.ip(name, `route add default via ${router.us6}`);
    const file = join(folder, `${name}.conf`);
    await writeFile(file, birdConfig(router));
    start(name, "bird", "-f", "-c", file, "-s", control(name));
  }
  const file = join(folder, "bgp.yaml");
  const socket = `--admin-socket=${join(folder, "admin.sock")}`;
  await writeFile(file, ourConfig());
  start(
    ...(["us", PODROUTER, "run", `--config=${file}`, socket] as const),
    ...[`--state-dir=${join(folder, "state")}`, "--maximum-paths=4"],
  );
  return {
    ns,
    configure: (paths?: number) => writeFile(file, ourConfig(paths)),
    /** `enable` or `disable` of a protocol of a router. */
    birdc: (name: string, ...words: string[]) => must("birdc", ["-s", control(name), ...words]),
    rib: async (prefix: string) => (await run(PODROUTER, ["rib", prefix, socket])).stdout,
  };
}

type Lab = NonNullable<Awaited<ReturnType<typeof lab>>>;

/** The next hops of our one route for a prefix, in order; undefined when there is no one route. */
async function nextHops({ ns }: Lab, prefix: string): Promise<string | undefined> {
  const json = await ns.ip(
    "us",
    `${prefix === PREFIX ? "-4" : "-6"} -j route show ${prefix} proto 17`,
  );
  const routes = JSON.parse(json) as {
    readonly gateway?: string;
    readonly nexthops?: readonly { readonly gateway: string }[];
  }[];
  if (routes.length !== 1) return undefined;
  const [route] = routes;
  return (route!.nexthops?.map(({ gateway }) => gateway) ?? [route!.gateway]).sort().join(" ");
}

/** Packets that went out on each of our links to addresses of a prefix. */
async function spread({ ns }: Lab, address: (n: number) => string): Promise<readonly number[]> {
  const sent = async () => {
    const links = JSON.parse(await ns.ip("us", "-j -s link show")) as {
      readonly ifname: string;
      readonly stats64: { readonly tx: { readonly packets: number } };
    }[];
    return ROUTERS.map(({ link }) => links.find((one) => one.ifname === link)!.stats64.tx.packets);
  };
  const before = await sent();
  const pings = Array.from({ length: 32 }, (_, n) => `ping -c1 -W2 ${address(n + 1)}`);
  await ns.exec(
    "us",
    "sh",
    "-c",
    `${pings.map((ping) => `${ping} >/dev/null || exit 1`).join(";")}`,
  );
  const after = await sent();
  return after.map((count, index) => count - before[index]!);
}

test("equal paths share one route, of each family", async (t) => {
  const it = await lab(t);
  if (it === undefined) return;
  const is = (prefix: string, expected: string) =>
    until(`${prefix} via ${expected}`, async () => (await nextHops(it, prefix)) === expected);
  for (const [prefix, both, host, table] of [
    [PREFIX, "192.0.2.2 192.0.2.6", (n: number) => `198.51.100.${n}`, "4"],
    [PREFIX6, "fd00:1::2 fd00:2::2", (n: number) => `2001:db8:1::${n.toString(16)}`, "6"],
  ] as const) {
    const [first, second] = both.split(" ") as [string, string];
    await t.test(`IPv${table}`, async () => {
      await is(prefix, both);
      assert.match(await it.rib(prefix), /^\*> .*\n\*= /m, "the second is marked as used");
      const counts = await spread(it, host);
      assert.ok(
        counts.every((count) => count > 4),
        `packets by link: ${counts.join(", ")}`,
      );

      await it.birdc("two", "disable", `static${table}`);
      await is(prefix, first);
      assert.doesNotMatch(await it.rib(prefix), /^\*=/m);
      await it.birdc("two", "enable", `static${table}`);
      await is(prefix, both);
      await it.birdc("one", "disable", `static${table}`);
      await is(prefix, second);
      await it.birdc("one", "enable", `static${table}`);
      await is(prefix, both);
    });
  }

  await t.test("a link down takes out its next hop, and up again brings it back", async () => {
    await it.ns.ip("us", "link set v2 down");
    await is(PREFIX, "192.0.2.2");
    await is(PREFIX6, "fd00:1::2");
    await it.ns.ip("us", "link set v2 up");
    await it.ns.ip("us", "addr replace fd00:2::1/64 dev v2 nodad");
    await is(PREFIX, "192.0.2.2 192.0.2.6");
    await is(PREFIX6, "fd00:1::2 fd00:2::2");
  });

  await t.test("what others take out of it is put back", async () => {
    await it.ns.ip("us", `-6 route del ${PREFIX6} via fd00:2::2 dev v2`);
    await is(PREFIX6, "fd00:1::2 fd00:2::2");
    await it.ns.ip("us", `route replace ${PREFIX} via 192.0.2.6 proto 17`);
    await is(PREFIX, "192.0.2.2 192.0.2.6");
    for (const prefix of [PREFIX, PREFIX6]) {
      await it.ns.ip("us", `route del ${prefix}`);
      await is(prefix, prefix === PREFIX ? "192.0.2.2 192.0.2.6" : "fd00:1::2 fd00:2::2");
    }
  });

  await t.test("the file's number goes before the flag's, and is taken live", async () => {
    await it.configure(1);
    await is(PREFIX, "192.0.2.2");
    await is(PREFIX6, "fd00:1::2");
    await it.configure();
    await is(PREFIX, "192.0.2.2 192.0.2.6");
    await is(PREFIX6, "fd00:1::2 fd00:2::2");
  });
});
