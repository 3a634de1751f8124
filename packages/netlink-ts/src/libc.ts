/**
 * The only FFI of this package: libc through koffi.
 *
 * Four things are learnt from trying, and the rest of the package relies on them:
 * - the callback of `koffi.node.poll` runs outside a callback scope: on Node 26 promises and
 *   microtasks queued in it wait for the next unrelated event, and an exception in it is swallowed.
 *   So it does nothing but `setImmediate`;
 * - libuv stops watching an fd on which an error is pending, as ENOBUFS is after an overrun, and
 *   says so by a negative status. The watch begins anew once the error has been read;
 * - the errno of a `.async` call is lost, hence -1 from `sendAsync`;
 * - koffi throws when more than 256 `.async` calls are under way in the process.
 */
import koffi from "koffi";
import { limited } from "./limited.ts";
import { SENDS_AT_ONCE_MAX } from "./limits.ts";
import { SocketLevel, SocketOption, SocketType, type StreamSys, type Watch } from "./sys.ts";

type Call<A extends unknown[]> = ((...args: A) => number) & {
  async(...args: [...A, (error: unknown, result: number) => void]): void;
};

interface Libc {
  socket: Call<[number, number, number]>;
  bind: Call<[number, Uint8Array, number]>;
  getsockname: Call<[number, Uint8Array, Uint8Array]>;
  send: Call<[number, Uint8Array, number, number]>;
  recv: Call<[number, Uint8Array, number, number]>;
  setsockopt: Call<[number, number, number, Uint8Array, number]>;
  getsockopt: Call<[number, number, number, Uint8Array, Uint8Array]>;
  close: Call<[number]>;
  fcntl: Call<[number, number, number]>;
  setns: Call<[number, number]>;
  madvise: Call<[number, number, number]>;
  getrlimit: Call<[number, Uint8Array]>;
  attachFilter: Call<[number, number, number, SockFprog, number]>;
  listen: Call<[number, number]>;
  accept4: Call<[number, Uint8Array, Uint8Array, number]>;
  connect: Call<[number, Uint8Array, number]>;
  shutdown: Call<[number, number]>;
  epoll_create1: Call<[number]>;
  epoll_ctl: Call<[number, number, number, Uint8Array]>;
  epoll_wait: Call<[number, Uint8Array, number, number]>;
}

/** struct sock_fprog: a classic BPF program of `len` instructions of 8 bytes. */
interface SockFprog {
  readonly len: number;
  readonly filter: Uint8Array;
}

/** MSG_NOSIGNAL: an error, never a signal. */
const SEND_FLAGS = 0x4000;
const FILTER_INSTRUCTION_BYTES = 8;
const SOCK_FPROG_BYTES = 16;
const SHUT_WR = 1;
const ACCEPT_FLAGS = SocketType.NONBLOCK | SocketType.CLOEXEC;
/** Length of what the kernel fills in, in and out: one for all calls, for none waits. */
const LENGTH = Buffer.alloc(4);
/** Refuses an fd that is of another kind of namespace, or of none. */
const CLONE_NEWNET = 0x4000_0000;
const RLIMIT_NOFILE = 7;
const F_DUPFD_CLOEXEC = 1030;
/** Node.js sees to it that this one is open. */
const STANDARD_ERROR = 2;

let loaded: Libc | undefined;

/** libc is opened at the first call, so that the codecs can be imported on any system. */
function libc(): Libc {
  if (loaded !== undefined) return loaded;
  const library = koffi.load(null);
  koffi.struct("SockFprog", { len: "uint16_t", filter: "void *" });
  loaded = {
    socket: library.func("int socket(int, int, int)"),
    bind: library.func("int bind(int, void *, uint32_t)"),
    getsockname: library.func("int getsockname(int, void *, void *)"),
    send: library.func("int64_t send(int, void *, size_t, int)"),
    recv: library.func("int64_t recv(int, void *, size_t, int)"),
    setsockopt: library.func("int setsockopt(int, int, int, void *, uint32_t)"),
    getsockopt: library.func("int getsockopt(int, int, int, void *, void *)"),
    close: library.func("int close(int)"),
    // Its third argument is one of `...`, which Linux passes as it does any other int.
    fcntl: library.func("int fcntl(int, int, int)"),
    setns: library.func("int setns(int, int)"),
    madvise: library.func("int madvise(uintptr_t, size_t, int)"),
    getrlimit: library.func("int getrlimit(int, void *)"),
    attachFilter: library.func("int setsockopt(int, int, int, SockFprog *, uint32_t)"),
    listen: library.func("int listen(int, int)"),
    accept4: library.func("int accept4(int, void *, void *, int)"),
    connect: library.func("int connect(int, void *, uint32_t)"),
    shutdown: library.func("int shutdown(int, int)"),
    epoll_create1: library.func("int epoll_create1(int)"),
    epoll_ctl: library.func("int epoll_ctl(int, int, int, void *)"),
    epoll_wait: library.func("int epoll_wait(int, void *, int, int)"),
  };
  return loaded;
}

/** Turns libc's -1 into minus errno; must directly follow the call. */
function checked(result: number): number {
  return result === -1 ? -koffi.errno() : result;
}

/** The running Linux. */
export const linuxSys: StreamSys = {
  socket: (domain, type, protocol) => checked(libc().socket(domain, type, protocol)),
  bind: (fd, address) => checked(libc().bind(fd, address, address.length)),
  getsockname(fd, address) {
    LENGTH.writeUInt32LE(address.length);
    const result = checked(libc().getsockname(fd, address, LENGTH));
    return result < 0 ? result : LENGTH.readUInt32LE(0);
  },
  send: (fd, bytes, length) => checked(libc().send(fd, bytes, length, SEND_FLAGS)),
  sendAsync: limited(
    SENDS_AT_ONCE_MAX,
    (fd: number, bytes: Uint8Array, length: number) =>
      new Promise<number>((resolve, reject) => {
        libc().send.async(fd, bytes, length, SEND_FLAGS, (error, result) => {
          if (error) reject(error);
          else resolve(result);
        });
      }),
  ),
  receive: (fd, bytes, flags) => checked(libc().recv(fd, bytes, bytes.length, flags)),
  setsockopt: (fd, level, option, value) =>
    checked(libc().setsockopt(fd, level, option, value, value.length)),
  getsockopt(fd, level, option, value) {
    LENGTH.writeUInt32LE(value.length);
    const result = checked(libc().getsockopt(fd, level, option, value, LENGTH));
    return result < 0 ? result : LENGTH.readUInt32LE(0);
  },
  attachFilter(fd, program) {
    const { SOCKET } = SocketLevel;
    const filter = { len: program.length / FILTER_INSTRUCTION_BYTES, filter: program };
    const option = SocketOption.ATTACH_FILTER;
    return checked(libc().attachFilter(fd, SOCKET, option, filter, SOCK_FPROG_BYTES));
  },
  close: (fd) => checked(libc().close(fd)),
  enterNetworkNamespace: (fd) => checked(libc().setns(fd, CLONE_NEWNET)),
  watch: (fd, onReadable) => watchReadable(fd, onReadable),
  listen: (fd, backlog) => checked(libc().listen(fd, backlog)),
  accept(fd, address) {
    LENGTH.writeUInt32LE(address.length);
    return checked(libc().accept4(fd, address, LENGTH, ACCEPT_FLAGS));
  },
  connect: (fd, address) => checked(libc().connect(fd, address, address.length)),
  endWrites: (fd) => checked(libc().shutdown(fd, SHUT_WR)),
  epollCreate: () => checked(libc().epoll_create1(SocketType.CLOEXEC)),
  epollControl: (epoll, operation, fd, event) =>
    checked(libc().epoll_ctl(epoll, operation, fd, event)),
  epollWait: (epoll, events, max) => checked(libc().epoll_wait(epoll, events, max, 0)),
};

/** madvise(2), for a program that wants to give memory back; 0, or minus errno. */
export function adviseMemory(address: number, bytes: number, advice: number): number {
  return checked(libc().madvise(address, bytes, advice));
}

/** struct rlimit: | u64 soft | u64 hard | */
const LIMITS = new BigUint64Array(2);
const LIMITS_BYTES = new Uint8Array(LIMITS.buffer);

/**
 * RLIMIT_NOFILE of this process as it is now: the numbers of its file descriptors are lower.
 * Infinity where the system does not say.
 */
export function openFilesLimit(): number {
  const result = libc().getrlimit(RLIMIT_NOFILE, LIMITS_BYTES);
  return result === 0 ? Number(LIMITS[0]) : Number.POSITIVE_INFINITY;
}

/** The kernel lets them wait for each other, and each holds one of Node.js's few threads. */
const GROWTHS_MAX = 1;
const duplicate = limited(GROWTHS_MAX, (lowest: number) => {
  return new Promise<number>((resolve) => {
    libc().fcntl.async(STANDARD_ERROR, F_DUPFD_CLOEXEC, lowest, (error, result) => {
      resolve(error ? -1 : result);
    });
  });
});

/**
 * Has the kernel's table of this process's file descriptors grow to `descriptors` of them, or to
 * RLIMIT_NOFILE; it never shrinks. The kernel itself doubles it when it is full, and where a
 * process has threads it waits each time until no CPU can be looking at the old one
 * (synchronize_rcu): who opens the descriptor that has no room stands still for 5 to 50 ms. Asked
 * for ahead, another thread does. False where it was not to be had. A worker thread that is
 * terminated meanwhile leaves one descriptor open.
 */
export async function growDescriptorTable(descriptors: number): Promise<boolean> {
  const lowest = Math.min(descriptors, openFilesLimit()) - 1;
  // A descriptor with the last number needs a table up to there.
  const last = await duplicate(lowest).catch(() => -1);
  if (last < 0) return false;
  libc().close(last);
  return true;
}

/**
 * malloc_trim(3): what malloc keeps for later goes back to the system. False where there was
 * nothing, or where libc is not glibc and does not know it.
 */
export function trimHeap(): boolean {
  try {
    return koffi.load(null).func("int malloc_trim(size_t)")(0) === 1;
  } catch {
    return false;
  }
}

function watchReadable(fd: number, onReadable: () => void): Watch {
  let scheduled = false;
  let stopped = false;
  let open = true;
  const interest = { readable: true };
  const onPoll = (status: number) => {
    if (status < 0) stopped = true;
    if (scheduled) return;
    scheduled = true;
    setImmediate(() => {
      scheduled = false;
      if (open) onReadable();
      if (!open || !stopped) return;
      stopped = false;
      handle.start(interest, onPoll as unknown as PollCallback);
    });
  };
  const handle = koffi.node.poll(fd, interest, onPoll as unknown as PollCallback);
  return {
    close() {
      if (!open) return;
      open = false;
      handle.close();
    },
    // koffi follows a null pointer when these come after close.
    ref: () => open && handle.ref(),
    unref: () => open && handle.unref(),
  };
}

/** As koffi's types have it; in truth the first argument is the status (0, or minus errno). */
type PollCallback = Parameters<typeof koffi.node.poll>[1];
