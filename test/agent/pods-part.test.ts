/** What the agent does for its node's pods when it is ended in the middle of its start. */
import assert from "node:assert/strict";
import { existsSync, mkdtempSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { test } from "node:test";
import { PodsPart } from "../../src/agent/pods-part.ts";
import { FakeClock } from "../support/fake-clock.ts";
import { recordingLog } from "../support/recording-log.ts";

test("an end in the middle of the start: it comes to its end, and nothing begins after it", async (t) => {
  const folder = mkdtempSync(join(tmpdir(), "podrouter-pods-"));
  t.after(() => rmSync(folder, { recursive: true }));
  const socket = join(folder, "cni.sock");
  const pods = {
    cni: true,
    plugin: "podrouter",
    own: { socket, leases: join(folder, "leases.json") },
    confFile: join(folder, "net.d", "10-pods.conflist"),
    binFolder: join(folder, "bin"),
    autoMtu: true,
    egress: true,
    exclude: [],
  } as const;
  const deps = { clock: new FakeClock(), random: () => 0, log: recordingLog().log };
  const part = new PodsPart({ pods, dryRun: false }, deps, () => undefined);
  const starting = part.start();
  await part.stop();
  await starting;
  assert.equal(existsSync(socket), false);
});
