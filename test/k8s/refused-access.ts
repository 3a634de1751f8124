/** What keeps an agent from starting, because of how the API server is to be reached. */
import assert from "node:assert/strict";
import {
  KubeConfigError,
  type KubeConfigOptions,
  loadKubeAccess,
} from "../../src/k8s/kube-config.ts";

/** In what is to be refused; never in a refusal. */
export const TOKEN = "s3cr3t-token";

/** The one sentence of the refusal. */
export function refusal(options: KubeConfigOptions): string {
  try {
    loadKubeAccess(options);
  } catch (error) {
    assert.ok(error instanceof KubeConfigError, String(error));
    assert.ok(!error.message.includes(TOKEN), error.message);
    return error.message;
  }
  return assert.fail("it was accepted");
}
