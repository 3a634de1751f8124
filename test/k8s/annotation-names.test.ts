/** Which annotations are known. */
import assert from "node:assert/strict";
import { test } from "node:test";
import { NODE_ANNOTATIONS, readNodeAnnotations } from "../../src/k8s/annotations.ts";

test("all that are read are known, and no others", () => {
  const asked = new Set(["pod-cidrs", "pod-cidr"]);
  class Asked extends Map<string, string> {
    override get(name: string): undefined {
      asked.add(name);
    }

    override has(name: string): boolean {
      asked.add(name);
      return false;
    }
  }
  readNodeAnnotations("node1", new Asked());
  assert.deepEqual([...asked].sort(), [...NODE_ANNOTATIONS].sort());
});
