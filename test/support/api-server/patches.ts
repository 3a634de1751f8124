/**
 * The three patch forms. Strategic merge is JSON merge with the lists of a Node that merge by key;
 * its other directives than `$patch: delete|replace|merge` are refused by name.
 */
import { ApiFailure, isJsonObject, type JsonObject } from "./api-status.ts";

/** Lists of a Node that strategic merge patches merge, with their key. */
const MERGED_LISTS: Readonly<Record<string, string>> = {
  "status.addresses": "type",
  "status.conditions": "type",
  "spec.taints": "key",
};

/** Applies a patch of the given media type; the object itself stays as it is. */
export function patched(object: JsonObject, mediaType: string, patch: unknown): JsonObject {
  switch (mediaType) {
    case "application/merge-patch+json":
      return asObject(mergePatch(object, patch));
    case "application/strategic-merge-patch+json":
      return asObject(strategicPatch(object, patch, ""));
    case "application/json-patch+json":
      return asObject(jsonPatch(object, patch));
    default:
      throw new ApiFailure(415, `the body of the request was in an unknown format: ${mediaType}`);
  }
}

function asObject(value: unknown): JsonObject {
  if (isJsonObject(value)) return value;
  throw new ApiFailure(422, "the patched value is not an object");
}

/** RFC 7396. */
export function mergePatch(target: unknown, patch: unknown): unknown {
  if (!isJsonObject(patch)) return patch;
  const result: JsonObject = isJsonObject(target) ? { ...target } : {};
  for (const [key, value] of Object.entries(patch)) {
    if (value === null) delete result[key];
    else result[key] = mergePatch(result[key], value);
  }
  return result;
}

function strategicPatch(target: unknown, patch: unknown, path: string): unknown {
  if (Array.isArray(patch) && MERGED_LISTS[path] !== undefined) {
    return mergeLists(Array.isArray(target) ? target : [], patch, MERGED_LISTS[path], path);
  }
  if (!isJsonObject(patch)) return patch;
  const replace = patch["$patch"] === "replace";
  const result: JsonObject = isJsonObject(target) && !replace ? { ...target } : {};
  for (const [key, value] of Object.entries(patch)) {
    if (key === "$patch" || key.startsWith("$setElementOrder/")) continue;
    if (key.startsWith("$")) throw new ApiFailure(422, `patch directive not supported: ${key}`);
    if (value === null) delete result[key];
    else result[key] = strategicPatch(result[key], value, path === "" ? key : `${path}.${key}`);
  }
  return result;
}

function mergeLists(
  target: readonly unknown[],
  patch: readonly unknown[],
  key: string,
  path: string,
): unknown[] {
  const result = [...target];
  for (const item of patch) {
    if (!isJsonObject(item)) throw new ApiFailure(422, `${path}: an element is not an object`);
    if (item["$patch"] === "replace") {
      return patch.filter((each) => isJsonObject(each) && each["$patch"] === undefined);
    }
    const at = result.findIndex((known) => isJsonObject(known) && known[key] === item[key]);
    if (item["$patch"] === "delete") {
      if (at >= 0) result.splice(at, 1);
    } else if (at >= 0) {
      result[at] = strategicPatch(result[at], item, `${path}[]`);
    } else {
      result.push(item);
    }
  }
  return result;
}

/** RFC 6902. */
export function jsonPatch(target: unknown, operations: unknown): unknown {
  if (!Array.isArray(operations)) throw new ApiFailure(400, "a JSON patch is a list");
  let result: unknown = structuredClone(target);
  for (const operation of operations) {
    if (!isJsonObject(operation)) throw new ApiFailure(400, "an operation is not an object");
    result = applyOperation(result, operation);
  }
  return result;
}

function applyOperation(root: unknown, operation: JsonObject): unknown {
  const path = pointer(operation["path"]);
  switch (operation["op"]) {
    case "add":
      return setAt(root, path, structuredClone(operation["value"]), "insert");
    case "replace":
      getAt(root, path);
      return setAt(root, path, structuredClone(operation["value"]), "set");
    case "remove":
      return removeAt(root, path);
    case "copy":
      return setAt(root, path, structuredClone(getAt(root, pointer(operation["from"]))), "insert");
    case "move": {
      const from = pointer(operation["from"]);
      const value = getAt(root, from);
      return setAt(removeAt(root, from), path, value, "insert");
    }
    case "test":
      if (!sameJson(getAt(root, path), operation["value"])) {
        throw new ApiFailure(422, `testing value ${operation["path"]} failed`);
      }
      return root;
    default:
      throw new ApiFailure(400, `unknown patch operation: ${JSON.stringify(operation["op"])}`);
  }
}

function pointer(text: unknown): string[] {
  if (typeof text !== "string" || (text !== "" && !text.startsWith("/"))) {
    throw new ApiFailure(400, `not a JSON pointer: ${JSON.stringify(text)}`);
  }
  const parts = text.split("/").slice(1);
  return parts.map((part) => part.replaceAll("~1", "/").replaceAll("~0", "~"));
}

function getAt(root: unknown, path: readonly string[]): unknown {
  let value = root;
  for (const part of path) {
    const next: unknown = isJsonObject(value)
      ? value[part]
      : Array.isArray(value)
        ? value[Number(part)]
        : undefined;
    if (next === undefined) throw new ApiFailure(422, `path does not exist: /${path.join("/")}`);
    value = next;
  }
  return value;
}

function setAt(
  root: unknown,
  path: readonly string[],
  value: unknown,
  mode: "insert" | "set",
): unknown {
  if (path.length === 0) return value;
  const parent = getAt(root, path.slice(0, -1));
  const key = path.at(-1)!;
  if (Array.isArray(parent)) {
    const index = key === "-" ? parent.length : Number(key);
    if (!(index >= 0 && index <= parent.length)) throw new ApiFailure(422, `no index ${key}`);
    parent.splice(index, mode === "set" ? 1 : 0, value);
  } else if (isJsonObject(parent)) {
    parent[key] = value;
  } else {
    throw new ApiFailure(422, `path does not exist: /${path.join("/")}`);
  }
  return root;
}

function removeAt(root: unknown, path: readonly string[]): unknown {
  getAt(root, path);
  const parent = getAt(root, path.slice(0, -1));
  const key = path.at(-1) ?? "";
  if (Array.isArray(parent)) parent.splice(Number(key), 1);
  else if (isJsonObject(parent)) delete parent[key];
  return root;
}

/** Equality of JSON values, whatever the order of keys. */
export function sameJson(a: unknown, b: unknown): boolean {
  if (a === b) return true;
  if (Array.isArray(a) && Array.isArray(b)) {
    return a.length === b.length && a.every((item, i) => sameJson(item, b[i]));
  }
  if (!isJsonObject(a) || !isJsonObject(b)) return false;
  const keys = Object.keys(a);
  return (
    keys.length === Object.keys(b).length &&
    keys.every((key) => Object.hasOwn(b, key) && sameJson(a[key], b[key]))
  );
}
