/** The bundle, laid out as in the image, does what the checkout does. */
import assert from "node:assert/strict";
import {
  cpSync,
  mkdirSync,
  mkdtempSync,
  readdirSync,
  readFileSync,
  rmSync,
  statSync,
  symlinkSync,
  writeFileSync,
} from "node:fs";
import { tmpdir } from "node:os";
import { dirname, join } from "node:path";
import { after, before, test } from "node:test";
import { LICENCES_FILE, licencesOf } from "../../scripts/licences.ts";
import { imageRuntime } from "../support/image-recipe.ts";
import { type CommandResult, run } from "../support/shell.ts";

const ROOT = join(import.meta.dirname, "..", "..");
const NODE_FOLDER = dirname(process.execPath);
const COMMIT = "1a2b3c4-dirty";
const image = mkdtempSync(join(tmpdir(), "podrouter-image-"));

before(async () => {
  const bundle = join(ROOT, "scripts", "bundle.ts");
  const built = await run(process.execPath, [
    ...[bundle, "--out", join(image, "dist"), `--commit=${COMMIT}`],
  ]);
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

test("it is one file, its launcher and one native module, and no more than is used", () => {
  assert.deepEqual(readdirSync(join(image, "dist")).sort(), [
    LICENCES_FILE,
    "koffi.node",
    "podrouter-cni.cjs",
    "podrouter-program.js",
    "podrouter.cjs",
  ]);
  const megabytes = statSync(join(image, "dist", "podrouter-program.js")).size / 1e6;
  // With the Kubernetes client's whole generated API it would be twice as much.
  assert.ok(megabytes < 2.6, `${megabytes} MB`);
});

/** What the image's build stage has of this repository. */
function copiedIntoImage(): readonly string[] {
  const text = readFileSync(join(ROOT, "deploy", "Dockerfile"), "utf8");
  const [build = ""] = text.split(/^FROM /m).slice(1);
  return [...build.matchAll(/^COPY (.+) \S+$/gm)].flatMap((match) => match[1]!.split(" "));
}

test("the image's build, with packages that are a link to another's, makes the same", async () => {
  const checkout = join(image, "checkout");
  mkdirSync(checkout);
  for (const name of copiedIntoImage()) {
    cpSync(join(ROOT, name), join(checkout, name), { recursive: true });
  }
  symlinkSync(join(ROOT, "node_modules"), join(checkout, "node_modules"));
  const made = (...args: string[]) =>
    run(process.execPath, [join(checkout, "scripts", "bundle.ts"), ...args]);
  const built = await made("--out", join(checkout, "out"));
  assert.equal(built.status, 0, built.stderr);
  const bundle = (folder: string) => readFileSync(join(folder, "podrouter-program.js"), "utf8");
  const [here, there] = [join(image, "dist"), join(checkout, "out")].map(bundle);
  assert.ok(here!.includes(`"${COMMIT}"`), "its version names the commit");
  // There is no work tree there, and so no commit.
  assert.ok(here!.replace(`"${COMMIT}"`, '""') === there, "it is another file");
  // What it cannot leave out any more it does not keep to itself.
  const script = join(checkout, "scripts", "bundle.ts");
  writeFileSync(script, readFileSync(script, "utf8").replace('"thread-stream"]', '"renamed"]'));
  const failed = await made("--out", join(checkout, "none"));
  assert.equal(failed.status, 1);
  assert.match(failed.stderr, /nothing in it is never-used:renamed; bring what/);
});

test("the plugin is one small file, which works laid out as on a node", async () => {
  const kilobytes = statSync(join(image, "dist", "podrouter-cni.cjs")).size / 1000;
  // Node.js takes a millisecond for each 50 of them.
  assert.ok(kilobytes < 30, `${kilobytes} kB`);
  const host = join(image, "host");
  const reference = join(image, "reference");
  for (const folder of [host, reference]) mkdirSync(folder);
  for (const name of ["bridge", "host-local", "loopback", "portmap", "ptp"]) {
    writeFileSync(join(reference, name), "");
  }
  const script = join(image, "bin", "install-cni-plugins");
  const env = { PATH: `${NODE_FOLDER}:${process.env["PATH"]}` };
  const installed = await run(script, [reference, host, image], { env });
  assert.deepEqual([installed.status, installed.stderr], [0, ""]);
  assert.match(installed.stdout, /\nnode: installed\n.*\npodrouter-cni: installed\n$/);
  // A second time there is nothing to do, and an earlier version is replaced.
  assert.doesNotMatch((await run(script, [reference, host, image], { env })).stdout, /: installed/);
  writeFileSync(join(host, "podrouter-cni"), "earlier");
  const again = await run(script, [reference, host, image], { env });
  assert.match(again.stdout, /ptp: is there already\npodrouter-cni: installed\n$/);
  const say = (command: string) =>
    run("sh", ["-c", `CNI_COMMAND=${command} ${join(host, "podrouter-cni")} < /dev/null`]);
  assert.match((await say("VERSION")).stdout, /"supportedVersions":\["0\.3\.0"/);
  const add = await say("ADD");
  assert.deepEqual([add.status, JSON.parse(add.stdout).code], [1, 4]);
});

test("the licences of all that is in it go along", () => {
  const text = readFileSync(join(image, "dist", LICENCES_FILE), "utf8");
  const titles = [...text.matchAll(/^(\S+) \d+\.\d+\.\d+\S* \((\S+)\)\n\n/gm)];
  const names = titles.map((match) => match[1]);
  for (const name of ["@kubernetes/client-node", "commander", "koffi", "pino", "yaml", "zod"]) {
    assert.ok(names.includes(name), `${name} is not among ${names.join(", ")}`);
  }
  assert.ok(!names.includes("esbuild"), "what is not in the bundle is not named");
  const sections = text.split(`\n${"-".repeat(80)}\n`);
  assert.equal(sections.length, names.length);
  for (const section of sections) assert.match(section, /copyright|unlicense|public domain/i);
  assert.throws(
    () => licencesOf(["node_modules/netlink-ts/src/index.ts"], ROOT),
    /node_modules\/netlink-ts is bundled and has no text of a licence/,
  );
});

test("it names no folder of the machine that built it", () => {
  for (const name of ["podrouter.cjs", "podrouter-program.js", "podrouter-cni.cjs"]) {
    assert.ok(!readFileSync(join(image, "dist", name), "utf8").includes(ROOT), name);
  }
});

test("the image runs it by name, also through a symlink", async () => {
  const expected = await run(join(ROOT, "bin", "podrouter"), ["version"]);
  assert.equal(expected.status, 0, expected.stderr);
  const version = expected.stdout.replace(/(\d+(?:\.\d+){2}) /, `$1+g${COMMIT} `);
  assert.notEqual(version, expected.stdout);
  assert.equal((await podrouter("version")).stdout, version);
  const link = join(image, "link");
  symlinkSync("bin/podrouter", link);
  const env = { PATH: `${NODE_FOLDER}:${process.env["PATH"]}` };
  assert.equal((await run(link, ["version"], { env })).stdout, version);
});

test("the Dockerfile lays it out so", () => {
  const text = readFileSync(join(ROOT, "deploy", "Dockerfile"), "utf8");
  assert.match(text, /^COPY --from=build \/out \/opt\/podrouter\/dist$/m);
  assert.match(text, /^COPY bin\/podrouter \/opt\/podrouter\/bin\/podrouter$/m);
  assert.match(
    text,
    /^ENTRYPOINT \["\/usr\/local\/bin\/node", (?:"--[-\w=]+", )+"\/opt\/podrouter\/dist\/podrouter.cjs"\]$/m,
  );
  // The engine takes no code that was compiled under other options.
  const { nodeFlags } = imageRuntime();
  const options = nodeFlags.join(" ");
  assert.ok(text.includes(`\nRUN node scripts/code-cache.ts /out ${options} \\\n`));
  const others = {
    "bin/podrouter": `exec node ${options} "`,
    Makefile: `scripts/code-cache.ts dist ${options}\n`,
    "scripts/image-folder.sh": `  ${options}\n`,
  };
  for (const [file, words] of Object.entries(others)) {
    assert.ok(readFileSync(join(ROOT, file), "utf8").includes(words), file);
  }
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
  // And everything that its programs are made of.
  const programs = [...text.matchAll(/^RUN node (scripts\S+)/gm)].map((match) => match[1]!);
  assert.equal(programs.length, 2);
  for (const path of modulesOf(programs)) {
    const there = copied.some((one) => path === one || path.startsWith(`${one}/`));
    assert.ok(there, `${path} is not copied for the build`);
  }
});

/** These files, and what of the work tree they import. */
function modulesOf(files: readonly string[]): ReadonlySet<string> {
  const found = new Set(files);
  for (const file of found) {
    const source = readFileSync(join(ROOT, file), "utf8");
    for (const [, path] of source.matchAll(/^(?:import|export|\}) .*"(\.{1,2}\/\S+\.ts)";$/gm)) {
      found.add(join(dirname(file), path!));
    }
  }
  return found;
}

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
