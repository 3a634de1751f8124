/** TCP connections by their fds, watched by one epoll instance, on real sockets of the loopback. */
import assert from "node:assert/strict";
import { test } from "node:test";
import { setTimeout as sleep } from "node:timers/promises";
import {
  type AcceptedSocket,
  acceptFrom,
  bindSocket,
  closeSocket,
  closeWithReset,
  connectTo,
  Errno,
  FdPoller,
  Interest,
  type IpFamily,
  linuxSys,
  listenOn,
  localAddressOf,
  openTcpSocket,
  socketError,
} from "../src/index.ts";

const LOOPBACK = { 4: "127.0.0.1", 6: "::1" } as const;
const WAIT_MS = 5_000;

async function until(condition: () => boolean, what: string): Promise<void> {
  const end = performance.now() + WAIT_MS;
  while (!condition() && performance.now() < end) await sleep(1);
  assert.ok(condition(), `waited in vain: ${what}`);
}

function listener(family: IpFamily) {
  const fd = openTcpSocket(family);
  bindSocket(fd, LOOPBACK[family], 0);
  listenOn(fd, 16);
  return { fd, port: localAddressOf(fd)!.port };
}

/** Two ends that are connected. */
async function pair(family: IpFamily): Promise<readonly [number, AcceptedSocket]> {
  const at = listener(family);
  const near = openTcpSocket(family);
  connectTo(near, LOOPBACK[family], at.port);
  const accepted: AcceptedSocket[] = [];
  await until(() => {
    const far = acceptFrom(at.fd);
    if (typeof far !== "number") accepted.push(far);
    return accepted.length > 0;
  }, "accepted");
  closeSocket(at.fd);
  return [near, accepted[0]!];
}

/** Notes what it is told. */
class Ear {
  told = 0;
  readable = false;
  writable = false;
  onTold: () => void = () => undefined;

  ready(readable: boolean, writable: boolean): void {
    this.told++;
    this.readable = readable;
    this.writable = writable;
    this.onTold();
  }
}

for (const family of [4, 6] as const) {
  test(`IPv${family}: connect, accept, who is who, and refusal`, async () => {
    const at = listener(family);
    assert.equal(acceptFrom(at.fd), -Errno.EAGAIN);
    const near = openTcpSocket(family);
    connectTo(near, LOOPBACK[family], at.port);
    const poller = new FdPoller();
    const [near1, at1] = [new Ear(), new Ear()];
    poller.add(near, Interest.WRITE, near1);
    poller.add(at.fd, Interest.READ, at1);
    await until(() => near1.writable && at1.readable, "both are told");
    assert.equal(socketError(near), 0);
    const far = acceptFrom(at.fd);
    assert.ok(typeof far !== "number");
    const local = localAddressOf(near)!;
    assert.deepEqual([far.address, far.port], [local.address, local.port]);
    assert.deepEqual(localAddressOf(far.fd), { address: LOOPBACK[family], port: at.port });
    for (const fd of [near, at.fd]) poller.remove(fd);
    for (const fd of [near, at.fd, far.fd]) closeSocket(fd);
    assert.equal(localAddressOf(near), undefined);

    const refused = openTcpSocket(family);
    const ear = new Ear();
    connectTo(refused, LOOPBACK[family], at.port);
    poller.add(refused, Interest.WRITE, ear);
    await until(() => ear.told > 0, "told");
    assert.equal(socketError(refused), 111);
    assert.equal(socketError(refused), 0, "taken away");
    poller.remove(refused);
    closeSocket(refused);
  });
}

test("an address that cannot be reached from here is refused at once", () => {
  const fd = openTcpSocket(4);
  bindSocket(fd, "127.0.0.1", 0);
  assert.throws(() => connectTo(fd, "255.255.255.255", 179), { code: "ENETUNREACH" });
  closeSocket(fd);
});

test("a port that is none has no wire form", () => {
  const fd = openTcpSocket(4);
  for (const port of [-1, 65_536, 1.5, Number.NaN]) {
    const said = { code: "EINVAL", message: `EINVAL: not a port: ${port}` };
    assert.throws(() => connectTo(fd, "127.0.0.1", port), said);
  }
  closeSocket(fd);
});

test("a reset is heard, also by who asks for nothing, and that once", async () => {
  const [near, far] = await pair(4);
  const poller = new FdPoller();
  const ear = new Ear();
  poller.add(near, Interest.NONE, ear);
  linuxSys.send(far.fd, Buffer.from("words"), 5);
  await sleep(20);
  assert.equal(ear.told, 0);
  closeWithReset(far.fd);
  await until(() => ear.told > 0, "told");
  await sleep(20);
  assert.ok(ear.told <= 2, `told ${ear.told} times`);
  poller.change(near, Interest.READ);
  const before = ear.told;
  await until(() => ear.told > before, "told again, as there is something to read");
  const bytes = Buffer.alloc(10);
  assert.equal(linuxSys.receive(near, bytes, 0), 5);
  assert.equal(linuxSys.receive(near, bytes, 0), -104);
  poller.remove(near);
  closeSocket(near);
});

test("what was ready is not what has its number now", async () => {
  const poller = new FdPoller();
  const [[one, far1], [two, far2]] = [await pair(4), await pair(4)];
  const fresh = new Ear();
  const ears = [new Ear(), new Ear()] as const;
  let made = -1;
  // Whoever is told first closes the other and takes its number.
  const replace = (own: Ear, other: number) => {
    own.onTold = () => {
      if (made >= 0) return;
      poller.remove(other);
      closeSocket(other);
      made = openTcpSocket(4);
      bindSocket(made, "127.0.0.1", 0);
      listenOn(made, 1);
      poller.add(made, Interest.READ, fresh);
    };
  };
  replace(ears[0], two);
  replace(ears[1], one);
  linuxSys.send(far1.fd, Buffer.from("x"), 1);
  linuxSys.send(far2.fd, Buffer.from("x"), 1);
  await sleep(5);
  poller.add(one, Interest.READ, ears[0]);
  poller.add(two, Interest.READ, ears[1]);
  await until(() => made >= 0, "told");
  await sleep(20);
  assert.ok(made === one || made === two);
  assert.equal(fresh.told, 0);
  assert.equal(ears.filter((ear) => ear.told > 0).length, 1);
  const left = made === one ? two : one;
  for (const fd of [made, left]) poller.remove(fd);
  assert.equal(poller.size, 0);
  for (const fd of [made, left, far1.fd, far2.fd]) closeSocket(fd);
});

test("a poller that has nothing to watch holds no fd, and takes up work again", async () => {
  let open = 0;
  const sys = {
    ...linuxSys,
    epollCreate() {
      open++;
      return linuxSys.epollCreate();
    },
    close(fd: number) {
      open--;
      return linuxSys.close(fd);
    },
  };
  const poller = new FdPoller(sys);
  const [near, far] = await pair(4);
  for (let round = 0; round < 3; round++) {
    const ear = new Ear();
    poller.add(near, Interest.WRITE, ear);
    assert.throws(() => poller.add(near, Interest.READ, ear), /watched already/);
    await until(() => ear.told > 0, "told");
    assert.equal(open, 1);
    poller.remove(near);
    assert.equal(open, 0);
    const { told } = ear;
    await sleep(5);
    assert.equal(ear.told, told);
  }
  assert.throws(() => poller.add(9_999, Interest.READ, new Ear()), { code: "EBADF" });
  assert.deepEqual([open, poller.size], [0, 0]);
  poller.change(near, Interest.READ);
  poller.remove(near);
  closeSocket(near);
  closeSocket(far.fd);
});

test("more sockets than one turn tells of are all told", async () => {
  const poller = new FdPoller();
  const at = listener(4);
  const count = 600;
  const ears = Array.from({ length: count }, () => new Ear());
  const fds = ears.map((ear) => {
    const fd = openTcpSocket(4);
    poller.add(fd, Interest.NONE, ear);
    return fd;
  });
  await sleep(5);
  for (const fd of fds) poller.change(fd, Interest.WRITE);
  // Sockets that were never connected are hung up: each is ready, and stays so.
  await until(() => ears.every((ear) => ear.writable), "all are told");
  for (const fd of [...fds]) {
    poller.remove(fd);
    closeSocket(fd);
  }
  closeSocket(at.fd);
});
