/**
 * An esbuild plugin for modules that are loaded when something of them is first used, not when the
 * file that imports them is. Nothing is left out: what an import gives has the module's names as
 * getters, and the first one that is asked loads it.
 *
 * For a daemon that waits most of its life this is memory. Of Node's own modules `node:http` alone
 * costs 14 MB when it is imported in ESM form: that reads all its exports, and one of them loads
 * the whole of undici.
 */
import { createRequire } from "node:module";
import { dirname, join, relative } from "node:path";
import type { Plugin } from "esbuild";

const NAMESPACE = "lazy";

/** What stands in for a module is in CommonJS form, whatever the module is. */
const COMMON_JS = ".cjs";

/**
 * `builtins` by name without `node:`, `packages` as they are imported. Only imports are meant, no
 * `require`, and only modules that are used as a set of names: a default import gets that set. `root` is the
 * repository's folder, which the bundle does not name.
 */
export function loadedWhenUsed(
  builtins: readonly string[],
  packages: readonly string[],
  root: string,
): Plugin {
  const require = createRequire(import.meta.url);
  const one = (names: readonly string[]) => names.map((name) => name.replaceAll("/", "\\/"));
  return {
    name: "loaded-when-used",
    setup({ onLoad, onResolve, resolve }) {
      const ofNode = new RegExp(`^(?:node:)?(?:${one(builtins).join("|")})$`);
      onResolve({ filter: ofNode }, ({ kind, path }) =>
        kind === "import-statement"
          ? { path: `node:${path.replace("node:", "")}${COMMON_JS}`, namespace: NAMESPACE }
          : undefined,
      );
      const ofOthers = new RegExp(`^(?:${one(packages).join("|")})$`);
      onResolve({ filter: ofOthers }, async ({ importer, kind, path, pluginData, resolveDir }) => {
        if (kind !== "import-statement" || pluginData === NAMESPACE) return undefined;
        const { errors, path: file } = await resolve(path, {
          importer,
          kind,
          resolveDir,
          pluginData: NAMESPACE,
        });
        if (errors.length > 0) return { errors };
        return { path: relative(root, file) + COMMON_JS, namespace: NAMESPACE };
      });
      onLoad({ filter: /.*/, namespace: NAMESPACE }, async (standIn) => {
        const name = standIn.path.slice(0, -COMMON_JS.length);
        const builtin = name.startsWith("node:");
        const path = builtin ? name : join(root, name);
        const real: object = builtin ? require(path) : await import(path);
        const getters = Object.getOwnPropertyNames(real)
          .filter(
            (name) => name !== "default" && name !== "__esModule" && name !== "module.exports",
          )
          .map(
            (name) => `get ${JSON.stringify(name)}() { return load()[${JSON.stringify(name)}]; }`,
          );
        return {
          contents:
            "let loaded;\n" +
            `const load = () => (loaded ??= require(${JSON.stringify(path)}));\n` +
            `module.exports = {\n${getters.join(",\n")}\n};\n`,
          ...(builtin ? {} : { resolveDir: dirname(path) }),
        };
      });
    },
  };
}
