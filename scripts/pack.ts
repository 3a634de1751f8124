/**
 * Makes publishable packages of packages/: `npm run pack [-- --out FOLDER]`.
 *
 * In this repository the packages are run from their TypeScript sources. Node strips types only
 * outside node_modules, so what is published is compiled: FOLDER/NAME (dist/packages/NAME unless
 * told) with JavaScript, declarations, source maps and the sources they point to, and beside it
 * the tarball that npm makes of it.
 */
import { spawnSync } from "node:child_process";
import { copyFileSync, cpSync, mkdirSync, readFileSync, rmSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { fromCommandLine, parsed } from "./command-line.ts";

const ROOT = join(import.meta.dirname, "..");
const TSC = join(ROOT, "node_modules", "typescript", "bin", "tsc");

/** In the order in which they build: a package behind those that it imports. */
const PACKAGES = ["netlink-ts", "ipset-js"] as const;

interface Manifest {
  readonly name: string;
  readonly version: string;
  readonly [field: string]: unknown;
}

function readManifest(name: string): Manifest {
  return JSON.parse(readFileSync(join(ROOT, "packages", name, "package.json"), "utf8"));
}

/** The package's manifest with what a consumer imports in place of the sources. */
function publishedManifest(name: string): Manifest {
  // Private: `npm publish` of the sources by mistake would give a package that nobody can load.
  const { private: _, ...manifest } = readManifest(name);
  return {
    ...manifest,
    os: ["linux"],
    exports: { ".": { types: "./dist/index.d.ts", default: "./dist/index.js" } },
    types: "./dist/index.d.ts",
    sideEffects: false,
    files: ["dist", "src", "README.md", "LICENSE"],
  };
}

/** Compiler settings: the repository's own, with output in place of type stripping. */
function compilerSettings(out: string, name: string): object {
  const declarations = PACKAGES.filter((other) => other !== name).map((other) => [
    other,
    [join(out, other, "dist", "index.d.ts")],
  ]);
  return {
    extends: join(ROOT, "tsconfig.json"),
    compilerOptions: {
      noEmit: false,
      rootDir: join(out, name, "src"),
      outDir: join(out, name, "dist"),
      rewriteRelativeImportExtensions: true,
      declaration: true,
      declarationMap: true,
      sourceMap: true,
      typeRoots: [join(ROOT, "node_modules", "@types")],
      // Of a workspace the declarations count that its own package will have, not its sources.
      paths: {
        ...Object.fromEntries(declarations),
        koffi: [join(ROOT, "node_modules", "koffi", "index.d.ts")],
      },
    },
    include: [join(out, name, "src")],
  };
}

function must(program: string, args: readonly string[], cwd: string): string {
  const result = spawnSync(program, args, { cwd, encoding: "utf8" });
  if (result.status !== 0) {
    const said = result.error?.message ?? `${result.stdout}${result.stderr}`.trim();
    throw new Error(`${program} ${args.join(" ")}: ${said}`);
  }
  return result.stdout;
}

/** Compiles one package and has npm pack it; the path of the tarball. */
function pack(name: string, out: string): string {
  const source = join(ROOT, "packages", name);
  const target = join(out, name);
  rmSync(target, { recursive: true, force: true });
  mkdirSync(target, { recursive: true });
  cpSync(join(source, "src"), join(target, "src"), { recursive: true });
  copyFileSync(join(source, "README.md"), join(target, "README.md"));
  copyFileSync(join(ROOT, "LICENSE"), join(target, "LICENSE"));
  const manifest = `${JSON.stringify(publishedManifest(name), undefined, 2)}\n`;
  writeFileSync(join(target, "package.json"), manifest);
  const settings = join(out, `${name}.tsconfig.json`);
  writeFileSync(settings, JSON.stringify(compilerSettings(out, name)));
  must(process.execPath, [TSC, "--project", settings], ROOT);
  rmSync(settings);
  const told = must("npm", ["pack", "--json", "--offline", "--pack-destination", out], target);
  const [packed] = JSON.parse(told) as { readonly filename: string }[];
  if (packed === undefined) throw new Error(`npm packed nothing of ${name}: ${told}`);
  return join(out, packed.filename);
}

const { values } = fromCommandLine("pack", "npm run pack [-- --out FOLDER]", (args) =>
  parsed({
    args: [...args],
    options: { out: { type: "string", default: join(ROOT, "dist", "packages") } },
  }),
);
for (const name of PACKAGES) process.stdout.write(`${pack(name, values.out)}\n`);
