/** What clients ask before they ask for Nodes: versions and the resources there are. */
import type { JsonObject } from "./api-status.ts";

const VERBS = ["create", "delete", "get", "list", "patch", "update", "watch"];

/** The answer of a discovery path, or undefined when the path is none. */
export function discovery(path: string, address: string): JsonObject | string | undefined {
  switch (path) {
    case "/healthz":
    case "/livez":
    case "/readyz":
      return "ok";
    case "/version":
      return {
        major: "1",
        minor: "34",
        gitVersion: "v1.34.0-podrouter-embedded",
        gitCommit: "0000000000000000000000000000000000000000",
        gitTreeState: "clean",
        buildDate: "2025-01-01T00:00:00Z",
        goVersion: "none",
        compiler: "none",
        platform: "linux/amd64",
      };
    case "/api":
      return {
        kind: "APIVersions",
        versions: ["v1"],
        serverAddressByClientCIDRs: [{ clientCIDR: "0.0.0.0/0", serverAddress: address }],
      };
    case "/apis":
      return { kind: "APIGroupList", apiVersion: "v1", groups: [] };
    case "/openapi/v3":
      return { paths: { "api/v1": { serverRelativeURL: "/openapi/v3/api/v1" } } };
    case "/openapi/v3/api/v1":
      return nodeApi();
    case "/api/v1":
      return { kind: "APIResourceList", groupVersion: "v1", resources: resources() };
    default:
      return undefined;
  }
}

function resources(): JsonObject[] {
  const node = { singularName: "node", namespaced: false, kind: "Node" };
  return [
    { ...node, name: "nodes", verbs: VERBS, shortNames: ["no"] },
    { ...node, name: "nodes/status", singularName: "", verbs: ["get", "patch", "update"] },
  ];
}

/** As much of the API's description as kubectl reads to leave validation to the server. */
function nodeApi(): JsonObject {
  const parameter = { name: "fieldValidation", in: "query", schema: { type: "string" } };
  const patch = {
    "x-kubernetes-action": "patch",
    "x-kubernetes-group-version-kind": { group: "", version: "v1", kind: "Node" },
    parameters: [parameter],
    responses: { 200: { description: "OK" } },
  };
  return {
    openapi: "3.0.0",
    info: { title: "Kubernetes", version: "v1" },
    paths: { "/api/v1/nodes/{name}": { patch } },
  };
}
