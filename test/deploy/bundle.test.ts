/** The bundle, laid out as in the image, does what the checkout does. */
import assert from "node:assert/strict";
import {
  cpSync,
  mkdtempSync,
  readdirSync,
  readFileSync,
  rmSync,
  statSync,
  symlinkSync,
} from "node:fs";
import { tmpdir } from "node:os";
import { dirname, join } from "node:path";
import { after, before, test } from "node:test";
import { type CommandResult, run } from "../support/shell.ts";

const ROOT = join(import.meta.dirname, "..", "..");
const NODE_FOLDER = dirname(process.execPath);
const image = mkdtempSync(join(tmpdir(), "podrouter-image-"));

before(async () => {
  const bundle = join(ROOT, "scripts", "bundle.ts");
  const built = await run(process.execPath, [bundle, "--out", join(image, "dist")]);
  assert.equal(built.status, 0, built.stderr);
  cpSync(join(ROOT, "bin"), join(image, "bin"), { recursive: true });
});
after(() => rmSync(image, { recursive: true }));

/** Runs `podrouter` of the image, with the image's Node.js on the PATH. */
function podrouter(...args: string[]): Promise<CommandResult> {
  return run(join(image, "bin", "podrouter"), args, {
    env: { PATH: `${NODE_FOLDER}:${process.env["PATH"]}`, NODE_NAME: "node1" },
  });
}

test("it is one file and one native module, and no more than is used", () => {
  assert.deepEqual(readdirSync(join(image, "dist")).sort(), ["koffi.node", "podrouter.mjs"]);
  const megabytes = statSync(join(image, "dist", "podrouter.mjs")).size / 1e6;
  // With the Kubernetes client's whole generated API it would be twice as much.
  assert.ok(megabytes < 2.6, `${megabytes} MB`);
});

test("it names no folder of the machine that built it", () => {
  const text = readFileSync(join(image, "dist", "podrouter.mjs"), "utf8");
  assert.ok(!text.includes(ROOT));
});

test("the image runs it by name, also through a symlink", async () => {
  const expected = await run(join(ROOT, "bin", "podrouter"), ["version"]);
  assert.equal(expected.status, 0, expected.stderr);
  assert.equal((await podrouter("version")).stdout, expected.stdout);
  const link = join(image, "link");
  symlinkSync("bin/podrouter", link);
  const env = { PATH: `${NODE_FOLDER}:${process.env["PATH"]}` };
  assert.equal((await run(link, ["version"], { env })).stdout, expected.stdout);
});

test("the Dockerfile lays it out so", () => {
  const text = readFileSync(join(ROOT, "deploy", "Dockerfile"), "utf8");
  assert.match(text, /^COPY --from=build \/out \/opt\/podrouter\/dist$/m);
  assert.match(text, /^COPY bin\/podrouter \/opt\/podrouter\/bin\/podrouter$/m);
  assert.match(
    text,
    /^ENTRYPOINT \["\/usr\/local\/bin\/node", "\/opt\/podrouter\/dist\/podrouter.mjs"\]$/m,
  );
  // Everything that the build stage copies is let through to it.
  const ignored = readFileSync(join(ROOT, "deploy", "Dockerfile.dockerignore"), "utf8").split("\n");
  const copied = [...text.matchAll(/^COPY (?!--from)(.+) \S+$/gm)].flatMap((match) =>
    match[1]!.split(" "),
  );
  assert.ok(copied.length >= 8);
  for (const path of copied) {
    const listed = ignored.some((line) => line.startsWith("!") && path.startsWith(line.slice(1)));
    assert.ok(listed, `${path} is kept out by Dockerfile.dockerignore`);
  }
});

test("errors are as short as from the checkout", async () => {
  const usage = await podrouter("run", "--bgp-port=0");
  assert.deepEqual(usage, {
    status: 2,
    stdout: "",
    stderr: "podrouter: --bgp-port=0: expected a whole number from 1 to 65535\n",
  });
  const missing = await podrouter("peers", `--admin-socket=${join(image, "none.sock")}`);
  assert.equal(missing.status, 1);
  assert.match(missing.stderr, /^podrouter: no agent is running here: there is no /);
});
