/** Programs on a machine that has no file descriptors to spare. */
import assert from "node:assert/strict";
import { ChildProcess, spawnSync } from "node:child_process";
import { test } from "node:test";
import { chooseIptables, Iptables } from "../../src/cni/iptables.ts";
import { EGRESS_CHAIN } from "../../src/cni/rules.ts";
import { CUT_OFF, NOT_STARTED, type RunProgram, runProgram } from "../../src/cni/run-program.ts";

test("what a program says, and that there is none", async () => {
  const said = await runProgram("sh", ["-c", "cat; echo no >&2; exit 3"], "in");
  assert.deepEqual(said, { status: 3, stdout: "in", stderr: "no\n" });
  const { status, stderr } = await runProgram("no-such-program", []);
  assert.deepEqual([status, stderr], [undefined, "no-such-program: not installed"]);
});

test("an error that Node throws, in place of telling it by an event, is a result as well", async () => {
  // More octets in one argument than Linux takes; ENOMEM is thrown in the same way.
  const { status, stderr } = await runProgram("true", ["x".repeat(200_000)]);
  assert.deepEqual([status, stderr], [undefined, "true: spawn E2BIG"]);
});

test("a program that somebody kills has not taken too long", async () => {
  const killed = await runProgram("sh", ["-c", "echo half; kill -9 $$"]);
  assert.deepEqual(killed, { status: CUT_OFF, stdout: "half\n", stderr: "ended by SIGKILL" });
});

test("a program that is ended is waited for no longer than it lives, whatever it has started", async () => {
  const begun = performance.now();
  // As iptables starts modprobe, which may hang: it has the same standard output.
  const script = "sleep 20 & exec head -c 200000000 /dev/zero";
  const { status, stderr } = await runProgram("sh", ["-c", script]);
  assert.deepEqual([status, stderr], [CUT_OFF, "ended after printing too much"]);
  assert.ok(performance.now() - begun < 15_000);
});

test("without a file descriptor to spare it says so, and works again with some", () => {
  const script = `
    import { closeSync, openSync } from "node:fs";
    import { runProgram } from "${new URL("../../src/cni/run-program.ts", import.meta.url)}";
    await runProgram("true", []);
    const all = [];
    try { for (;;) all.push(openSync("/dev/null", "r")); } catch {}
    for (const count of [0, 1, 2, 20]) {
      for (const fd of all.splice(0, count)) closeSync(fd);
      const { status, stderr } = await runProgram("true", []);
      console.log(status, stderr);
    }`;
  const node = [process.execPath, "--input-type=module-typescript", "-e", script];
  const run = ["-c", 'ulimit -n 64 && exec "$@"', "sh", ...node];
  const { stdout, stderr } = spawnSync("sh", run, { encoding: "utf8" });
  const short = `${NOT_STARTED} true: spawn true EMFILE\n`;
  assert.equal(stdout, `${short}${short}${short}0 \n`, stderr);
});

test("without a process to spare it says which limit that is", async (t) => {
  const error = Object.assign(new Error("spawn iptables EAGAIN"), { code: "EAGAIN" });
  // Root's processes are counted by cgroups alone, which not every machine lets a test make.
  t.mock.method(ChildProcess.prototype as unknown as { spawn(): void }, "spawn", () => {
    throw error;
  });
  assert.deepEqual(await runProgram("iptables", []), {
    status: NOT_STARTED,
    stdout: "",
    stderr: "iptables: spawn iptables EAGAIN (no process to spare: the pids limit)",
  });
});

test("a back end of which nothing can be heard at the moment does not give way to the other", async () => {
  const run: RunProgram = async (program) =>
    program.includes("-nft")
      ? { status: NOT_STARTED, stdout: "", stderr: `${program}: spawn ${program} EMFILE` }
      : { status: 0, stdout: "iptables v1.8.9 (legacy)", stderr: "" };
  await assert.rejects(chooseIptables({ run, nftGeneration: async () => undefined }), {
    name: "PacketFilterError",
    code: "failed",
    message: "iptables-nft: spawn iptables-nft EMFILE",
  });
});

/** iptables-nft with a rule and a chain of ours, and an empty iptables-legacy; `cut` is killed. */
function bothWith(cut: string): RunProgram {
  return async (program, args) => {
    if ([program, ...args].join(" ").includes(cut)) {
      return { status: CUT_OFF, stdout: "", stderr: "ended by SIGKILL" };
    }
    const backend = program.includes("legacy") ? "legacy" : "nf_tables";
    if (args[0] === "--version") {
      return { status: 0, stdout: `iptables v1.8.9 (${backend})`, stderr: "" };
    }
    const stdout = program === "iptables-nft-save" ? "-A FORWARD -j ACCEPT\n" : "";
    return { status: 0, stdout, stderr: "" };
  };
}

test("a back end whose program is killed does not give way to the other", async () => {
  for (const cut of ["iptables-nft --version", "iptables-nft-save", "ip6tables-nft-save"]) {
    const deps = { run: bothWith(cut), nftGeneration: async () => undefined };
    await assert.rejects(chooseIptables(deps), { code: "failed", message: /: ended by SIGKILL$/ });
  }
});

test("a chain that could not be looked at is not taken for one that is not there", async () => {
  const nftGeneration = async () => undefined;
  const run = bothWith(`-S ${EGRESS_CHAIN}`);
  const cut = new Iptables("-nft", "iptables v1.8.9 (nf_tables)", { run, nftGeneration });
  await assert.rejects(cut.read(4, true), { message: "iptables-nft: ended by SIGKILL" });
});

test("a chain that could not be looked at for the lock is not taken for none either", async () => {
  const stderr = "Another app is currently holding the xtables lock. Stopped waiting after 5s.\n";
  const answers = new Map([
    [EGRESS_CHAIN, { status: 4, stdout: "", stderr }],
    ["FORWARD", { status: 0, stdout: "", stderr: "" }],
    ["POSTROUTING", { status: 0, stdout: "", stderr: "" }],
  ]);
  const run: RunProgram = async (_program, args) => answers.get(args.at(-1)!)!;
  const version = "iptables v1.8.9 (legacy)";
  const locked = new Iptables("-legacy", version, { run, nftGeneration: async () => undefined });
  await assert.rejects(locked.read(4, true), {
    code: "failed",
    message: `iptables-legacy: ${stderr.trim()}`,
  });
  answers.set(EGRESS_CHAIN, { status: 1, stdout: "", stderr: "iptables: No chain.\n" });
  assert.equal((await locked.read(4, true)).egressChain, undefined);
});

test("of two lists that are refused always the same refusal is told", async () => {
  const said = async (later: string) => {
    const run: RunProgram = async (_program, args) => {
      if (args.includes(later)) await new Promise((resolve) => setImmediate(resolve));
      return { status: 4, stdout: "", stderr: `no table ${args[3]}` };
    };
    const iptables = new Iptables("", "iptables v1.8.9", { run, nftGeneration: async () => 1 });
    return iptables.read(4, false).catch((error: Error) => error.message);
  };
  assert.equal(await said("filter"), "iptables: no table filter");
  assert.equal(await said("nat"), "iptables: no table filter");
});

test("a listing that could not be started names its program once", async () => {
  const stderr = "iptables: spawn iptables EMFILE";
  const run: RunProgram = async () => ({ status: NOT_STARTED, stdout: "", stderr });
  const iptables = new Iptables("", "iptables v1.8.9", { run, nftGeneration: async () => 1 });
  await assert.rejects(iptables.read(4, false), { code: "failed", message: stderr });
});
