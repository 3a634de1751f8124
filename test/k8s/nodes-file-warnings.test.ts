/** What the YAML library has to say of a nodes file goes nowhere past the log. */
import assert from "node:assert/strict";
import { test } from "node:test";
import { parseNodesFile } from "../../src/k8s/nodes-file.ts";
import { processWarnings } from "../support/process-warnings.ts";

test("nothing of a nodes file is written to standard error", async (t) => {
  const text = "kind: List\nitems:\n- ? { password: c2VjcmV0 }\n  : !x 1\n";
  assert.deepEqual(await processWarnings(t, () => parseNodesFile(text)), []);
});
