/** What the bundle loads only when it is used is not there before, and works then. */
import assert from "node:assert/strict";
import { mkdtempSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { after, test } from "node:test";
import { build } from "esbuild";
import { loadedWhenUsed } from "../../scripts/lazy-modules.ts";
import { run } from "../support/shell.ts";

const ROOT = join(import.meta.dirname, "..", "..");
const folder = mkdtempSync(join(tmpdir(), "podrouter-lazy-"));
after(() => rmSync(folder, { recursive: true }));

/** What a program prints that is bundled with these modules as stand-ins. */
async function printed(program: string, builtins: string[], packages: string[]): Promise<string> {
  const outfile = join(folder, "bundle.mjs");
  const banner = 'import { createRequire as c } from "node:module"; const require = c("/");';
  await build({
    stdin: { contents: program, resolveDir: ROOT },
    outfile,
    bundle: true,
    platform: "node",
    format: "esm",
    banner: { js: banner },
    plugins: [loadedWhenUsed(builtins, packages, ROOT)],
  });
  const result = await run(process.execPath, [outfile]);
  assert.equal(result.status, 0, result.stderr);
  return result.stdout;
}

test("one of Node's own modules is loaded by its first use, by name, default or namespace", async () => {
  const program = `
    import { Agent, request as send } from "node:http";
    import https from "node:https";
    import * as tls from "node:tls";
    const loaded = (name) => process.moduleLoadList.includes("NativeModule " + name);
    console.log(["_http_client", "https", "tls"].map(loaded).join());
    console.log(typeof send, new Agent() instanceof Agent, new https.Agent().protocol);
    console.log(typeof tls.connect, loaded("https"), loaded("internal/deps/undici/undici"));
  `;
  const lines = await printed(program, ["http", "https", "tls"], []);
  const [before, used, then] = lines.split("\n");
  assert.equal(before, "false,false,false");
  assert.equal(used, "function true https:");
  assert.equal(then, "function true false");
});

test("packages in either form are loaded by their first use", async () => {
  const program = `
    import * as jsYaml from "js-yaml";
    import { HttpsProxyAgent } from "hpagent";
    import { parse, LineCounter } from "yaml";
    console.log(JSON.stringify([jsYaml.load("a: [1]"), parse("b: 2"), new LineCounter().lineStarts]));
    console.log(new HttpsProxyAgent({ proxy: "http://127.0.0.1:1" }).proxy.port);
  `;
  const lines = await printed(program, [], ["js-yaml", "hpagent", "yaml"]);
  assert.deepEqual(lines.split("\n"), ['[{"a":[1]},{"b":2},[]]', "1", ""]);
});

test("the agent's command line loads neither TLS nor undici", async () => {
  const out = join(folder, "dist");
  const built = await run(process.execPath, [join(ROOT, "scripts", "bundle.ts"), "--out", out]);
  assert.equal(built.status, 0, built.stderr);
  const list = join(folder, "list.cjs");
  writeFileSync(list, `process.on("exit", () => console.log(process.moduleLoadList.join("\\n")));`);
  const result = await run(process.execPath, ["-r", list, join(out, "podrouter.cjs"), "version"]);
  const loaded = new Set(result.stdout.split("\n"));
  assert.ok(loaded.has("NativeModule os"), "the list is there");
  for (const name of ["internal/deps/undici/undici", "tls", "_http_client", "crypto"]) {
    assert.ok(!loaded.has(`NativeModule ${name}`), name);
  }
});
