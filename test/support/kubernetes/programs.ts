/** Where the programs of a real Kubernetes are: on PATH, or built by scripts/kubernetes-programs.sh. */
import { access } from "node:fs/promises";
import { homedir } from "node:os";
import { join } from "node:path";
import { hasProgram } from "../shell.ts";

export type KubernetesProgram =
  | "kube-apiserver"
  | "kube-controller-manager"
  | "kube-scheduler"
  | "kubelet"
  | "kubectl";

/** Paths by name, or the sentence that says what is missing and where it comes from. */
export async function kubernetesPrograms(
  names: readonly KubernetesProgram[],
): Promise<ReadonlyMap<KubernetesProgram, string> | string> {
  const cache = process.env["XDG_CACHE_HOME"] ?? join(homedir(), ".cache");
  const found = new Map<KubernetesProgram, string>();
  for (const name of names) {
    const built = join(cache, "podrouter", "kubernetes", name);
    if (await hasProgram(name)) found.set(name, name);
    else if (await access(built).then(yes, no)) found.set(name, built);
    else return `${name} is missing; scripts/kubernetes-programs.sh builds it`;
  }
  return found;
}

/** Debian's parts: the sentence that says which package is missing, or undefined. */
export async function debianProgramsMissing(
  packages: Readonly<Record<string, string>>,
): Promise<string | undefined> {
  for (const [program, name] of Object.entries(packages)) {
    if (!(await hasProgram(program))) return `${program} is missing (Debian: ${name})`;
  }
  return undefined;
}

const yes = () => true;
const no = () => false;
