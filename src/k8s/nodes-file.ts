/**
 * The text of a nodes file: a Node, a List of them, or several YAML documents of either, as
 * `kubectl get nodes -o yaml` and `-o json` print them. Problems name the line; the text itself is
 * not quoted, since annotations can hold passwords.
 */
import { LineCounter } from "yaml";
import { isJsonObject } from "../runtime/json.ts";
import { ALIAS_PROBLEM, valuesOf, yamlDocuments } from "../runtime/yaml.ts";
import { NODES_YAML_BYTES_MAX } from "./limits.ts";
import { quoted } from "./problem.ts";

export type NodesFile =
  | { readonly nodes: readonly unknown[] }
  | {
      /** What is wrong, without the file's name: `line 3, column 5: …`. */
      readonly problem: string;
    };

/** The Node objects in the text, unchecked. */
export function parseNodesFile(text: string): NodesFile {
  const documents = /^\s*[{[]/.test(text) ? parseJson(text) : parseYaml(text);
  if ("problem" in documents) return documents;
  const nodes: unknown[] = [];
  for (const [i, document] of documents.values.entries()) {
    if (document === null || document === undefined) continue;
    const read = nodesOfDocument(document);
    if (read === undefined) {
      const kind = isJsonObject(document) ? quoted(document["kind"] ?? null) : kindOf(document);
      const which = documents.values.length > 1 ? `document ${i + 1}: ` : "";
      return { problem: `${which}expected a Node or a List of Nodes, found ${kind}` };
    }
    nodes.push(...read);
  }
  const empty = documents.values.every((document) => document === null || document === undefined);
  return empty ? { problem: "the file is empty: it holds neither a Node nor a List" } : { nodes };
}

/** A file that is text or a number as a whole may be a password's. */
function kindOf(document: unknown): string {
  if (typeof document === "string") return "text";
  return typeof document === "number" ? "a number" : quoted(document);
}

function nodesOfDocument(document: unknown): readonly unknown[] | undefined {
  if (!isJsonObject(document)) return undefined;
  const kind = document["kind"];
  if (kind === "Node") return [document];
  const items = document["items"];
  return (kind === "List" || kind === "NodeList") && Array.isArray(items) ? items : undefined;
}

type Documents = { readonly values: readonly unknown[] } | { readonly problem: string };

function parseJson(text: string): Documents {
  try {
    return { values: [JSON.parse(text)] };
  } catch {
    // Flow style YAML begins like JSON; and YAML's parser says where JSON is broken.
    if (text.length <= NODES_YAML_BYTES_MAX) return parseYaml(text, "JSON");
    return { problem: "not JSON" };
  }
}

function parseYaml(text: string, language = "YAML"): Documents {
  if (text.length > NODES_YAML_BYTES_MAX) {
    const limit = `${NODES_YAML_BYTES_MAX / 1024 / 1024} MiB`;
    return { problem: `YAML of more than ${limit} takes too long to read: write it as JSON` };
  }
  const lineCounter = new LineCounter();
  const documents = yamlDocuments(text, lineCounter);
  for (const { errors } of documents) {
    const error = errors[0];
    if (error === undefined) continue;
    const { line, col } = lineCounter.linePos(error.pos[0]);
    return { problem: `line ${line}, column ${col}: not ${language} (${error.code})` };
  }
  try {
    return { values: valuesOf(documents) };
  } catch {
    return { problem: `not YAML: ${ALIAS_PROBLEM}` };
  }
}
