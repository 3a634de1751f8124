/**
 * Many routes that go the same way differ in their destination alone, and that stands at a fixed
 * place of the message: so one is encoded, and the others are copies of its bytes.
 *
 *   0                  16           17          28             32
 *   | header           | u8 family  | u8 length | … dst header | destination | further attributes
 */
import { type IpFamily, parsePrefix } from "./address.ts";
import type { MessageWriter } from "./message-writer.ts";
import type { RouteSpec } from "./route.ts";
import type { RouteOperation } from "./routes.ts";

const LENGTH_OFFSET = 17;
const DESTINATION_OFFSET = 32;

type EncodeOperation = (writer: MessageWriter, operation: RouteOperation) => void;

interface Template {
  readonly kind: RouteOperation["kind"];
  readonly family: IpFamily;
  readonly bytes: Uint8Array;
}

/** What was encoded for the operations of one call; the routes must not change during it. */
export class RouteTemplates {
  readonly #encode: EncodeOperation;
  readonly #templates = new Map<RouteSpec, Template>();

  constructor(encode: EncodeOperation) {
    this.#encode = encode;
  }

  /** The same bytes as the straightforward way, and the same errors. */
  encode(writer: MessageWriter, operation: RouteOperation): void {
    const { kind, route, destination } = operation;
    // A default route has no attribute for its destination.
    const prefix = destination === undefined ? undefined : parsePrefix(destination);
    if (prefix === undefined || prefix.length === 0) {
      this.#encode(writer, operation);
      return;
    }
    const { family, length, bytes } = prefix;
    const template = this.#templates.get(route);
    if (template === undefined || template.kind !== kind || template.family !== family) {
      const start = writer.length;
      this.#encode(writer, operation);
      const made = Uint8Array.from(writer.bytes.subarray(start, writer.length));
      this.#templates.set(route, { kind, family, bytes: made });
      return;
    }
    const start = writer.message(template.bytes);
    writer.patchU8(start + LENGTH_OFFSET, length);
    writer.patch(start + DESTINATION_OFFSET, bytes);
  }
}
