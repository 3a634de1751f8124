/**
 * Dials that are not made. While another program has our port it is the speaker of this address: a
 * peer would take our connection for a restart of that one and end its session (RFC 4724 §5), and
 * the two would take turns for ever. So each dial fails, with the reason, and is tried again when
 * the port is ours.
 */
import { FailedDial } from "../session/failed-dial.ts";
import type { DialOptions, SessionTransport, Transport } from "../session/transport.ts";

/** The transport for sessions, whose dials fail while `held` says why they are not to be made. */
export function holdDials(
  transport: Transport,
  held: (options: DialOptions) => string | undefined,
): SessionTransport {
  return {
    dial: (options, handler) => {
      const reason = held(options);
      if (reason === undefined) return transport.dial(options, handler);
      const later = (callback: () => void) => transport.defer(callback);
      return new FailedDial(options, handler, `not dialled: ${reason}`, later);
    },
    addressesBeside: (own) => transport.addressesBeside?.(own) ?? [],
    afterInput: (callback) => transport.afterInput(callback),
  };
}
