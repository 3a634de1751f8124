/** Kernel settings on a machine that has no file descriptors to spare. */
import assert from "node:assert/strict";
import { spawnSync } from "node:child_process";
import { test } from "node:test";
import { procSysctls } from "../../src/cni/proc-sysctls.ts";

test("a setting that there is not is told from one that cannot be read", async () => {
  assert.match(String(await procSysctls.read("net.ipv4.ip_forward")), /^[01]$/);
  assert.equal(await procSysctls.read("net.ipv4.no_such_setting"), undefined);
  assert.equal(await procSysctls.read("net.ipv4.ip_forward.none"), undefined);
  const script = `
    import { closeSync, openSync } from "node:fs";
    import { procSysctls } from "${new URL("../../src/cni/proc-sysctls.ts", import.meta.url)}";
    const all = [];
    try { for (;;) all.push(openSync("/dev/null", "r")); } catch {}
    const present = await procSysctls.read("net.ipv4.ip_forward");
    for (const fd of all) closeSync(fd);
    console.log(JSON.stringify(present));`;
  const node = [process.execPath, "--input-type=module-typescript", "-e", script];
  const run = ["-c", 'ulimit -n 64 && exec "$@"', "sh", ...node];
  const { stdout, stderr } = spawnSync("sh", run, { encoding: "utf8" });
  assert.equal(stdout, '{"unreadable":"too many open files"}\n', stderr);
});
