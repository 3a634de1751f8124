/** What each program of bench/ and scripts/ says of its command line. */
import assert from "node:assert/strict";
import { join } from "node:path";
import { test } from "node:test";
import { run } from "../support/shell.ts";

const ROOT = join(import.meta.dirname, "..", "..");

/** Of each program, what cannot be meant, and the sentence for it. */
const PROGRAMS: Readonly<Record<string, readonly (readonly [args: string[], said: string])[]>> = {
  "bench/cni.ts": [
    [["x"], "cni: pods=x: expected a whole number from 1"],
    [["--pods"], "cni: Unknown option '--pods'; --help shows what there is"],
  ],
  "bench/cni-start.ts": [[["0"], "cni-start: rounds=0: expected a whole number from 1"]],
  "bench/node-events.ts": [
    [["stop"], "node-events: expected events, start, scarce or idle, not stop"],
    [["start", "x"], "node-events: nodes=x: expected a whole number from 1"],
  ],
  "bench/rib.ts": [
    [["10", "5", "mixed"], "rib: expected scattered, or nothing, not mixed"],
    [["1", "1", "scattered", "9"], "rib: 9 is one word too many; --help shows what there is"],
  ],
  "scripts/bundle.ts": [
    [["--out"], "bundle: Option '--out <value>' argument missing; --help shows what there is"],
    [
      ["--commit=main"],
      "bundle: --commit=main: expected 7 to 40 digits of a commit, with or without -dirty",
    ],
  ],
  "scripts/code-cache.ts": [
    [[], "code-cache: the folder of the bundle is missing"],
    [
      ["/nowhere"],
      "code-cache: /nowhere/podrouter.cjs is not there: the folder is that of a bundle",
    ],
  ],
  "scripts/demo.ts": [[["--kep"], "demo: Unknown option '--kep'; --help shows what there is"]],
  "scripts/fuzz.ts": [
    [["long"], "fuzz: SECONDS=long: expected a number from 0"],
    [["--seed=x"], "fuzz: --seed=x: expected a whole number from 0"],
  ],
  "scripts/in-kernel.ts": [
    [[], "in-kernel: SUITE is missing; --help shows what there is"],
    [["woody", "true"], "in-kernel: SUITE=woody: expected one of bullseye, bookworm, trixie, sid"],
    [["sid"], "in-kernel: COMMAND is missing; --help shows what there is"],
  ],
  "scripts/pack.ts": [[["here"], "pack: Unexpected argument 'here'; --help shows what there is"]],
  "scripts/test.ts": [
    [
      ["unity"],
      "test: GROUP=unity: expected one of unit, fuzz, kernel, cluster, interop, bench, kubernetes, vm",
    ],
    [["--unit"], "test: Unknown option '--unit'; --help shows what there is"],
  ],
};

for (const [program, mistakes] of Object.entries(PROGRAMS)) {
  test(`${program}: help is help, a mistake one sentence and exit code 2`, async () => {
    const file = join(ROOT, program);
    const { status, stdout, stderr } = await run(process.execPath, [file, "--help"]);
    assert.deepEqual([status, stderr], [0, ""]);
    assert.match(stdout, /^usage: (npm|node_modules\/node\/bin\/node) [^\n]+\n$/);
    for (const [args, said] of mistakes) {
      const wrong = await run(process.execPath, [file, ...args]);
      assert.deepEqual(wrong, { status: 2, stdout: "", stderr: `${said}\n` });
    }
  });
}

test("a kernel that there is not: one sentence and exit code 2, and no test runs", async () => {
  const env = { KERNEL_DEBIAN: "nonsense" };
  const wrong = await run(process.execPath, [join(ROOT, "scripts", "test.ts"), "unit"], { env });
  const said = "test: KERNEL_DEBIAN=nonsense: expected one of bullseye, bookworm, trixie, sid\n";
  assert.deepEqual(wrong, { status: 2, stdout: "", stderr: said });
});

test("no shell script takes an option for what it is to work on", async () => {
  for (const name of ["arm64-machine", "image-folder", "kubernetes-programs"]) {
    const { status, stdout, stderr } = await run(join(ROOT, "scripts", `${name}.sh`), ["--help"]);
    assert.deepEqual([status, stdout], [2, ""]);
    assert.match(stderr, new RegExp(`^usage: scripts/${name}\\.sh [^\n]+\n$`));
  }
});
