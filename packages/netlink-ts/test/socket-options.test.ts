/**
 * What the kernel is handed, octet by octet (linux/tcp.h, linux/in.h, linux/in6.h): two ends that
 * are both wrong in one way still understand each other.
 */
import assert from "node:assert/strict";
import { test } from "node:test";
import { Errno } from "../src/errors.ts";
import {
  bindSocket,
  bindToDevice,
  clearTcpMd5Key,
  closeSocket,
  openTcpSocket,
  setIpv6Only,
  setMinimumTtl,
  setReuseAddress,
  setTcpMd5Key,
  setTrafficClass,
  setTtl,
} from "../src/socket-options.ts";
import { ScriptedSys } from "./support/scripted-sys.ts";

/** Calls as text; `result` is what each gives. */
class Calls extends ScriptedSys {
  readonly calls: string[] = [];
  result = 0;

  override socket(...args: readonly number[]): number {
    return this.#called(`socket ${args.map((arg) => arg.toString(8)).join(" ")}`);
  }
  override bind(_fd: number, address: Uint8Array): number {
    return this.#called(`bind ${Buffer.from(address).toString("hex")}`);
  }
  override setsockopt(fd: number, level: number, option: number, value: Uint8Array): number {
    return this.#called(`set ${fd} ${level} ${option} ${Buffer.from(value).toString("hex")}`);
  }
  override close(fd: number): number {
    return this.#called(`close ${fd}`);
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

const zeros = (count: number) => "00".repeat(count);

test("a socket is a stream that does not block and is closed on exec", () => {
  assert.deepEqual(
    calls((sys) => {
      openTcpSocket(4, sys);
      openTcpSocket(6, sys);
      closeSocket(9, sys);
    }),
    ["socket 2 2004001 0", "socket 12 2004001 0", "close 9"],
  );
});

test("an address to bind to, of either family", () => {
  assert.deepEqual(
    calls((sys) => {
      bindSocket(9, "192.0.2.1", 179, undefined, sys);
      bindSocket(9, "192.0.2.1", 0, undefined, sys);
      bindSocket(9, "2001:db8::1", 65_535, undefined, sys);
      bindSocket(9, "fe80::1", 179, 0x0102_0304, sys);
    }),
    [
      `bind 020000b3c0000201${zeros(8)}`,
      `bind 02000000c0000201${zeros(8)}`,
      `bind 0a00ffff0000000020010db8${zeros(11)}01${zeros(4)}`,
      `bind 0a0000b300000000fe80${zeros(13)}0104030201`,
    ],
  );
});

test("an MD5 key stands behind its peer, and is taken away by one of no octets", () => {
  const peer4 = `02000000c0000201${zeros(120)}`;
  const peer6 = `0a0000000000000020010db8${zeros(11)}01${zeros(104)}`;
  assert.deepEqual(
    calls((sys) => {
      setTcpMd5Key(9, "192.0.2.1", "key", sys);
      setTcpMd5Key(9, "2001:db8::1", Uint8Array.of(255), sys);
      setTcpMd5Key(9, "192.0.2.0/24", "k".repeat(80), sys);
      setTcpMd5Key(9, "::/0", "k", sys);
      clearTcpMd5Key(9, "192.0.2.1", sys);
    }),
    [
      `set 9 6 14 ${peer4}00000300000000006b6579${zeros(77)}`,
      `set 9 6 14 ${peer6}0000010000000000ff${zeros(79)}`,
      `set 9 6 32 02000000c0000200${zeros(120)}0118500000000000${"6b".repeat(80)}`,
      `set 9 6 32 0a${zeros(127)}01000100000000006b${zeros(79)}`,
      `set 9 6 14 ${peer4}${zeros(88)}`,
    ],
  );
});

test("options of a number, by family", () => {
  assert.deepEqual(
    calls((sys) => {
      for (const family of [4, 6] as const) {
        setTtl(9, family, 1, sys);
        setTtl(9, family, 255, sys);
        setMinimumTtl(9, family, 0, sys);
        setMinimumTtl(9, family, 255, sys);
        setTrafficClass(9, family, 0, sys);
        setTrafficClass(9, family, 0xc0, sys);
      }
      setReuseAddress(9, sys);
      setIpv6Only(9, sys);
      bindToDevice(9, "eth0", sys);
      bindToDevice(9, "fifteen-letters", sys);
    }),
    [
      ...["set 9 0 2 01000000", "set 9 0 2 ff000000", "set 9 0 21 00000000"],
      ...["set 9 0 21 ff000000", "set 9 0 1 00000000", "set 9 0 1 c0000000"],
      ...["set 9 41 16 01000000", "set 9 41 16 ff000000", "set 9 41 73 00000000"],
      ...["set 9 41 73 ff000000", "set 9 41 67 00000000", "set 9 41 67 c0000000"],
      ...["set 9 1 2 01000000", "set 9 41 26 01000000"],
      ...[
        "set 9 1 25 6574683000",
        `set 9 1 25 ${Buffer.from("fifteen-letters\0").toString("hex")}`,
      ],
    ],
  );
});

test("what has no wire form is refused before the kernel is asked", () => {
  const sys = new Calls();
  for (const port of [-1, 65_536, 1.5, Number.NaN]) {
    assert.throws(() => bindSocket(9, "192.0.2.1", port, 0, sys), { code: "EINVAL" });
  }
  for (const key of ["", "k".repeat(81), new Uint8Array(81)]) {
    assert.throws(() => setTcpMd5Key(9, "192.0.2.1", key, sys), { code: "EINVAL" });
  }
  for (const ttl of [0, 256, -1, 1.5]) {
    assert.throws(() => setTtl(9, 4, ttl, sys), { code: "EINVAL" });
  }
  for (const value of [256, -1, 1.5]) {
    assert.throws(() => setMinimumTtl(9, 4, value, sys), { code: "EINVAL" });
    assert.throws(() => setTrafficClass(9, 4, value, sys), { code: "EINVAL" });
  }
  for (const name of ["", "sixteen--letters"]) {
    assert.throws(() => bindToDevice(9, name, sys), { code: "EINVAL" });
  }
  for (const family of ["inet", 5, undefined] as unknown as 4[]) {
    const refused = { code: "EINVAL", message: `EINVAL: not a family, 4 or 6: ${family}` };
    assert.throws(() => openTcpSocket(family, sys), refused);
    for (const set of [setTtl, setMinimumTtl, setTrafficClass]) {
      assert.throws(() => set(9, family, 1, sys), refused);
    }
  }
  assert.deepEqual(sys.calls, []);
});

test("what the kernel refuses is thrown, by each call", () => {
  const sys = new Calls();
  sys.result = -Errno.EPERM;
  for (const call of [
    () => openTcpSocket(4, sys),
    () => closeSocket(9, sys),
    () => bindSocket(9, "192.0.2.1", 179, 0, sys),
    () => setTcpMd5Key(9, "192.0.2.1", "key", sys),
    () => clearTcpMd5Key(9, "192.0.2.1", sys),
    () => setTtl(9, 4, 1, sys),
    () => setMinimumTtl(9, 4, 1, sys),
    () => setTrafficClass(9, 4, 1, sys),
    () => bindToDevice(9, "eth0", sys),
    () => setReuseAddress(9, sys),
    () => setIpv6Only(9, sys),
  ]) {
    assert.throws(call, { name: "SystemCallError", code: "EPERM" });
  }
});
