/** The keeper of the CNI configuration: on files in memory with a fake clock, and on a real disk. */
import assert from "node:assert/strict";
import { chmod, mkdir, mkdtemp, readdir, readFile, rm, stat, writeFile } from "node:fs/promises";
import { tmpdir } from "node:os";
import { dirname, join } from "node:path";
import { type TestContext, test } from "node:test";
import { conflistDisk } from "../../src/cni/conflist-disk.ts";
import {
  ConflistFile,
  type ConflistFileOptions,
  type ConflistFileWanted,
} from "../../src/cni/conflist-file.ts";
import { CONFLIST_PERIOD_MS, CONFLIST_REST_MS } from "../../src/cni/limits.ts";
import { prefix } from "../../src/ip/prefix.ts";
import { silentLog } from "../../src/runtime/log.ts";
import { systemClock } from "../../src/runtime/system-clock.ts";
import { FakeClock } from "../support/fake-clock.ts";
import { recordingLog } from "../support/recording-log.ts";
import { until } from "../support/shell.ts";
import { BIN, MemoryFiles, PLUGINS } from "./memory-files.ts";

const PATH = "/etc/cni/net.d/10-kuberouter.conflist";
const READY: ConflistFileWanted = {
  podCidrs: [prefix("10.233.64.0/24")],
  mtu: 1500,
  notYet: undefined,
};

function setUp(t: TestContext, options: Partial<ConflistFileOptions> = {}) {
  const files = new MemoryFiles();
  const clock = new FakeClock();
  const { log, lines } = recordingLog();
  const keeper = new ConflistFile(
    { path: PATH, binFolder: BIN, kind: "bridge", ...options },
    { files, clock, random: () => 0, log },
  );
  t.after(() => keeper.stop());
  const names = () => keeper.conditions().map((condition) => condition.name);
  const message = (name: string) =>
    keeper.conditions().find((condition) => condition.name === name)?.message;
  return { files, clock, keeper, lines, names, message };
}

test("a new file is written once the node routes, and not before", async (t) => {
  const { files, clock, keeper, names, message, lines } = setUp(t);
  keeper.want({ ...READY, notYet: "BGP has not converged" });
  keeper.start();
  await clock.advanceAsync(CONFLIST_PERIOD_MS * 3);
  assert.deepEqual([files.writes, names()], [0, ["cni-conf-waits"]]);
  assert.equal(message("cni-conf-waits"), `${PATH} is not written yet: BGP has not converged`);
  assert.equal(keeper.inPlace, false);
  keeper.want({ ...READY, notYet: "routes are being installed" });
  assert.match(message("cni-conf-waits") ?? "", /: routes are being installed$/, "as it is now");
  keeper.want(READY);
  assert.deepEqual([files.writes, names()], [0, []], "it waits for nothing but the disk");
  await clock.advanceAsync(0);
  assert.deepEqual([files.writes, names(), keeper.inPlace], [1, [], true]);
  assert.match(files.texts.get(PATH)!, /"subnet": "10\.233\.64\.0\/24"/);
  assert.equal(lines.length, 1);
});

test("a file that is empty, as a full disk leaves it, is waited with like a missing one", async (t) => {
  const { files, clock, keeper, names } = setUp(t);
  files.texts.set(PATH, "");
  keeper.want({ ...READY, notYet: "BGP has not converged" });
  keeper.start();
  await clock.advanceAsync(0);
  assert.deepEqual([files.writes, names()], [0, ["cni-conf-waits"]]);
  keeper.want(READY);
  await clock.advanceAsync(0);
  assert.deepEqual([files.writes, names(), keeper.inPlace], [1, [], true]);
});

test("what it waits for stands while the next pass looks", async (t) => {
  const { files, clock, keeper, names } = setUp(t);
  keeper.want({ ...READY, notYet: "BGP has not converged" });
  keeper.start();
  await clock.advanceAsync(0);
  const meanwhile = new Set<string>();
  files.isProgram = async () => {
    meanwhile.add(names().join());
    return true;
  };
  await clock.advanceAsync(CONFLIST_PERIOD_MS);
  assert.deepEqual([...meanwhile], ["cni-conf-waits"]);
});

test("an end in the middle of a pass leaves nobody watching the folder", async (t) => {
  const { files, clock, keeper } = setUp(t);
  const listed = Promise.withResolvers<readonly string[]>();
  files.list = () => listed.promise;
  keeper.want(READY);
  keeper.start();
  await clock.advanceAsync(0);
  const ended = keeper.stop();
  listed.resolve([]);
  await ended;
  assert.deepEqual([files.watching, clock.pendingCount], [0, 0]);
});

test("what is right is not written again", async (t) => {
  const { files, clock, keeper } = setUp(t);
  keeper.want(READY);
  keeper.start();
  await clock.advanceAsync(CONFLIST_PERIOD_MS * 3);
  keeper.want({ ...READY });
  await clock.advanceAsync(0);
  assert.equal(files.writes, 1);
  assert.ok(files.reads > 3);
});

test("another pod CIDR, another MTU: written again at once, without the old range", async (t) => {
  const { files, clock, keeper } = setUp(t);
  keeper.want(READY);
  keeper.start();
  await clock.advanceAsync(0);
  keeper.want({ ...READY, podCidrs: [prefix("10.233.68.0/24")], mtu: 1450 });
  await clock.advanceAsync(0);
  const text = files.texts.get(PATH)!;
  assert.match(text, /10\.233\.68\.0\/24/);
  assert.match(text, /"mtu": 1450/);
  assert.doesNotMatch(text, /10\.233\.64\.0/);
});

test("a file that somebody removed comes back", async (t) => {
  const { files, clock, keeper } = setUp(t);
  files.texts.set(join(dirname(PATH), "99-loopback.conf"), "{}");
  keeper.want(READY);
  keeper.start();
  await clock.advanceAsync(0);
  files.remove(PATH);
  await clock.advanceAsync(CONFLIST_REST_MS - 1);
  assert.equal(files.texts.has(PATH), false, "an editor may be writing");
  await clock.advanceAsync(1);
  assert.equal(files.texts.has(PATH), true);
});

test("without pod CIDR nothing is touched", async (t) => {
  const { files, clock, keeper, names } = setUp(t);
  files.texts.set(PATH, "{");
  keeper.want({ ...READY, podCidrs: [] });
  keeper.start();
  await clock.advanceAsync(CONFLIST_PERIOD_MS);
  assert.deepEqual([files.writes, names(), files.texts.get(PATH)], [0, [], "{"]);
});

test("what is not understood is reported and left, until it is corrected", async (t) => {
  const { files, clock, keeper, names, message } = setUp(t);
  files.texts.set(PATH, "{ not JSON");
  keeper.want(READY);
  keeper.start();
  await clock.advanceAsync(CONFLIST_PERIOD_MS);
  assert.deepEqual(names(), ["cni-conf-not-understood"]);
  assert.match(message("cni-conf-not-understood")!, /conflist is not JSON: it is left as it is/);
  assert.deepEqual([files.writes, files.texts.get(PATH)], [0, "{ not JSON"]);
  files.put(PATH, JSON.stringify({ name: "mine", plugins: [{ type: "bridge" }] }));
  await clock.advanceAsync(CONFLIST_REST_MS);
  assert.deepEqual([files.writes, names()], [1, []]);
  assert.match(files.texts.get(PATH)!, /"name": "mine"/);
});

test("a read-only folder: one condition, tried again ever more slowly, then done", async (t) => {
  const { files, clock, keeper, message } = setUp(t);
  files.texts.set(join(dirname(PATH), "99-loopback.conf"), "{}");
  files.failure = "EROFS";
  keeper.want(READY);
  keeper.start();
  await clock.advanceAsync(0);
  assert.equal(
    message("cni-conf-file"),
    `the CNI configuration cannot be kept: ${PATH}: the file system is read-only`,
  );
  const before = files.reads;
  await clock.advanceAsync(60_000);
  const tries = files.reads - before;
  assert.ok(tries >= 6 && tries <= 14, `${tries} tries in a minute`);
  files.failure = undefined;
  await clock.advanceAsync(10_000);
  assert.deepEqual([files.writes, keeper.conditions()], [1, []]);
});

test("another configuration that comes first is named", async (t) => {
  const { files, clock, keeper, names, message } = setUp(t);
  const folder = dirname(PATH);
  for (const name of ["05-cilium.conflist", "10-a.json", "10-kuberouter.conf", "00-readme.txt"]) {
    files.texts.set(join(folder, name), "{}");
  }
  files.texts.set(join(folder, "20-other.conf"), "{}");
  keeper.want(READY);
  keeper.start();
  await clock.advanceAsync(0);
  assert.match(
    message("cni-conf-shadowed")!,
    /^05-cilium\.conflist, 10-a\.json, 10-kuberouter\.conf in \/etc\/cni\/net\.d sort before 10-kuberouter\.conflist/,
  );
  assert.equal(files.writes, 1, "ours is kept all the same");
  for (const name of ["10-a.json", "10-kuberouter.conf"]) files.remove(join(folder, name));
  await clock.advanceAsync(CONFLIST_REST_MS);
  assert.match(message("cni-conf-shadowed")!, /^05-cilium\.conflist in \S+ sorts before/);
  files.remove(join(folder, "05-cilium.conflist"));
  await clock.advanceAsync(CONFLIST_REST_MS);
  assert.deepEqual(names(), []);
});

test("missing plugins are named, the loopback and those of the administrator too", async (t) => {
  const { files, clock, keeper, message, names } = setUp(t);
  files.programs.clear();
  files.programs.add(join(BIN, "portmap"));
  const plugins = [{ type: "bridge" }, { type: "portmap" }, { type: "../../bin/sh" }];
  files.texts.set(PATH, JSON.stringify({ name: "n", plugins }));
  keeper.want(READY);
  keeper.start();
  await clock.advanceAsync(0);
  assert.equal(
    message("cni-plugins-missing"),
    "no pod can be made: bridge, host-local, ../../bin/sh, loopback not found in /opt/cni/bin (--cni-bin-dir)",
  );
  for (const name of PLUGINS) files.programs.add(join(BIN, name));
  files.put(PATH, JSON.stringify({ name: "n", plugins: plugins.slice(0, 2) }));
  await clock.advanceAsync(CONFLIST_REST_MS);
  assert.deepEqual(names(), []);
});

test("a dry run says what it would do", async (t) => {
  const { files, clock, keeper, names } = setUp(t, { dryRun: true });
  keeper.want(READY);
  keeper.start();
  await clock.advanceAsync(0);
  assert.deepEqual([files.writes, names()], [0, []]);
  assert.deepEqual(keeper.planned(), [`write ${PATH}`]);
});

test("after stop nothing is done", async (t) => {
  const { files, clock, keeper } = setUp(t);
  keeper.want({ ...READY, notYet: "…" });
  keeper.start();
  await clock.advanceAsync(0);
  await keeper.stop();
  keeper.want(READY);
  await clock.advanceAsync(CONFLIST_PERIOD_MS);
  assert.equal(files.writes, 0);
  assert.equal(clock.pendingCount, 0);
});

async function onDisk(t: TestContext, path: (folder: string) => string) {
  const folder = await mkdtemp(join(tmpdir(), "podrouter-cni-"));
  const binFolder = join(folder, "bin");
  await mkdir(binFolder);
  for (const name of PLUGINS) {
    await writeFile(join(binFolder, name), "#!/bin/sh\n");
    await chmod(join(binFolder, name), 0o755);
  }
  const keeper = new ConflistFile(
    { path: path(folder), binFolder, kind: "bridge" },
    { files: conflistDisk, clock: systemClock, random: () => 0, log: silentLog },
  );
  t.after(async () => {
    await keeper.stop();
    await rm(folder, { recursive: true });
  });
  keeper.want(READY);
  keeper.start();
  return { folder, binFolder, keeper };
}

test("on disk: folders are made, the file is whole and for root only", async (t) => {
  const { folder, keeper } = await onDisk(t, (base) => join(base, "cni/net.d/10-k.conflist"));
  const path = join(folder, "cni/net.d/10-k.conflist");
  await until("the file is written", () => keeper.inPlace);
  await rm(path);
  await until(
    "it is watched in its new folder too",
    async () => keeper.inPlace && !!(await stat(path)),
  );
  assert.deepEqual(await readdir(dirname(path)), ["10-k.conflist"]);
  assert.equal((await stat(path)).mode & 0o777, 0o600);
  assert.deepEqual(keeper.conditions(), []);
  const first = await stat(path);
  keeper.want({ ...READY, mtu: 1400 });
  await until("it is written again", async () => (await readFile(path, "utf8")).includes("1400"));
  assert.notEqual((await stat(path)).ino, first.ino, "replaced, not written into");
});

test("on disk: somebody's change is seen, and what was lost comes back", async (t) => {
  const { folder, keeper } = await onDisk(t, (base) => join(base, "10-k.conflist"));
  const path = join(folder, "10-k.conflist");
  await until("the file is written", () => keeper.inPlace);
  await writeFile(path, "{");
  await until("it is not understood", () =>
    keeper.conditions().some(({ name }) => name === "cni-conf-not-understood"),
  );
  assert.equal(await readFile(path, "utf8"), "{");
  await rm(path);
  await until("it is back", () => keeper.inPlace && keeper.conditions().length === 0);
});

test("on disk: a folder in place of the file, a file in place of the folder, no program", async (t) => {
  const inTheWay = await onDisk(t, (base) => join(base, "bin"));
  await until("the folder is named", () =>
    keeperSays(inTheWay.keeper, "cni-conf-file", /bin: is a directory$/),
  );
  const under = await onDisk(t, (base) => join(base, "bin/bridge/10-k.conflist"));
  await until("the path is named", () =>
    keeperSays(under.keeper, "cni-conf-file", /a part of the path is not a directory$/),
  );
  const plain = await onDisk(t, (base) => join(base, "10-k.conflist"));
  await until("all plugins are there", () => plain.keeper.inPlace);
  await chmod(join(plain.binFolder, "portmap"), 0o644);
  plain.keeper.want({ ...READY });
  await until("a plugin that is not executable is missing", () =>
    keeperSays(plain.keeper, "cni-plugins-missing", /: portmap not found in /),
  );
});

function keeperSays(keeper: ConflistFile, name: string, message: RegExp): boolean {
  return keeper
    .conditions()
    .some((condition) => condition.name === name && message.test(condition.message));
}
