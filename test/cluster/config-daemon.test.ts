/** `--config` alone: a BGP daemon beside BIRD, whose file is followed while it runs. */
import assert from "node:assert/strict";
import { rm, writeFile } from "node:fs/promises";
import { join } from "node:path";
import { type TestContext, test } from "node:test";
import { birdLab } from "../support/bird-lab.ts";
import { PODROUTER } from "../support/program.ts";
import { run, until } from "../support/shell.ts";

const BIRD = `router id 192.0.2.2;
protocol device {}
protocol static { ipv4; route 198.51.100.0/24 blackhole; route 10.1.0.0/16 blackhole; }
protocol bgp up {
  local 192.0.2.2 as 65001; neighbor 192.0.2.1 as 64512;
  connect delay time 1; connect retry time 1; error wait time 1, 2;
  PASSWORD
  ipv4 { import all; export all; };
}`;

const config = (imports: string, peer = "") => `global: { as: 64512, routerId: 192.0.2.1 }
policies:
  - { name: all, default: accept }
  - name: some
    statements:
      - match: { prefixes: [10.1.0.0/16] }
        set: { localPref: 300 }
        result: accept
peers:
  - { name: tor, address: 192.0.2.2, remoteAs: 65001, import: ${imports}, export: all${peer} }
networks:
  - { prefix: 10.99.0.0/16, communities: [64512:1] }
`;

async function lab(t: TestContext, password?: string) {
  const made = await birdLab(t);
  if (made === undefined) return undefined;
  const { folder, ns, start } = made;
  await ns.add("us");
  await ns.add("bird");
  await ns.veth("us", "v0", "bird", "v0");
  await ns.ip("us", "addr add 192.0.2.1/24 dev v0");
  await ns.ip("bird", "addr add 192.0.2.2/24 dev v0");
  const [control, file] = [join(folder, "bird.ctl"), join(folder, "bgp.yaml")];
  const line = password === undefined ? "" : `password "${password}";`;
  await writeFile(join(folder, "bird.conf"), BIRD.replace("PASSWORD", line));
  start("bird", "bird", "-f", "-c", join(folder, "bird.conf"), "-s", control);
  const socket = `--admin-socket=${join(folder, "admin.sock")}`;
  return {
    folder,
    file,
    agent: (...flags: string[]) => {
      const own = [`--config=${file}`, socket, `--state-dir=${folder}/state`, ...flags];
      return start("us", PODROUTER, "run", ...own);
    },
    client: async (...args: string[]) => (await run(PODROUTER, [...args, socket])).stdout,
    routes: async () => (await ns.ip("us", "route show proto 17")).split("\n").filter(Boolean),
    birdRoutes: async () => (await run("birdc", ["-s", control, "show", "route", "all"])).stdout,
  };
}

test("a daemon from a file: routes both ways, policies taken live, a wrong file refused", async (t) => {
  const it = await lab(t);
  if (it === undefined) return;
  await writeFile(it.file, config("all"));
  const agent = it.agent();
  await until("both routes are in the kernel", async () => (await it.routes()).length === 2);
  await until("BIRD has ours", async () => /10\.99\.0\.0\/16/.test(await it.birdRoutes()));
  assert.match(await it.birdRoutes(), /BGP\.community: \(64512,1\)/);

  await writeFile(it.file, config("some"));
  await until("the policy holds", async () => (await it.routes()).length === 1);
  assert.match(await it.client("rib", "10.1.0.0/16"), /LocalPref: 300/);
  assert.match(await it.client("peers", "tor"), /Established = 1\b/, "no new session for a policy");

  await writeFile(it.file, "peers: [{ name: tor }]");
  await until("it is refused", async () => /bgp\.yaml:1/.test(await it.client("status")));
  assert.equal((await it.routes()).length, 1, "the last good one stays in force");

  await writeFile(it.file, config("all"));
  await until("the good one is taken", async () => (await it.routes()).length === 2);
  agent.child.kill("SIGHUP");
  await until("SIGHUP is taken", () => /read again/.test(agent.output));
  for (const signal of ["SIGUSR1", "SIGUSR2"] as const) {
    agent.child.kill(signal);
    await until(`${signal} is told`, () =>
      new RegExp(`"signal":"${signal}","msg":"signal means nothing here`).test(agent.output),
    );
  }
  assert.doesNotMatch(agent.output, /Debugger/, "a debugger would listen in the host's network");
  assert.ok(agent.running);
  await until("all is well", async () => /No conditions/.test(await it.client("status")));
});

test("a peer that stays away holds no route back", async (t) => {
  const it = await lab(t);
  if (it === undefined) return;
  const away = "  - { name: away, address: 192.0.2.99, remoteAs: 65002 }\n";
  await writeFile(it.file, config("all").replace("networks:", `${away}networks:`));
  it.agent();
  // Sooner than it is given up to wait for that peer's table.
  await until("routes are in the kernel", async () => (await it.routes()).length === 2, 10_000);
});

test("a password: right, wrong and right again", async (t) => {
  const it = await lab(t, "s3cret");
  if (it === undefined) return;
  const key = join(it.folder, "key");
  await writeFile(key, "s3cret\n");
  await writeFile(it.file, config("all", `, passwordFile: ${key}`));
  const agent = it.agent();
  await until("the session is up", async () => (await it.routes()).length === 2);
  await writeFile(key, "wrong\n");
  agent.child.kill("SIGHUP");
  await until(
    "the reason says password",
    async () => /password/i.test(await it.client("peers", "tor")),
    20_000,
  );
  await writeFile(key, "s3cret\n");
  agent.child.kill("SIGHUP");
  await until("it is up again", async () => (await it.routes()).length === 2, 30_000);
  const established = /Established = \d+/.exec(await it.client("peers", "tor"))?.[0];
  await rm(key);
  agent.child.kill("SIGHUP");
  const stays = /key: no such file; the last good password stays in force/;
  await until("it is said", async () => stays.test(await it.client("status")));
  await writeFile(key, "s3cret\n");
  await until("all is well", async () => /No conditions/.test(await it.client("status")));
  const after = /Established = \d+/.exec(await it.client("peers", "tor"))?.[0];
  assert.equal(after, established, "it is the same session");
  assert.ok(!agent.output.includes("s3cret") && !agent.output.includes("wrong"));
});

test("a wrong file at start is one line for each mistake, in both forms of the log", async (t) => {
  const it = await lab(t);
  if (it === undefined) return;
  await writeFile(it.file, "global: { as: 0 }\npeers: 5\n");
  for (const format of ["json", "text"]) {
    const agent = it.agent(`--log-format=${format}`);
    assert.equal(await agent.exited, 1);
    const said = agent.output.split("\n").filter((line) => line.includes("agent cannot start"));
    assert.equal(said.length, 2, agent.output);
    assert.match(
      said[0]!,
      /bgp\.yaml:1: global\.as: expected an AS number from 1 to 4294967294, not 0/,
    );
    assert.match(said[1]!, /bgp\.yaml:2: peers: expected a list, not 5/);
  }
});

test("without a file at start, one sentence and exit code 1", async (t) => {
  const it = await lab(t);
  if (it === undefined) return;
  const agent = it.agent();
  assert.equal(await agent.exited, 1);
  assert.match(agent.output, /bgp\.yaml: no such file/);
});
