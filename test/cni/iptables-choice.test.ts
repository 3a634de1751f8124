/** Which back end of iptables is chosen, and what of it is used. */
import assert from "node:assert/strict";
import { test } from "node:test";
import { chooseIptables } from "../../src/cni/iptables.ts";
import type { ProgramResult, RunProgram } from "../../src/cni/run-program.ts";

/** A machine with these programs and rules. */
function machine(outputs: Readonly<Record<string, string>>): RunProgram {
  return async (program, args): Promise<ProgramResult> => {
    const text = outputs[args[0] === "--version" ? `${program} --version` : program];
    if (text === undefined) return { status: undefined, stdout: "", stderr: "not installed" };
    return { status: 0, stdout: text, stderr: "" };
  };
}

const NFT = "iptables v1.8.9 (nf_tables)\n";
const LEGACY = "iptables v1.8.9 (legacy)\n";
const both = {
  "iptables-nft --version": NFT,
  "iptables-nft-save": "",
  "ip6tables-nft-save": "",
  "iptables-legacy --version": LEGACY,
  "iptables-legacy-save": "",
  "ip6tables-legacy-save": "",
};
const OUT = '-i kube-bridge -m comment --comment "allow outbound traffic from pods" -j ACCEPT';
const hint = "*mangle\n:PREROUTING ACCEPT [0:0]\n:KUBE-IPTABLES-HINT - [0:0]\nCOMMIT\n";

test("the back end that the machine uses is chosen", async () => {
  const choose = async (outputs: Readonly<Record<string, string>>) => {
    const { used, other } = await chooseIptables({
      run: machine(outputs),
      nftGeneration: async () => undefined,
    });
    return [used.version, other && `${other.filter.version} IPv${other.families.join()}`];
  };
  const [nft, legacy] = [NFT.trim(), LEGACY.trim()];
  const rules = (n: number) => "-A X -j Y\n".repeat(n);
  assert.deepEqual(await choose(both), [nft, undefined]);
  assert.deepEqual(await choose({ ...both, "iptables-legacy-save": rules(1) }), [
    legacy,
    undefined,
  ]);
  assert.deepEqual(
    await choose({ ...both, "iptables-legacy-save": rules(1), "ip6tables-nft-save": rules(2) }),
    [nft, undefined],
  );
  const ours = `:PODROUTER-EGRESS - [0:0]\n-A FORWARD ${OUT}\n`;
  assert.deepEqual(
    await choose({ ...both, "iptables-legacy-save": hint, "iptables-nft-save": rules(9) + ours }),
    [legacy, `${nft} IPv4`],
  );
  const others = { "iptables-legacy-save": hint, "ip6tables-nft-save": rules(9) };
  for (const mine of ours.trim().split("\n")) {
    const saved = { ...both, ...others, "iptables-nft-save": mine };
    assert.deepEqual(await choose(saved), [legacy, `${nft} IPv4`], mine);
  }
  assert.deepEqual(await choose({ ...both, ...others }), [legacy, undefined]);
  const { "iptables-nft --version": _, ...onlyLegacy } = both;
  assert.deepEqual(await choose(onlyLegacy), [legacy, undefined]);
  const plain = { "iptables --version": "iptables v1.4.21\n", "iptables-save": "" };
  assert.deepEqual(await choose(plain), ["iptables v1.4.21", undefined]);
  await assert.rejects(choose({}), { name: "PacketFilterError", code: "missing" });
  // There, and not allowed: nothing that is to be installed.
  const run: RunProgram = async (program, args) =>
    args[0] === "--version"
      ? { status: 0, stdout: NFT, stderr: "" }
      : { status: 4, stdout: "", stderr: `${program}: Permission denied (you must be root)\n` };
  await assert.rejects(chooseIptables({ run, nftGeneration: async () => undefined }), {
    code: "failed",
    message:
      /^iptables-save: .*\(you must be root\) \(is CAP_NET_ADMIN or CAP_NET_RAW missing\?\)$/,
  });
});

test("what iptables says without the raw socket that sets take names the capability", async () => {
  const { used } = await chooseIptables({
    run: async (program, args, ...input) =>
      program.endsWith("-restore")
        ? { status: 2, stdout: "", stderr: `${program} v1.8.9: Can't open socket to ipset.\n` }
        : machine(both)(program, args, ...input),
    nftGeneration: async () => undefined,
  });
  await assert.rejects(used.change(4, "nat", ["-N X"]), {
    message:
      "iptables-nft-restore: iptables-nft-restore v1.8.9: Can't open socket to ipset. " +
      "(is CAP_NET_ADMIN or CAP_NET_RAW missing?)",
  });
});

test("a back end that cannot be asked now is not taken for one that is not there", async () => {
  const choose = (broken: string) => {
    const run = machine({ ...both, "iptables-nft-save": hint });
    return chooseIptables({
      run: async (program, ...given) =>
        program === broken
          ? { status: 4, stdout: "", stderr: "Could not fetch rule set generation id" }
          : run(program, ...given),
      nftGeneration: async () => undefined,
    });
  };
  const told = async (broken: string) => {
    const { used, unsure } = await choose(broken);
    return [used.version, unsure];
  };
  assert.deepEqual(await told("iptables-nft-save"), [LEGACY.trim(), true]);
  assert.deepEqual(await told("iptables-legacy-save"), [NFT.trim(), true]);
  assert.deepEqual(await told("ip6tables-legacy-save"), [NFT.trim(), false]);
});

test("--random-fully is used from iptables 1.6.2 on", async () => {
  const versions = { "1.4.21": false, "1.6.1": false, "1.6.2": true, "1.8.0": true, "2.0.0": true };
  for (const [version, known] of Object.entries(versions)) {
    const outputs = { "iptables --version": `iptables v${version}`, "iptables-save": "" };
    const deps = { run: machine(outputs), nftGeneration: async () => undefined };
    const { used } = await chooseIptables(deps);
    assert.equal(used.randomFully, known, version);
  }
});
