/** What the log says of malformed UPDATEs, RFC 7606 §6. */
import assert from "node:assert/strict";
import { closeSync, mkdtempSync, openSync, readFileSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { test } from "node:test";
import { createLogger } from "../../../src/agent/logger.ts";
import { logMalformedUpdate } from "../../../src/bgp/speaker/malformed-log.ts";
import { announce, hex, message, openOf, RawPeer } from "../../support/raw-peer.ts";
import { recordingLog } from "../../support/recording-log.ts";
import { ip, World } from "../../support/speakers.ts";

function withRaw() {
  const { log, lines } = recordingLog();
  const world = new World({ log });
  const a = world.node("192.0.2.1");
  const address = ip("192.0.2.9");
  const raw = new RawPeer(world.network.host(address), address).listen();
  raw.autoOpen = openOf(address);
  a.speaker.setPeers([{ ...a.peerTo(a), address }]);
  a.speaker.start();
  world.until(() => a.speaker.peer(address)?.state === "Established", "session");
  const said = () => lines.filter((line) => line.includes("malformed UPDATE"));
  return { world, raw, said };
}

test("the log has the whole of a malformed UPDATE, whatever became of it (RFC 7606 §6)", () => {
  const { world, raw, said } = withRaw();
  raw.send(announce(raw.address, 1));
  world.advance(5);
  assert.deepEqual(said(), []);
  // ORIGIN 9: treated as withdrawn.
  const origin9 = "0000 0015 40010109 400200 400304c0000209 40050400000064 080a";
  raw.send(message(2, hex(origin9)));
  world.advance(5);
  const body = origin9.replaceAll(" ", "");
  assert.deepEqual(said(), [`debug malformed UPDATE ORIGIN has an undefined value ${body}`]);
  // Attributes that run over the message: the session ends.
  raw.send(message(2, hex("0000 0010 400101")));
  world.advance(5);
  assert.equal(said()[1], "debug malformed UPDATE attributes run over the message 00000010400101");
  assert.equal(raw.notification, "3/1");
});

test("every reason is named", () => {
  const { world, raw, said } = withRaw();
  const two = "0000 000b 40010109 40050400000064 080a";
  raw.send(message(2, hex(two)));
  world.advance(5);
  assert.match(
    said()[0]!,
    /ORIGIN has an undefined value,AS_PATH is missing,NEXT_HOP is missing 0000000b/,
  );
});

test("the agent's own log takes it, as text", () => {
  const folder = mkdtempSync(join(tmpdir(), "podrouter-malformed-"));
  const file = join(folder, "log");
  const fd = openSync(file, "w");
  for (const level of ["info", "debug"] as const) {
    const log = createLogger({ level, format: "json", fd, base: {} });
    logMalformedUpdate(log, ["a reason"], Uint8Array.of(1, 2, 255));
  }
  const { reasons, body, ...rest } = JSON.parse(readFileSync(file, "utf8"));
  closeSync(fd);
  rmSync(folder, { recursive: true });
  assert.deepEqual([reasons, body, rest.level], [["a reason"], "0102ff", "debug"]);
});
