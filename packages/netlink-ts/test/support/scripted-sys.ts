/** A kernel that does as the test says: what it was sent is kept, what it answers is queued. */
import { Errno } from "../../src/errors.ts";
import type { StreamSys, Sys, Watch } from "../../src/sys.ts";

/** One message as bytes. `body` is hex or bytes. */
export function message(
  type: number,
  flags: number,
  sequence: number,
  body: string | Buffer = "",
): Buffer {
  const content = typeof body === "string" ? Buffer.from(body, "hex") : body;
  const bytes = Buffer.alloc((16 + content.length + 3) & ~3);
  bytes.writeUInt32LE(16 + content.length, 0);
  bytes.writeUInt16LE(type, 4);
  bytes.writeUInt16LE(flags, 6);
  bytes.writeUInt32LE(sequence, 8);
  content.copy(bytes, 16);
  return bytes;
}

/** An NLMSG_ERROR, capped; errno 0 is an acknowledgement. */
export function errorMessage(sequence: number, errno: number): Buffer {
  const body = Buffer.alloc(20);
  body.writeInt32LE(-errno, 0);
  body.writeUInt32LE(16, 4);
  return message(2, 0x100, sequence, body);
}

/** An NLMSG_DONE. */
export function doneMessage(sequence: number, errno = 0): Buffer {
  const body = Buffer.alloc(4);
  body.writeInt32LE(-errno, 0);
  return message(3, 2, sequence, body);
}

export class ScriptedSys implements Sys {
  /** What `receive` gives next: datagrams, or minus errno; EAGAIN when there is none. */
  readonly answers: (Buffer | number)[] = [];
  /** Called with each send; may queue answers. */
  onSend: (bytes: Buffer) => void = () => undefined;
  /** Sequence numbers of the messages in each send. */
  readonly sent: number[][] = [];
  readonly closed: number[] = [];
  /** Namespaces entered, in order, and what each call gives (0 when there is nothing here). */
  readonly entered: number[] = [];
  readonly enterResults: number[] = [];
  /** What a send off the loop returns in place of its length. */
  asyncResult: number | undefined;
  /** What a send on the loop returns in place of its length. */
  syncResult: number | undefined;
  /** Options that were set, as level/option. */
  readonly options: string[] = [];
  receiveBufferBytes = 8 * 1024 * 1024;
  onReadable: () => void = () => undefined;
  watching = false;

  socket(): number {
    return 7;
  }
  bind(_fd: number, _address: Uint8Array): number {
    return 0;
  }
  getsockname(_fd: number, address: Uint8Array): number {
    address[4] = 99;
    return 12;
  }
  send(_fd: number, bytes: Uint8Array, length: number): number {
    return this.syncResult ?? this.#take(bytes, length);
  }
  async sendAsync(_fd: number, bytes: Uint8Array, length: number): Promise<number> {
    return this.asyncResult ?? this.#take(bytes, length);
  }
  receive(_fd: number, bytes: Uint8Array): number {
    const answer = this.answers.shift() ?? -Errno.EAGAIN;
    if (typeof answer === "number") return answer;
    bytes.set(answer.subarray(0, bytes.length));
    return answer.length;
  }
  setsockopt(_fd: number, level: number, option: number, _value: Uint8Array): number {
    this.options.push(`${level}/${option}`);
    return 0;
  }
  getsockopt(_fd: number, _level: number, option: number, value: Uint8Array): number {
    const bytes = option === 8 ? this.receiveBufferBytes : 212_992;
    Buffer.from(value.buffer, value.byteOffset, 4).writeInt32LE(bytes);
    return 4;
  }
  attachFilter(): number {
    return 0;
  }
  enterNetworkNamespace(fd: number): number {
    this.entered.push(fd);
    return this.enterResults.shift() ?? 0;
  }

  close(fd: number): number {
    this.closed.push(fd);
    return 0;
  }
  watch(_fd: number, onReadable: () => void): Watch {
    this.onReadable = onReadable;
    this.watching = true;
    return {
      close: () => {
        this.watching = false;
      },
      ref() {},
      unref() {},
    };
  }

  #take(bytes: Uint8Array, length: number): number {
    const copy = Buffer.from(bytes.subarray(0, length));
    const sequences: number[] = [];
    for (let at = 0; at < length; at += (copy.readUInt32LE(at) + 3) & ~3) {
      sequences.push(copy.readUInt32LE(at + 8));
    }
    this.sent.push(sequences);
    this.onSend(copy);
    return length;
  }
}

/** With the calls of TCP sockets, which give nothing. */
export class ScriptedStreamSys extends ScriptedSys implements StreamSys {
  listen(_fd: number, _backlog: number): number {
    return 0;
  }
  accept(_fd: number, _address: Uint8Array): number {
    return -Errno.EAGAIN;
  }
  connect(_fd: number, _address: Uint8Array): number {
    return 0;
  }
  endWrites(): number {
    return 0;
  }
  epollCreate(): number {
    return 99;
  }
  epollControl(_epoll: number, _operation: number, _fd: number, _event: Uint8Array): number {
    return 0;
  }
  epollWait(_epoll: number, _events: Uint8Array, _max: number): number {
    return 0;
  }
}
