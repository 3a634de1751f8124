/** The configuration file is followed, and a wrong one leaves the last good one in force. */
import assert from "node:assert/strict";
import { existsSync, readdirSync, readFileSync, writeFileSync } from "node:fs";
import { mkdtemp, rename, rm, writeFile } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join, relative } from "node:path";
import { type TestContext, test } from "node:test";
import { setImmediate as nextLoop } from "node:timers/promises";
import { ConfigFileSource, type LoadedConfig } from "../../src/agent/config-file/source.ts";
import type { Clock } from "../../src/runtime/clock.ts";
import { systemClock } from "../../src/runtime/system-clock.ts";
import { FakeClock } from "../support/fake-clock.ts";
import { until } from "../support/shell.ts";

const peers = (...names: string[]) =>
  `peers:\n${names
    .map((name, index) => `  - { name: ${name}, address: 10.0.0.${index + 1}, remoteAs: 1 }\n`)
    .join("")}`;

async function followed(t: TestContext, text: string, clock: Clock = systemClock) {
  const folder = await mkdtemp(join(tmpdir(), "podrouter-config-"));
  const path = join(folder, "bgp.yaml");
  await writeFile(path, text);
  const configs: LoadedConfig[] = [];
  let problems: readonly string[] = [];
  const source = new ConfigFileSource(path, clock, {
    onConfig: (config) => configs.push(config),
    onProblems: (found) => {
      problems = found;
    },
  });
  t.after(async () => {
    source.stop();
    await rm(folder, { recursive: true });
  });
  const names = () =>
    configs
      .at(-1)
      ?.file.peers.map((peer) => peer.name)
      .join(" ");
  return { folder, path, source, configs, names, problems: () => problems };
}

test("changes are taken live, by rename too; a wrong file changes nothing and is named", async (t) => {
  const it = await followed(t, peers("a"));
  assert.equal(await it.source.start(), true);
  assert.equal(it.names(), "a");
  await writeFile(it.path, peers("a", "b"));
  await until("the change is taken", () => it.names() === "a b");
  await writeFile(it.path, "peers: [");
  await until("it is refused", () => it.problems().length > 0);
  assert.ok(it.problems()[0]!.startsWith(it.path));
  assert.equal(it.names(), "a b", "the last good one stays");
  await writeFile(`${it.path}.new`, peers("c"));
  await rename(`${it.path}.new`, it.path);
  await until("the renamed one is taken", () => it.names() === "c");
  assert.deepEqual(it.problems(), []);
});

test("a file that is emptied to be written anew takes nothing away; {} does", async (t) => {
  const it = await followed(t, peers("a"));
  assert.equal(await it.source.start(), true);
  await writeFile(it.path, "\n");
  await until("it is looked at", () => it.problems().length > 0 || it.configs.length > 1);
  assert.deepEqual(it.problems(), [`${it.path}:1: is empty; {} is a file that asks for nothing`]);
  assert.equal(await it.source.reload(), false);
  assert.equal(it.names(), "a");
  await writeFile(it.path, peers("a", "b"));
  await until("the new one is taken", () => it.names() === "a b");
  assert.deepEqual(it.problems(), []);
  await writeFile(it.path, "{}");
  await until("nothing is asked for", () => it.names() === "");
});

test("a file that is not there is one sentence; reload takes it when it comes", async (t) => {
  const it = await followed(t, peers("a"));
  await rm(it.path);
  assert.equal(await it.source.start(), false);
  assert.deepEqual(it.problems(), [`${it.path}: no such file`]);
  await writeFile(it.path, peers("a"));
  assert.equal(await it.source.reload(), true);
  assert.equal(it.names(), "a");
});

test("passwords come from their files, bounded, and a missing one is said", async (t) => {
  const it = await followed(t, "");
  const secret = join(it.folder, "secret");
  await writeFile(secret, "hunter2\n");
  const empty = join(it.folder, "empty");
  await writeFile(empty, "\n");
  const entry = (name: string, n: number, file: string) =>
    `  - { name: ${name}, address: 10.0.0.${n}, remoteAs: 1, passwordFile: ${file} }\n`;
  await writeFile(it.path, `peers:\n${entry("a", 1, secret)}${entry("b", 2, empty)}`);
  assert.equal(await it.source.start(), true);
  const { readSecret } = it.configs.at(-1)!;
  assert.deepEqual(readSecret(secret), { ok: true, secret: "hunter2" });
  assert.match(JSON.stringify(readSecret(empty)), /1 to 80 bytes, not 0/);
  await writeFile(secret, "other");
  await it.source.reload();
  assert.deepEqual(it.configs.at(-1)!.readSecret(secret), { ok: true, secret: "other" });
});

test("a folder that never rests does not put off a change", async (t) => {
  const clock = new FakeClock();
  const it = await followed(t, peers("a"), clock);
  assert.equal(await it.source.start(), true);
  await writeFile(it.path, peers("a", "b"));
  const isTaken = () => it.names() === "a b";
  const begun = clock.now();
  // Always another event before the folder has rested.
  while (!isTaken() && clock.now() - begun < 10_000) {
    await writeFile(join(it.folder, "other"), "");
    const isSeen = () => clock.nextDelayMs! > 10 && clock.nextDelayMs! <= 50;
    await until("the event is seen", () => isTaken() || isSeen());
    clock.advance(40);
    await until("a look is over", () => clock.pendingCount > 0);
  }
  const waited = clock.now() - begun;
  assert.ok(isTaken() && waited >= 2000 && waited < 4000, `${waited} ms`);
});

test("a change while the files are read is not taken to be read", async (t) => {
  const clock = new FakeClock();
  const it = await followed(t, "", clock);
  const secrets = Array.from({ length: 50 }, (_, i) => join(it.folder, `secret-${i}`));
  for (const secret of secrets) await writeFile(secret, "hunter2");
  const text = (name: string) =>
    `peers:\n${secrets
      .map((file, i) => {
        const peer = i === 0 ? name : `peer-${i}`;
        return `  - { name: ${peer}, address: 10.0.0.${i + 1}, remoteAs: 1, passwordFile: ${file} }\n`;
      })
      .join("")}`;
  writeFileSync(it.path, text("first"));
  assert.equal(await it.source.start(), true);
  // At every point of the reading, one a little later each time, until it is over by then.
  let over = false;
  for (let round = 0; !over; round++) {
    const reading = it.source.reload().then(() => {
      over = true;
    });
    for (let turn = 0; turn < round * 4 && !over; turn++) await nextLoop();
    const tooLate: boolean = over;
    // Another size each time: file systems with coarse clocks would not tell them apart.
    writeFileSync(it.path, `${text(`round-${round}`)}#${"x".repeat(round)}\n`);
    await reading;
    over = tooLate;
    await until(`the change of round ${round} is taken`, () => {
      clock.advance(100);
      return it.names()?.startsWith(`round-${round} `);
    });
  }
});

test("a password that cannot be had any more stays in force, for the file that it is of", async (t) => {
  const it = await followed(t, "");
  const [secret, other] = [join(it.folder, "secret"), join(it.folder, "other")];
  const names = (file: string) =>
    `peers: [{ name: a, address: 10.0.0.1, remoteAs: 1, passwordFile: ${file} }]\n`;
  const kept = { ok: true, secret: "hunter2" };
  await writeFile(secret, "hunter2\n");
  await writeFile(it.path, names(secret));
  assert.equal(await it.source.start(), true);
  assert.deepEqual(it.configs.at(-1)!.stalePasswords, []);

  await rm(secret);
  assert.equal(await it.source.reload(), true);
  assert.deepEqual(it.configs.at(-1)!.readSecret(secret), kept);
  assert.deepEqual(it.configs.at(-1)!.stalePasswords, [`${secret}: no such file`]);
  // What is no password is none to put in its place either; and one look more changes nothing.
  await writeFile(secret, "");
  for (let look = 0; look < 2; look++) {
    assert.equal(await it.source.reload(), true);
    assert.deepEqual(it.configs.at(-1)!.readSecret(secret), kept);
    assert.match(it.configs.at(-1)!.stalePasswords.join(), /1 to 80 bytes, not 0$/);
  }
  await writeFile(secret, "newer");
  assert.equal(await it.source.reload(), true);
  assert.deepEqual(it.configs.at(-1)!.readSecret(secret), { ok: true, secret: "newer" });
  assert.deepEqual(it.configs.at(-1)!.stalePasswords, []);

  // Of another file there has been none, and one that is not named any more is forgotten.
  for (const file of [other, secret]) {
    await rm(secret, { force: true });
    await writeFile(it.path, names(file));
    assert.equal(await it.source.reload(), true);
    assert.equal(it.configs.at(-1)!.readSecret(file).ok, false);
    assert.deepEqual(it.configs.at(-1)!.stalePasswords, []);
  }
});

test("a path that led to a password once is named, however it looks", async (t) => {
  const it = await followed(t, "");
  const secret = relative(process.cwd(), join(it.folder, "secret")).replace(
    /^\.\.\//,
    "test/../../",
  );
  await writeFile(secret, "hunter2\n");
  await writeFile(
    it.path,
    `peers: [{ name: a, address: 10.0.0.1, remoteAs: 1, passwordFile: ${secret} }]\n`,
  );
  assert.equal(await it.source.start(), true);
  await rm(secret);
  assert.equal(await it.source.reload(), true);
  assert.deepEqual(it.configs.at(-1)!.stalePasswords, [`${secret}: no such file`]);
});

test("an end in the middle of the first reading: nobody looks any more", async (t) => {
  const clock = new FakeClock();
  const it = await followed(t, peers("a"), clock);
  const watchesBefore = watches();
  const starting = it.source.start();
  it.source.stop();
  assert.equal(await starting, true);
  assert.deepEqual([it.configs, clock.pendingCount, watches()], [[], 0, watchesBefore]);
});

/** How many files and folders this process watches. */
function watches(): number {
  const fds = readdirSync("/proc/self/fdinfo").flatMap((fd) => {
    const path = `/proc/self/fdinfo/${fd}`;
    return existsSync(path) ? readFileSync(path, "utf8").match(/^inotify /gm) : [];
  });
  return fds.filter((line) => line !== null).length;
}
