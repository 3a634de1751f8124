/**
 * Makes what the image runs: the program in one file, dist/podrouter-program.js, tree-shaken, with
 * koffi's native module, the launcher podrouter.cjs (src/launch/program.ts) and the licences of all
 * that is in it beside it.
 * Loading the parts of @kubernetes/client-node one by one from source takes a second; from the
 * bundle it takes none. And the other file, for the container runtime to call:
 * dist/podrouter-cni.cjs, in CommonJS form, which Node.js starts some milliseconds sooner.
 *
 *   npm run bundle -- [--out FOLDER]        for the architecture that it runs on
 *
 * Its version names the commit of the work tree, or the one of `--commit` where there is no tree, as
 * in the build of an image.
 */
import { createHash } from "node:crypto";
import {
  copyFileSync,
  mkdirSync,
  readdirSync,
  readFileSync,
  rmSync,
  statSync,
  writeFileSync,
} from "node:fs";
import { join } from "node:path";
import { build, type Plugin } from "esbuild";
import { PROGRAM_FILE, PROGRAM_PARAMETERS } from "../src/launch/program.ts";
import { checkedCommit, commitOf } from "./build-commit.ts";
import { fromCommandLine, parsed } from "./command-line.ts";
import { loadedWhenUsed } from "./lazy-modules.ts";
import { LICENCES_FILE, licencesOf } from "./licences.ts";

const ROOT = join(import.meta.dirname, "..");
const MODULES = join(ROOT, "node_modules");

const USAGE = "npm run bundle -- [--out FOLDER] [--commit COMMIT]";
const { out, commit } = fromCommandLine("bundle", USAGE, (args) => {
  const { values } = parsed({
    args: [...args],
    options: { out: { type: "string", default: join(ROOT, "dist") }, commit: { type: "string" } },
  });
  const { out, commit } = values;
  return { out, commit: commit === undefined ? commitOf(ROOT) : checkedCommit(commit) };
});

/** Of koffi's own ways to look for its native module none fits one folder: it gets its path told. */
const koffiBeside: Plugin = {
  name: "koffi-beside",
  setup({ onLoad, onResolve }) {
    onResolve({ filter: /^koffi$/ }, () => ({
      path: join(MODULES, "koffi", "src", "koffi", "indirect.js"),
    }));
    onLoad({ filter: /koffi\/indirect\.js$/ }, ({ path }) => {
      const search = "loadDynamic(import.meta.dirname, pkg, triplets)";
      const source = readFileSync(path, "utf8");
      if (!source.includes(search)) throw new Error("koffi finds its native module in a new way");
      return { contents: source.replace(search, `require2("./koffi.node")`), loader: "js" };
    });
  },
};

/**
 * @kubernetes/client-node is used for its kubeconfigs and credentials alone, over Node's own HTTP
 * client. Its generated API and the client under it, two megabytes, would be loaded for nothing;
 * what stands in their place refuses to be called.
 */
const credentialsOnly: Plugin = {
  name: "credentials-only",
  setup({ onLoad, onResolve }) {
    const client = join(MODULES, "@kubernetes", "client-node", "dist");
    const config = join(client, "config.js");
    onResolve({ filter: /^@kubernetes\/client-node$/ }, () => ({ path: config }));
    onResolve(
      { filter: /^(undici|\.\/gen\/index\.js|\.\/middleware\.js)$/ },
      ({ importer, path }) => (importer === config ? { path, namespace: "left-out" } : undefined),
    );
    onLoad({ filter: /.*/, namespace: "left-out" }, ({ path }) => ({
      contents: ["Agent", "ProxyAgent", "createConfiguration", "ServerConfiguration"]
        .concat("setHeaderMiddleware")
        .map((name) => `export function ${name}() { throw new Error("bug: ${path} is left out"); }`)
        .join("\n"),
    }));
  },
};

/** Files of packages that are loaded with them and never used here; importer and what it imports. */
const NEVER_USED = [
  ["pino/lib/transport.js", "thread-stream"],
  ["prom-client/index.js", "./lib/cluster"],
  ["prom-client/index.js", "./lib/pushgateway"],
  ["zod/v4/core/index.js", "../locales/index.js"],
  ["zod/v4/classic/external.js", "../locales/index.js"],
] as const;

/** Worker threads for logs, metrics that are pushed over TLS, errors in fifty languages. */
const neverUsed: Plugin = {
  name: "never-used",
  setup({ onLoad, onResolve }) {
    onResolve({ filter: /^(thread-stream|\.\/lib\/.+|\.\.\/locales\/index\.js)$/ }, (args) =>
      NEVER_USED.some(([file, path]) => path === args.path && args.importer.endsWith(`/${file}`))
        ? { path: args.path, namespace: "never-used" }
        : undefined,
    );
    onLoad({ filter: /.*/, namespace: "never-used" }, ({ path }) => ({
      contents: `module.exports = class {
        constructor() { throw new Error("bug: ${path} is not in the bundle"); }
      };`,
    }));
  },
};

/**
 * What an agent may never use: credentials of clouds, proxies, files in YAML, programs to run, TLS.
 * None of it is loaded before.
 */
const LAZY_PACKAGES = ["hpagent", "js-yaml", "jsonpath-plus", "openid-client"].concat(
  ...["socks", "socks-proxy-agent", "yaml"],
);
const lazyModules = loadedWhenUsed(
  ["child_process", "crypto", "dns", "http", "https", "readline", "readline/promises", "tls"],
  LAZY_PACKAGES,
  ROOT,
);

/** What is told apart by the names of files must be found, or all of it would be in the bundle. */
function checkLeftOut(inputs: readonly string[]): void {
  const standIns = [
    ...["undici", "./gen/index.js", "./middleware.js"].map((path) => `left-out:${path}`),
    ...NEVER_USED.map(([, path]) => `never-used:${path}`),
    ...LAZY_PACKAGES.map((name) => `lazy:node_modules/${name}/`),
    "packages/netlink-ts/src/",
    "packages/ipset-js/src/",
  ];
  const missing = standIns.filter((name) => !inputs.some((input) => input.startsWith(name)));
  if (missing.length === 0) return;
  throw new Error(
    `the bundle is not made of what it should be: nothing in it is ${missing.join(", ")}; ` +
      "bring what this program leaves out in step with the packages in node_modules",
  );
}

const outfile = join(out, PROGRAM_FILE);
mkdirSync(out, { recursive: true });
// Compiled code of an earlier program.
for (const name of readdirSync(out)) {
  if (name.endsWith(".codecache")) rmSync(join(out, name));
}
const result = await build({
  entryPoints: [join(ROOT, "src", "main.ts")],
  outfile,
  bundle: true,
  platform: "node",
  target: "node24",
  format: "cjs",
  minifySyntax: true,
  minifyWhitespace: true,
  legalComments: "none",
  metafile: true,
  absWorkingDir: ROOT,
  // The packages may be a link to those of another checkout, and are named by their place in this.
  preserveSymlinks: true,
  // Those of this checkout, wherever the others are.
  alias: Object.fromEntries(
    ["netlink-ts", "ipset-js"].map((name) => [
      name,
      join(ROOT, "packages", name, "src", "index.ts"),
    ]),
  ),
  logLevel: "warning",
  plugins: [koffiBeside, credentialsOnly, neverUsed, lazyModules],
  banner: { js: `(function (${PROGRAM_PARAMETERS.join(", ")}) {` },
  footer: { js: "})" },
  define: {
    "import.meta.dirname": "__dirname",
    // Taken by `createRequire` alone, which takes a path as well.
    "import.meta.url": "__filename",
    BUILD_COMMIT: JSON.stringify(commit ?? ""),
  },
});
checkLeftOut(Object.keys(result.metafile.inputs));
const program = readFileSync(outfile, "utf8");
// One letter beyond ASCII, and the engine keeps the text in twice the memory.
if (/[^\0-\x7f]/.test(program)) {
  throw new Error(`${outfile} is not ASCII alone: write it as an escape (\\u....)`);
}
const digest = createHash("sha256").update(program).digest("hex").slice(0, 16);
await build({
  entryPoints: [join(ROOT, "src", "launch", "main.ts")],
  outfile: join(out, "podrouter.cjs"),
  bundle: true,
  platform: "node",
  target: "node24",
  format: "cjs",
  minifySyntax: true,
  define: { PROGRAM_DIGEST: JSON.stringify(digest), "import.meta.dirname": "__dirname" },
  logLevel: "warning",
});
const plugin = join(out, "podrouter-cni.cjs");
await build({
  entryPoints: [join(ROOT, "src", "plugin", "main.ts")],
  outfile: plugin,
  bundle: true,
  platform: "node",
  target: "node24",
  format: "cjs",
  minify: true,
  legalComments: "none",
  logLevel: "warning",
});
const arch = process.arch;
copyFileSync(
  join(MODULES, "@koromix", `koffi-linux-${arch}`, `linux_${arch}`, "koffi.node"),
  join(out, "koffi.node"),
);
// The native module is koffi's own.
const licences = licencesOf(Object.keys(result.metafile.inputs), ROOT, ["node_modules/koffi"]);
writeFileSync(join(out, LICENCES_FILE), licences);

const kilobytes = (path: string): number => Math.round(statSync(path).size / 1000);
const inputs = Object.keys(result.metafile.inputs).length;
process.stdout.write(
  `${outfile}: ${kilobytes(outfile)} kB from ${inputs} files, ` +
    `koffi.node: ${kilobytes(join(out, "koffi.node"))} kB, ` +
    `${plugin}: ${kilobytes(plugin)} kB\n`,
);
