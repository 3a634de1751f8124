/** Counters of one direction of a peer, over all its sessions. */
import { HEADER_BYTES, messageLength } from "../message/header.ts";
import { MessageType } from "../message/types.ts";
import type { MessageCounters } from "../types.ts";
import { ERROR_KINDS_MAX } from "./limits.ts";

export class MessageCounter {
  #open = 0;
  #update = 0;
  #notification = 0;
  #keepalive = 0;
  #routeRefresh = 0;
  #bytes = 0;

  /** Counts one message. */
  add(type: MessageType, bytes: number): void {
    this.#bytes += bytes;
    switch (type) {
      case MessageType.open:
        this.#open++;
        break;
      case MessageType.update:
        this.#update++;
        break;
      case MessageType.notification:
        this.#notification++;
        break;
      case MessageType.keepalive:
        this.#keepalive++;
        break;
      case MessageType.routeRefresh:
        this.#routeRefresh++;
        break;
    }
  }

  /** Counts the whole messages that lie one after another in a buffer. */
  addBuffer(buffer: Uint8Array): void {
    for (let at = 0; at + HEADER_BYTES <= buffer.length; ) {
      const length = messageLength(buffer, at);
      this.add(buffer[at + 18]! as MessageType, length);
      at += length;
    }
  }

  snapshot(): MessageCounters {
    const open = this.#open;
    const update = this.#update;
    const notification = this.#notification;
    const keepalive = this.#keepalive;
    const routeRefresh = this.#routeRefresh;
    const total = open + update + notification + keepalive + routeRefresh;
    return { open, update, notification, keepalive, routeRefresh, total, bytes: this.#bytes };
  }
}

/** How often what went wrong, by our words for it. */
export class ErrorCounter {
  readonly #counts = new Map<string, number>();

  add(reason: string): void {
    const known = this.#counts.has(reason) || this.#counts.size < ERROR_KINDS_MAX;
    const key = known ? reason : "other";
    this.#counts.set(key, (this.#counts.get(key) ?? 0) + 1);
  }

  snapshot(): Readonly<Record<string, number>> {
    return Object.fromEntries(this.#counts);
  }
}
