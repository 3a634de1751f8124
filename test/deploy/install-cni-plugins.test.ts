/** The init step: missing plugins are installed whole, what is there is never touched. */
import assert from "node:assert/strict";
import {
  chownSync,
  mkdirSync,
  mkdtempSync,
  readdirSync,
  readFileSync,
  rmSync,
  statSync,
  writeFileSync,
} from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { after, test } from "node:test";
import { type DaemonSet, DEPLOY, documents } from "../support/manifests.ts";
import { requireReal } from "../support/real.ts";
import { run } from "../support/shell.ts";

const SCRIPT = join(import.meta.dirname, "..", "..", "bin", "install-cni-plugins");
/** By the reference plugins alone; podrouter-cni is looked at in bundle.test.ts. */
const PLUGINS = ["bridge", "host-local", "loopback", "portmap", "ptp"];
const root = mkdtempSync(join(tmpdir(), "podrouter-plugins-"));
after(() => rmSync(root, { recursive: true }));

function folder(name: string, files: Readonly<Record<string, string>>): string {
  const path = join(root, name);
  mkdirSync(path);
  for (const [file, text] of Object.entries(files)) writeFileSync(join(path, file), text);
  return path;
}

const image = folder("image", Object.fromEntries(PLUGINS.map((name) => [name, `new ${name}`])));

test("missing plugins are installed, others and strangers stay", async () => {
  const host = folder("host", { bridge: "the host's own", calico: "somebody else's" });
  const before = statSync(join(host, "bridge"));
  const result = await run(SCRIPT, [image, host]);
  assert.deepEqual([result.status, result.stderr], [0, ""]);
  assert.match(result.stdout, /^bridge: is there already\nhost-local: installed\n/);
  assert.deepEqual(readdirSync(host).sort(), [...PLUGINS, "calico"].sort());
  assert.equal(readFileSync(join(host, "bridge"), "utf8"), "the host's own");
  assert.equal(statSync(join(host, "bridge")).mtimeMs, before.mtimeMs);
  assert.equal(readFileSync(join(host, "ptp"), "utf8"), "new ptp");
  assert.equal(statSync(join(host, "ptp")).mode & 0o777, 0o755);
  assert.equal((await run(SCRIPT, [image, host])).stdout.match(/is there already/g)?.length, 5);
});

/** The capabilities that the manifest gives the init step, as setpriv(1) takes them. */
function bounding(): string {
  const text = readFileSync(join(DEPLOY, "podrouter.yaml"), "utf8");
  const daemonSet = documents(text).find(({ kind }) => kind === "DaemonSet");
  const { securityContext } = (daemonSet as unknown as DaemonSet).spec.template.spec
    .initContainers[0];
  const { add = [] } = securityContext["capabilities"] as { readonly add?: readonly string[] };
  return ["-all", ...add.map((name) => `+${name.toLowerCase()}`)].join(",");
}

test("a folder of another owner than root is written, with the manifest's capabilities", async (t) => {
  const setpriv = await run("setpriv", ["--version"]);
  const able = process.getuid?.() === 0 && setpriv.status === 0;
  if (!requireReal(t, able, "root and setpriv are needed")) return;
  // As installers make it that unpack the plugins' archive, or run as a user of their own.
  const host = folder("of-another", {});
  chownSync(host, 1001, 127);
  const limits = [`--bounding-set=${bounding()}`, "--inh-caps=-all"];
  const result = await run("setpriv", [...limits, SCRIPT, image, host]);
  assert.deepEqual([result.status, result.stderr], [0, ""]);
  assert.deepEqual(readdirSync(host).sort(), [...PLUGINS].sort());
});

test("a folder that is not there is an error, and nothing is left behind", async () => {
  const result = await run(SCRIPT, [image, join(root, "nowhere")]);
  assert.notEqual(result.status, 0);
  assert.notEqual(result.stderr, "");
  const incomplete = folder("incomplete", { bridge: "new bridge" });
  const host = folder("empty", {});
  assert.notEqual((await run(SCRIPT, [incomplete, host])).status, 0);
  assert.deepEqual(readdirSync(host), ["bridge"]);
});
