/** A dial that never began: told through `closed`, as every other failure to connect. */
import type { IpAddress } from "../../ip/address.ts";
import type { Connection, ConnectionHandler, DialOptions } from "./transport.ts";

export class FailedDial implements Connection {
  readonly remoteAddress: IpAddress;
  readonly remotePort: number;
  readonly localAddress = undefined;
  readonly queuedBytes = 0;
  readonly sentBytes = 0;
  #handler: ConnectionHandler | undefined;

  /** `later` calls back when the call that dials is over: no handler is called from inside it. */
  constructor(
    { address, port }: DialOptions,
    handler: ConnectionHandler,
    reason: string,
    later: (callback: () => void) => void,
  ) {
    this.remoteAddress = address;
    this.remotePort = port;
    this.#handler = handler;
    later(() => this.#handler?.closed(reason));
  }

  write(): boolean {
    return true;
  }

  pause(): void {}

  resume(): void {}

  close(): void {
    this.#handler = undefined;
  }

  reset(): void {
    this.#handler = undefined;
  }
}
