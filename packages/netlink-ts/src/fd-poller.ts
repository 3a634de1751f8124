/**
 * Watches many sockets by one epoll instance, of which the event loop sees a single fd. What is
 * ready is told in one go, in an ordinary callback scope: a thousand sockets cost the event loop
 * what one does, and none of them has an object of Node's.
 *
 * Level-triggered: who is told and does nothing about it is told again in the next turn.
 */
import { check } from "./errors.ts";
import { linuxSys } from "./libc.ts";
import type { StreamSys, Watch } from "./sys.ts";

/** What to be told of, as bits; both together: `Interest.READ | Interest.WRITE`. */
export const Interest = { NONE: 0, READ: 1, WRITE: 4 } as const;

/** Errors and hang-ups (EPOLLERR, EPOLLHUP) show themselves to whoever reads or writes. */
const BROKEN = 8 | 16;
const READABLE = Interest.READ | BROKEN;
const WRITABLE = Interest.WRITE | BROKEN;
/** EPOLLET. They are told to who asked for nothing, too: once, then, and not in every turn. */
const ONCE = 0x8000_0000;

const Control = { ADD: 1, DELETE: 2, CHANGE: 3 } as const;

/** How many sockets are told of in one turn; the others follow in the next. */
const EVENTS_MAX = 256;
/** struct epoll_event: | u32 events | u64 data |, packed on x86 alone: the word of the data. */
const dataWordOf = (arch: string) => (arch === "x64" || arch === "ia32" ? 1 : 2);
/** The data: | u32 fd | u32 generation |. */
const DATA_WORDS = 2;

/** Who is told. May add, change and remove any fd meanwhile; must not throw. */
export interface PolledSocket {
  /** It can be read, or written to; broken ones say so to whoever tries. */
  ready(readable: boolean, writable: boolean): void;
}

interface Entry {
  readonly socket: PolledSocket;
  readonly generation: number;
  interest: number;
}

/**
 * Watches many sockets by one epoll instance, of which the event loop sees a single fd.
 * Level-triggered: who is told and does nothing about it is told again in the next turn.
 */
export class FdPoller {
  readonly #sys: StreamSys;
  readonly #dataWord: number;
  readonly #eventWords: number;
  /** By fd. */
  readonly #entries: (Entry | undefined)[] = [];
  #size = 0;
  /** Undefined = nothing is watched. */
  #epoll: { readonly fd: number; readonly watch: Watch } | undefined;
  /** Numbers are given anew: what was ready before is not what has the number now. */
  #generation = 0;
  readonly #events: Uint32Array;
  readonly #eventBytes: Uint8Array;
  readonly #event: Uint32Array;
  readonly #eventByte: Uint8Array;

  /** `arch` decides what an event looks like; another than this machine's is for tests. */
  constructor(sys: StreamSys = linuxSys, arch: string = process.arch) {
    this.#sys = sys;
    this.#dataWord = dataWordOf(arch);
    this.#eventWords = this.#dataWord + DATA_WORDS;
    this.#events = new Uint32Array(this.#eventWords * EVENTS_MAX);
    this.#eventBytes = new Uint8Array(this.#events.buffer);
    this.#event = new Uint32Array(this.#eventWords);
    this.#eventByte = new Uint8Array(this.#event.buffer);
  }

  /** How many fds there are, those of no interest included. */
  get size(): number {
    return this.#size;
  }

  /** Keeps the process alive until it is removed. Throws SystemCallError. */
  add(fd: number, interest: number, socket: PolledSocket): void {
    if (this.#entries[fd] !== undefined) throw new Error(`bug: fd ${fd} is watched already`);
    this.#generation = (this.#generation + 1) >>> 0;
    const entry = { socket, generation: this.#generation, interest };
    const epoll = this.#opened();
    const result = this.#control(epoll, Control.ADD, fd, entry);
    if (result < 0 && this.#size === 0) this.#close();
    check("epoll_ctl", result);
    this.#entries[fd] = entry;
    this.#size++;
  }

  /** Nothing for an fd that is not watched. */
  change(fd: number, interest: number): void {
    const entry = this.#entries[fd];
    if (entry === undefined || this.#epoll === undefined || entry.interest === interest) return;
    entry.interest = interest;
    check("epoll_ctl", this.#control(this.#epoll.fd, Control.CHANGE, fd, entry));
  }

  /** Before the fd is closed. It is told nothing any more. */
  remove(fd: number): void {
    if (this.#entries[fd] === undefined || this.#epoll === undefined) return;
    this.#entries[fd] = undefined;
    this.#size--;
    if (this.#size === 0) this.#close();
    else this.#sys.epollControl(this.#epoll.fd, Control.DELETE, fd, this.#eventByte);
  }

  /** Tells all who are ready now, each of them once. Not to be called by who is being told. */
  look(): void {
    for (let left = this.#size; left > 0 && this.#tell() === EVENTS_MAX; left -= EVENTS_MAX);
  }

  #opened(): number {
    if (this.#epoll === undefined) {
      const fd = check("epoll_create1", this.#sys.epollCreate());
      this.#epoll = { fd, watch: this.#sys.watch(fd, () => this.#tell()) };
    }
    return this.#epoll.fd;
  }

  #close(): void {
    this.#epoll?.watch.close();
    if (this.#epoll !== undefined) this.#sys.close(this.#epoll.fd);
    this.#epoll = undefined;
  }

  #control(epoll: number, operation: number, fd: number, entry: Entry): number {
    this.#event[0] = entry.interest === Interest.NONE ? ONCE : entry.interest;
    this.#event[this.#dataWord] = fd;
    this.#event[this.#dataWord + 1] = entry.generation;
    return this.#sys.epollControl(epoll, operation, fd, this.#eventByte);
  }

  /** How many events there were. */
  #tell(): number {
    if (this.#epoll === undefined) return 0;
    const count = this.#sys.epollWait(this.#epoll.fd, this.#eventBytes, EVENTS_MAX);
    for (let index = 0; index < count; index++) {
      const at = index * this.#eventWords;
      const data = at + this.#dataWord;
      const entry = this.#entries[this.#events[data]!];
      if (entry?.generation !== this.#events[data + 1]) continue;
      const events = this.#events[at]!;
      entry!.socket.ready((events & READABLE) !== 0, (events & WRITABLE) !== 0);
    }
    return count;
  }
}
