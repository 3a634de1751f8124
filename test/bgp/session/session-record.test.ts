/** What a neighbour's record tells an operator. */
import assert from "node:assert/strict";
import { test } from "node:test";
import type { EndCause } from "../../../src/bgp/fsm/state.ts";
import { describeCause, SessionRecord } from "../../../src/bgp/session/session-record.ts";
import { FakeClock } from "../../support/fake-clock.ts";

const shutdown: EndCause = {
  kind: "received",
  notification: { code: 6, subcode: 2, data: new Uint8Array() },
  reason: "Cease / Administrative Shutdown: lunch",
};
const refused: EndCause = { kind: "transport", reason: "connection refused" };

function failedBy(record: SessionRecord, cause: EndCause): string | undefined {
  record.failed(describeCause(cause), cause);
  return record.lastError?.reason;
}

test("a failure to connect does not hide what the peer said before", () => {
  const record = new SessionRecord(new FakeClock());
  assert.equal(failedBy(record, refused), "connection refused");
  const said = "received Cease / Administrative Shutdown: lunch";
  assert.equal(failedBy(record, shutdown), said);
  assert.equal(failedBy(record, refused), `connection refused; before: ${said}`);
  assert.equal(failedBy(record, refused), `connection refused; before: ${said}`);
  assert.equal(failedBy(record, shutdown), said);
  record.up();
  assert.equal(failedBy(record, refused), "connection refused");
});
