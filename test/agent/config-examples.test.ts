/** Configuration files that the documentation and deploy/ show are ones that the agent takes. */
import assert from "node:assert/strict";
import { globSync, readFileSync } from "node:fs";
import { join } from "node:path";
import { test } from "node:test";
import { parseDocument } from "yaml";
import { buildNetworks, buildPeers } from "../../src/agent/config-file/build.ts";
import { parseConfigFile } from "../../src/agent/config-file/parse.ts";
import { type ConfigFile, configFileSchema } from "../../src/agent/config-file/schema.ts";
import { PolicyProgram, REJECTED } from "../../src/bgp/rib/policy.ts";
import type { PeerConfig } from "../../src/bgp/types.ts";
import { prefixFamily } from "../../src/ip/prefix.ts";
import { batchOf, route } from "../support/rib-lab.ts";

const ROOT = join(import.meta.dirname, "..", "..");
const PAGES = ["*.md", "docs/*.md", "packages/*/*.md"];
const FILES = "deploy/**/bgp*.yaml";
const SECTIONS = new Set(Object.keys(configFileSchema.shape));

interface Example {
  /** `docs/config.md:14`, where the text begins. */
  readonly name: string;
  readonly text: string;
}

/** Blocks of pages that have a section of the configuration file, and files of deploy/. */
function examples(): readonly Example[] {
  const inPages = globSync(PAGES, { cwd: ROOT }).flatMap((page) => {
    const all = readFileSync(join(ROOT, page), "utf8");
    return [...all.matchAll(/^```ya?ml\n(.*?)^```$/gms)].map((match): Example => {
      const line = all.slice(0, match.index).split("\n").length;
      return { name: `${page}:${line}`, text: match[1]! };
    });
  });
  const alone = globSync(FILES, { cwd: ROOT }).map(
    (path): Example => ({ name: path, text: readFileSync(join(ROOT, path), "utf8") }),
  );
  return [...inPages.filter(({ text }) => isConfigFile(text)), ...alone];
}

/** Also one that the agent would refuse. */
function isConfigFile(text: string): boolean {
  const content: unknown = parseDocument(text).toJS();
  return Object.keys(content ?? {}).some((key) => SECTIONS.has(key));
}

function parsed({ name, text }: Example): ConfigFile {
  const result = parseConfigFile(text, name);
  assert.ok(result.ok, result.ok ? "" : result.problems.join("\n"));
  return result.file;
}

function peersOf(file: ConfigFile): readonly PeerConfig[] {
  const defaults = { holdSeconds: 90, port: 179, restartSeconds: 90, ownAddresses: ownOf(file) };
  const { peers, problems } = buildPeers(file, defaults, () => ({ ok: true, secret: "key" }));
  assert.deepEqual(problems, []);
  return peers;
}

const ownOf = (file: ConfigFile) => (file.global.listen ?? []).map(({ address }) => address);

test("every configuration file that is shown is taken", () => {
  const all = examples();
  assert.ok(all.some(({ name }) => name.startsWith("docs/config.md:")));
  for (const example of all) assert.ok(peersOf(parsed(example)).length > 0, example.name);
});

test("what an example announces as its own reaches each of its peers of that family", () => {
  let reached = 0;
  for (const example of examples()) {
    const file = parsed(example);
    const networks = buildNetworks(file);
    for (const { name, families, exportPolicy } of peersOf(file)) {
      assert.ok(exportPolicy !== undefined, `${example.name}: ${name} is told nothing (RFC 8212)`);
      const program = new PolicyProgram(exportPolicy);
      for (const { prefix } of networks) {
        if (!families.includes(prefixFamily(prefix))) continue;
        const outcome = program.evaluate(route({}), true, batchOf([prefix]), 0);
        assert.notEqual(outcome, REJECTED, `${example.name}: ${prefix} to ${name}`);
        reached++;
      }
    }
  }
  assert.ok(reached > 0);
});
