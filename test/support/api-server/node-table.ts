/** Nodes as a `Table`, so that kubectl prints the columns that people know. */
import { isJsonObject, type JsonObject } from "./api-status.ts";

const COLUMNS: readonly (readonly [string, number])[] = [
  ["Name", 0],
  ["Status", 0],
  ["Roles", 0],
  ["Age", 0],
  ["Version", 0],
  ["Internal-IP", 1],
  ["External-IP", 1],
  ["Pod-CIDRs", 1],
];

/** Whether the client asked for a table. */
export function wantsTable(accept: string | undefined): boolean {
  return accept?.includes("as=Table") ?? false;
}

/** A table of the objects; `metadata` is that of the list. */
export function nodeTable(objects: readonly JsonObject[], metadata: JsonObject): JsonObject {
  return {
    kind: "Table",
    apiVersion: "meta.k8s.io/v1",
    metadata,
    columnDefinitions: COLUMNS.map(([name, priority]) => ({
      name,
      type: "string",
      format: name === "Name" ? "name" : "",
      description: "",
      priority,
    })),
    rows: objects.map((object) => ({
      cells: cells(object),
      object: {
        kind: "PartialObjectMetadata",
        apiVersion: "meta.k8s.io/v1",
        metadata: object["metadata"],
      },
    })),
  };
}

function cells(object: JsonObject): string[] {
  const part = (key: string): JsonObject => {
    const value = object[key];
    return isJsonObject(value) ? value : {};
  };
  const [metadata, spec, status] = [part("metadata"), part("spec"), part("status")];
  const conditions = listOf(status["conditions"]);
  const ready = conditions.find((condition) => condition["type"] === "Ready")?.["status"];
  const state = ready === "True" ? "Ready" : ready === "False" ? "NotReady" : "Unknown";
  const labels = isJsonObject(metadata["labels"]) ? Object.keys(metadata["labels"]) : [];
  const role = "node-role.kubernetes.io/";
  const roles = labels.filter((key) => key.startsWith(role)).map((key) => key.slice(role.length));
  const info = isJsonObject(status["nodeInfo"]) ? status["nodeInfo"] : {};
  const address = (type: string) =>
    listOf(status["addresses"]).find((entry) => entry["type"] === type)?.["address"];
  const podCidrs = Array.isArray(spec["podCIDRs"]) ? spec["podCIDRs"] : [];
  return [
    metadata["name"],
    spec["unschedulable"] === true ? `${state},SchedulingDisabled` : state,
    roles.join(",") || "<none>",
    age(String(metadata["creationTimestamp"])),
    info["kubeletVersion"] ?? "<unknown>",
    address("InternalIP") ?? "<none>",
    address("ExternalIP") ?? "<none>",
    podCidrs.join(",") || "<none>",
  ].map(String);
}

function listOf(value: unknown): JsonObject[] {
  return Array.isArray(value) ? value.filter(isJsonObject) : [];
}

function age(timestamp: string): string {
  const seconds = Math.max(0, Math.floor((Date.now() - Date.parse(timestamp)) / 1000));
  if (Number.isNaN(seconds)) return "<unknown>";
  if (seconds < 120) return `${seconds}s`;
  if (seconds < 7200) return `${Math.floor(seconds / 60)}m`;
  return seconds < 172_800 ? `${Math.floor(seconds / 3600)}h` : `${Math.floor(seconds / 86_400)}d`;
}
