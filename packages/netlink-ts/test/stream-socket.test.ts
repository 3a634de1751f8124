/** What the kernel is handed for a connection, octet by octet, and what becomes of its answers. */
import assert from "node:assert/strict";
import { test } from "node:test";
import { Errno } from "../src/errors.ts";
import {
  acceptFrom,
  closeWithReset,
  connectTo,
  listenOn,
  localAddressOf,
  setNoDelay,
  socketError,
} from "../src/stream-socket.ts";
import { ScriptedStreamSys } from "./support/scripted-sys.ts";

const zeros = (count: number) => "00".repeat(count);

/** Calls as text; `result` is what each gives, `filled` what it fills in. */
class Calls extends ScriptedStreamSys {
  readonly calls: string[] = [];
  result = 0;
  filled = "";

  override listen(fd: number, backlog: number): number {
    return this.#called(`listen ${fd} ${backlog}`);
  }
  override accept(fd: number, address: Uint8Array): number {
    return this.#fill(`accept ${fd}`, address);
  }
  override connect(fd: number, address: Uint8Array): number {
    return this.#called(`connect ${fd} ${Buffer.from(address).toString("hex")}`);
  }
  override getsockname(fd: number, address: Uint8Array): number {
    return this.#fill(`getsockname ${fd}`, address);
  }
  override getsockopt(fd: number, level: number, option: number, value: Uint8Array): number {
    return this.#fill(`get ${fd} ${level} ${option}`, value);
  }
  override setsockopt(fd: number, level: number, option: number, value: Uint8Array): number {
    return this.#called(`set ${fd} ${level} ${option} ${Buffer.from(value).toString("hex")}`);
  }
  override close(fd: number): number {
    return this.#called(`close ${fd}`);
  }

  #fill(call: string, bytes: Uint8Array): number {
    bytes.set(Buffer.from(this.filled, "hex"));
    return this.#called(`${call} ${bytes.length}`);
  }

  #called(text: string): number {
    this.calls.push(text);
    return this.result;
  }
}

function calls(make: (sys: Calls) => void): readonly string[] {
  const sys = new Calls();
  make(sys);
  return sys.calls;
}

test("to listen, to connect, and options", () => {
  assert.deepEqual(
    calls((sys) => {
      listenOn(9, 128, sys);
      connectTo(9, "192.0.2.1", 179, sys);
      connectTo(9, "2001:db8::1", 1790, sys);
      setNoDelay(9, sys);
      closeWithReset(9, sys);
    }),
    [
      "listen 9 128",
      `connect 9 020000b3c0000201${zeros(8)}`,
      `connect 9 0a0006fe0000000020010db8${zeros(11)}01${zeros(4)}`,
      "set 9 6 1 01000000",
      "set 9 1 13 0100000000000000",
      "close 9",
    ],
  );
});

test("addresses of both families are read, and what is neither is refused", () => {
  const sys = new Calls();
  sys.result = 7;
  sys.filled = `020000b3c0000201${zeros(8)}`;
  assert.deepEqual(acceptFrom(9, sys), { fd: 7, address: "192.0.2.1", port: 179 });
  assert.deepEqual(localAddressOf(9, sys), { address: "192.0.2.1", port: 179 });
  sys.filled = `0a0006feffffffff20010db8${zeros(11)}01ffffffff`;
  assert.deepEqual(acceptFrom(9, sys), { fd: 7, address: "2001:db8::1", port: 1790 });
  assert.deepEqual(localAddressOf(9, sys), { address: "2001:db8::1", port: 1790 });
  assert.deepEqual(sys.calls.slice(-2), ["accept 9 28", "getsockname 9 28"]);
  sys.result = 0;
  assert.deepEqual(acceptFrom(9, sys), { fd: 0, address: "2001:db8::1", port: 1790 });
  sys.filled = "0100";
  assert.throws(() => localAddressOf(9, sys), /family 1/);
});

test("what is no success: thrown, given as errno, or no address", () => {
  const sys = new Calls();
  sys.result = -Errno.EINPROGRESS;
  connectTo(9, "192.0.2.1", 179, sys);
  sys.result = -Errno.EPERM;
  assert.throws(() => listenOn(9, 1, sys), { code: "EPERM" });
  assert.throws(() => connectTo(9, "192.0.2.1", 179, sys), { code: "EPERM" });
  assert.throws(() => setNoDelay(9, sys), { code: "EPERM" });
  assert.equal(acceptFrom(9, sys), -Errno.EPERM);
  assert.equal(localAddressOf(9, sys), undefined);
  assert.equal(socketError(9, sys), Errno.EPERM);
  assert.throws(() => connectTo(9, "nowhere", 179, sys), { code: "EINVAL" });
});

test("the error of a socket is what the option holds", () => {
  const sys = new Calls();
  sys.filled = "6f000000";
  assert.equal(socketError(9, sys), 111);
  assert.deepEqual(sys.calls, ["get 9 1 4 4"]);
});
