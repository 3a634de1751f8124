/** Which back ends of iptables cleanup is to look through, and which it could not ask. */
import assert from "node:assert/strict";
import { test } from "node:test";
import { iptablesHolding } from "../../src/cni/iptables.ts";
import { NOT_STARTED, type ProgramResult } from "../../src/cni/run-program.ts";

const OURS = ":PODROUTER-EGRESS - [0:0]\n";

/** What each program answers; a version where it is not said, nothing where it is not here. */
function look(answers: Readonly<Record<string, Partial<ProgramResult>>>) {
  return iptablesHolding({
    async run(program, args) {
      const of = args[0] === "--version" ? `${program} --version` : program;
      const installed = { stdout: "iptables v1.8.9 (nf_tables)\n" };
      const answer = answers[of] ?? (of === program ? {} : installed);
      return { status: 0, stdout: "", stderr: "", ...answer };
    },
    nftGeneration: async () => undefined,
  });
}

const told = async (answers: Parameters<typeof look>[0]) => {
  const { holding, unseen } = await look(answers);
  return { holding: holding.map(({ families }) => families.join()), unseen };
};
const refused = (stderr: string, status = 4) => ({ status, stderr });
const missing = { status: undefined, stderr: "not installed" };

test("back ends that hold something of ours", async () => {
  const answers = {
    "iptables-legacy-save": { stdout: OURS },
    "ip6tables-nft-save": { stdout: OURS },
  };
  assert.deepEqual(await told(answers), { holding: ["6", "4"], unseen: [] });
  const plain = {
    "iptables-nft --version": missing,
    "iptables-legacy --version": missing,
    "iptables-save": { stdout: OURS },
  };
  assert.deepEqual(await told(plain), { holding: ["4"], unseen: [] });
  assert.deepEqual(await told({ ...plain, "iptables --version": missing }), {
    holding: [],
    unseen: [],
  });
});

test("one that does not answer is told of, in either family, and the rest is looked at", async () => {
  const busy = refused("iptables-nft-save: Could not fetch rule set generation id: Busy\n");
  const unseen = [
    "iptables-nft-save: iptables-nft-save: Could not fetch rule set generation id: Busy",
  ];
  const legacy = { "iptables-legacy-save": { stdout: OURS } };
  assert.deepEqual(await told({ ...legacy, "iptables-nft-save": busy }), {
    holding: ["4"],
    unseen,
  });
  assert.deepEqual(
    await told({ "iptables-nft-save": busy, "ip6tables-nft-save": { stdout: OURS } }),
    {
      holding: ["6"],
      unseen,
    },
  );
  const six = refused("ip6tables-legacy-save: Cannot initialize: no\n", 1);
  assert.deepEqual(await told({ ...legacy, "ip6tables-legacy-save": six }), {
    holding: ["4"],
    unseen: ["ip6tables-legacy-save: ip6tables-legacy-save: Cannot initialize: no"],
  });
  const alone = { "iptables-nft --version": missing, "iptables-legacy --version": missing };
  const { unseen: ofPlain } = await look({ ...alone, "iptables-save": refused("no\n") });
  assert.deepEqual(ofPlain, ["iptables-save: no"]);
});

test("a kernel without nf_tables holds no rules of it: nothing to be told", async () => {
  for (const said of [
    "iptables-nft-save/v1.8.9 Failed to initialize nft: Protocol not supported\n",
    "iptables-nft-save v1.8.9 (nf_tables): Could not fetch rule set generation id: Invalid argument\n",
  ]) {
    const answers = {
      "iptables-nft-save": refused(said),
      "ip6tables-nft-save": refused(said.replace("iptables", "ip6tables")),
      "iptables-legacy-save": { stdout: OURS },
    };
    assert.deepEqual(await told(answers), { holding: ["4"], unseen: [] }, said);
  }
});

test("where neither of the two names can be used, the plain one is looked through as well", async () => {
  const said = "iptables-nft-save: Failed to initialize nft: Protocol not supported\n";
  const answers = {
    "iptables-nft-save": refused(said),
    "ip6tables-nft-save": refused(said.replace("iptables", "ip6tables")),
    "iptables-legacy --version": missing,
    "iptables-save": { stdout: OURS },
  };
  assert.deepEqual(await told(answers), { holding: ["4"], unseen: [] });
});

test("a program that the machine cannot start says nothing about any of them", async () => {
  const short = { status: NOT_STARTED, stderr: "iptables-nft: spawn EAGAIN" };
  await assert.rejects(look({ "iptables-nft --version": short }), { name: "PacketFilterError" });
});
