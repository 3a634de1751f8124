/**
 * The published form of the packages: installed from their tarballs, without a network, they work
 * for a plain JavaScript and for a typed TypeScript consumer on a real kernel.
 */
import assert from "node:assert/strict";
import {
  cpSync,
  existsSync,
  globSync,
  mkdirSync,
  mkdtempSync,
  readFileSync,
  rmSync,
  symlinkSync,
  writeFileSync,
} from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { after, before, test } from "node:test";
import { Namespaces, namespacesUnavailable } from "../support/namespaces.ts";
import { requireReal } from "../support/real.ts";
import { must, run } from "../support/shell.ts";

const ROOT = join(import.meta.dirname, "..", "..");
const NAMES = ["netlink-ts", "ipset-js"] as const;

const folder = mkdtempSync(join(tmpdir(), "podrouter-pack-"));
const packed = join(folder, "packed");
const consumer = join(folder, "consumer");
const modules = join(consumer, "node_modules");

/** What both consumers do, in JavaScript that is TypeScript as well. */
const BODY = `
import { IpSets } from "ipset-js";
import { RouteNetlink } from "netlink-ts";

const netlink = new RouteNetlink();
const [refused] = await netlink.routes.apply([
  { kind: "add", route: { destination: "10.9.0.0/16", type: 6, protocol: 17 } },
]);
const ours = await netlink.routes.list({ protocol: 17 });
const sets = new IpSets();
await sets.create({ name: "packed", type: "hash:net", timeout: 0 });
await sets.add("packed", ["10.9.0.0/16"]);
const set = await sets.list("packed");
const told = { refused: refused === undefined, routes: ours.map((route) => route.destination) };
console.log(JSON.stringify({ ...told, members: set?.members.map((entry) => entry.member) }));
sets.close();
netlink.close();
`;

const EXPECTED = { refused: true, routes: ["10.9.0.0/16"], members: ["10.9.0.0/16"] };

/** Types that arrive: each line below an expectation is wrong, and only then compiles. */
const TYPES = `
import type { Route, RouteNetlink } from "netlink-ts";
import type { IpSets, ListedSet } from "ipset-js";

export async function typed(netlink: RouteNetlink, sets: IpSets): Promise<readonly Route[]> {
  const set: ListedSet | undefined = await sets.list("a");
  // @ts-expect-error a list's result may be undefined
  set.members;
  // @ts-expect-error a protocol is a number
  await netlink.routes.list({ protocol: "17" });
  // @ts-expect-error no such type of set
  await sets.create({ name: "a", type: "hash:mac" });
  return netlink.routes.list();
}
`;

/** By how TypeScript is told that modules are found: by Node.js, or by a bundler. */
const MODULES = { nodenext: "nodenext", bundler: "esnext" } as const;

const tsconfig = (resolution: keyof typeof MODULES) => ({
  compilerOptions: {
    target: "es2024",
    module: MODULES[resolution],
    moduleResolution: resolution,
    strict: true,
    noEmit: true,
    skipLibCheck: false,
    types: ["node"],
  },
  include: ["*.ts"],
});

/** The examples of a package's README, as they are printed. */
function examplesOf(name: string): readonly string[] {
  const readme = readFileSync(join(ROOT, "packages", name, "README.md"), "utf8");
  return [...readme.matchAll(/^```ts\n(.*?)^```$/gms)].map(([, example]) => example!);
}

before(async () => {
  mkdirSync(modules, { recursive: true });
  const script = join(ROOT, "scripts", "pack.ts");
  const files = (await must(process.execPath, [script, "--out", packed])).trim().split("\n");
  // The FFI library is not what is under test: it is there already, of the version asked for.
  cpSync(join(ROOT, "node_modules", "koffi"), join(modules, "koffi"), { recursive: true });
  const dependencies = Object.fromEntries(NAMES.map((name, i) => [name, `file:${files[i]}`]));
  const manifest = { name: "consumer", private: true, type: "module", dependencies };
  writeFileSync(join(consumer, "package.json"), JSON.stringify(manifest));
  // An empty cache and no network: nothing but the tarballs can be installed.
  const options = ["--offline", "--ignore-scripts", "--no-audit", "--no-fund", "--omit=optional"];
  const cache = ["--prefix", consumer, "--cache", join(folder, "cache")];
  await must("npm", ["install", ...options, ...cache]);
  for (const name of ["@koromix", "@types", "undici-types"]) {
    symlinkSync(join(ROOT, "node_modules", name), join(modules, name));
  }
  writeFileSync(join(consumer, "plain.js"), BODY);
  writeFileSync(join(consumer, "typed.ts"), BODY);
  writeFileSync(join(consumer, "types.ts"), TYPES);
  for (const name of NAMES) {
    for (const [i, example] of examplesOf(name).entries()) {
      writeFileSync(join(consumer, `${name}-${i}.ts`), example);
    }
  }
});

after(() => rmSync(folder, { recursive: true }));

function readManifest(...path: string[]) {
  return JSON.parse(readFileSync(join(...path, "package.json"), "utf8"));
}

for (const name of NAMES) {
  test(`${name}: the tarball has compiled code, declarations, licence and README`, () => {
    const installed = join(modules, name);
    const manifest = readManifest(installed);
    const { types, default: code } = manifest.exports["."];
    for (const file of [types, code, "README.md", "LICENSE"]) {
      assert.ok(existsSync(join(installed, file)), file);
    }
    assert.match(code, /\.js$/);
    assert.match(types, /\.d\.ts$/);
    const source = readManifest(ROOT, "packages", name);
    for (const field of ["version", "license", "engines", "type", "dependencies"]) {
      assert.deepEqual(manifest[field], source[field], field);
    }
    assert.equal(manifest.private, undefined);
    assert.deepEqual(manifest.os, ["linux"]);
    assert.ok(!existsSync(join(installed, "test")));
  });

  test(`${name}: source maps point to sources that are in it, and nothing names this machine`, () => {
    const dist = join(modules, name, "dist");
    const maps = globSync("*.map", { cwd: dist });
    assert.ok(maps.length >= 10, `${maps.length} maps`);
    for (const map of maps) {
      const { sources } = JSON.parse(readFileSync(join(dist, map), "utf8"));
      for (const source of sources) assert.ok(existsSync(join(dist, source)), `${map}: ${source}`);
    }
    for (const file of globSync("**/*", { cwd: join(modules, name), withFileTypes: true })) {
      if (!file.isFile()) continue;
      const text = readFileSync(join(file.parentPath, file.name), "utf8");
      assert.ok(!text.includes(ROOT) && !text.includes(folder), file.name);
    }
  });

  test(`${name}: in this repository it runs from its sources, without a build`, () => {
    const manifest = readManifest(ROOT, "packages", name);
    assert.deepEqual(manifest.exports, { ".": "./src/index.ts" });
    assert.equal(manifest.private, true, "as it is Node.js would refuse it in node_modules");
  });
}

for (const resolution of ["nodenext", "bundler"] as const) {
  test(`declarations and examples of the README hold under the strictest check: ${resolution}`, async () => {
    assert.deepEqual(
      NAMES.map(examplesOf).map(({ length }) => length),
      [3, 1],
    );
    const tsc = join(ROOT, "node_modules", "typescript", "bin", "tsc");
    writeFileSync(join(consumer, "tsconfig.json"), JSON.stringify(tsconfig(resolution)));
    const result = await run(process.execPath, [tsc, "--project", consumer]);
    assert.equal(result.status, 0, result.stdout);
  });
}

for (const [what, file] of [
  ["a plain JavaScript", "plain.js"],
  ["a typed TypeScript", "typed.ts"],
] as const) {
  test(`${what} consumer lists routes and makes a set`, async (t) => {
    const unavailable = await namespacesUnavailable();
    if (!requireReal(t, unavailable === undefined, unavailable ?? "")) return;
    const namespaces = new Namespaces();
    try {
      await namespaces.add("pack");
      const said = await namespaces.exec("pack", process.execPath, join(consumer, file));
      assert.deepEqual(JSON.parse(said), EXPECTED);
      assert.match(await namespaces.ip("pack", "route show proto 17"), /10\.9\.0\.0\/16/);
    } finally {
      await namespaces.remove();
    }
  });
}
