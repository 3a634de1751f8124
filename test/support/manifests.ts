/** Files of deploy/ as objects, checked by the Kubernetes schema, and as kustomize joins them. */
import assert from "node:assert/strict";
import { readFileSync } from "node:fs";
import { dirname, join } from "node:path";
import { parse, parseAllDocuments } from "yaml";
import { kubernetesValidator } from "./kubernetes-schema.ts";

export const DEPLOY = join(import.meta.dirname, "..", "..", "deploy");

export interface Manifest {
  readonly apiVersion: string;
  readonly kind: string;
  readonly metadata: { readonly name: string; readonly namespace?: string };
}

export interface Probe {
  readonly httpGet: { readonly port: number; readonly path: string };
  readonly periodSeconds: number;
  readonly timeoutSeconds: number;
  readonly failureThreshold: number;
}

export interface Container {
  readonly name: string;
  readonly image: string;
  readonly args: readonly string[];
  readonly command: readonly string[];
  readonly env: readonly { readonly name: string; readonly valueFrom: unknown }[];
  readonly securityContext: Readonly<Record<string, unknown>>;
  readonly livenessProbe: Probe;
  readonly readinessProbe: Probe;
  readonly volumeMounts: readonly {
    readonly name: string;
    readonly mountPath: string;
    readonly readOnly?: boolean;
  }[];
}

export interface PodSpec {
  readonly serviceAccountName: string;
  readonly hostNetwork: boolean;
  readonly tolerations: readonly unknown[];
  readonly initContainers: readonly [Container];
  readonly containers: readonly [Container];
  readonly volumes: readonly { readonly name: string; readonly hostPath: { path: string } }[];
}

export interface DaemonSet {
  readonly metadata: { readonly namespace: string };
  readonly spec: {
    readonly selector: { readonly matchLabels: Readonly<Record<string, string>> };
    readonly updateStrategy: { readonly rollingUpdate: { readonly maxUnavailable: number } };
    readonly template: {
      readonly metadata: { readonly labels: Readonly<Record<string, string>> };
      readonly spec: PodSpec;
    };
  };
}

const MODELS: Readonly<Record<string, readonly [apiVersion: string, model: string]>> = {
  ServiceAccount: ["v1", "V1ServiceAccount"],
  ClusterRole: ["rbac.authorization.k8s.io/v1", "V1ClusterRole"],
  ClusterRoleBinding: ["rbac.authorization.k8s.io/v1", "V1ClusterRoleBinding"],
  DaemonSet: ["apps/v1", "V1DaemonSet"],
};

/** The objects of a YAML text, in order. */
export function documents(text: string): Manifest[] {
  return parseAllDocuments(text).map((document) => {
    assert.deepEqual(document.errors, []);
    return document.toJS() as Manifest;
  });
}

/** What the API server would refuse; empty = nothing. */
export async function problemsOf(manifest: Manifest): Promise<string[]> {
  const [apiVersion, model] = MODELS[manifest.kind] ?? [];
  assert.ok(model !== undefined, `unexpected kind ${manifest.kind}`);
  assert.equal(manifest.apiVersion, apiVersion);
  const validate = await kubernetesValidator(model);
  if (validate(manifest)) return [];
  return (validate.errors ?? []).map(
    (error) => `${error.instancePath} ${error.message} ${JSON.stringify(error.params)}`,
  );
}

/** A file of deploy/ with one object. */
export function readDeploy<T>(...path: string[]): T {
  return parse(readFileSync(join(DEPLOY, ...path), "utf8")) as T;
}

/** The DaemonSet of deploy/podrouter.yaml. */
export function plainDaemonSet(): DaemonSet {
  const text = readFileSync(join(DEPLOY, "podrouter.yaml"), "utf8");
  const found = documents(text).find(({ kind }) => kind === "DaemonSet");
  assert.ok(found !== undefined);
  return found as unknown as DaemonSet;
}

/** A patch of a kustomization: a strategic merge in a file, or operations in the text. */
export interface KustomizePatch {
  readonly path?: string;
  readonly target?: unknown;
  readonly patch?: string;
}

interface Operation {
  readonly op: string;
  readonly path: string;
  readonly value: unknown;
}

/** What the components of these names, in this order, make of the plain DaemonSet. */
export function withComponents(...names: string[]): DaemonSet {
  let whole: unknown = plainDaemonSet();
  for (const name of names) {
    const { patches } = readDeploy<{ patches: KustomizePatch[] }>(name, "kustomization.yaml");
    for (const { path, patch } of patches) {
      if (path !== undefined) whole = merged(whole, readDeploy(join(name, path)));
      else for (const operation of parse(patch ?? "") as Operation[]) append(whole, operation);
    }
  }
  return whole as DaemonSet;
}

/** `add` at the end of a list, the one operation that the components need. */
function append(root: unknown, { op, path, value }: Operation): void {
  assert.match(`${op} ${path}`, /^add \/.*\/-$/);
  let at = root as Record<string, unknown>;
  for (const key of path.split("/").slice(1, -1)) at = at[key] as Record<string, unknown>;
  assert.ok(Array.isArray(at), dirname(path));
  at.push(value);
}

/** Lists of objects that a strategic merge patch joins, each by what names its entries. */
const MERGE_KEYS: Readonly<Record<string, string>> = {
  containers: "name",
  initContainers: "name",
  volumes: "name",
  volumeMounts: "mountPath",
};

/** As kustomize applies a strategic merge; lists that are not named above are replaced. */
function merged(base: unknown, patch: unknown, key = ""): unknown {
  if (Array.isArray(base) && Array.isArray(patch) && MERGE_KEYS[key] !== undefined) {
    const by = MERGE_KEYS[key];
    const keyOf = (entry: unknown) => (entry as Record<string, unknown>)[by];
    const rest = patch.filter((entry) => !base.some((one) => keyOf(one) === keyOf(entry)));
    const joined = base.map((one) =>
      merged(one, patch.find((entry) => keyOf(entry) === keyOf(one)) ?? {}),
    );
    return [...joined, ...rest];
  }
  if (!isRecord(base) || !isRecord(patch)) return patch;
  const changed = Object.entries(patch).map(([name, value]) => [
    name,
    name in base ? merged(base[name], value, name) : value,
  ]);
  return { ...base, ...Object.fromEntries(changed) };
}

function isRecord(value: unknown): value is Record<string, unknown> {
  return typeof value === "object" && value !== null && !Array.isArray(value);
}
