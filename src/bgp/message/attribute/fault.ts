/**
 * What is wrong with an attribute: the treatment that RFC 7606 gives it, and the UPDATE subcode
 * for the NOTIFICATION, should it come to one (§5.2: nothing reachable in the same message).
 */
import { UpdateSubcode } from "../errors.ts";
import type { AttributeError, ErrorTreatment } from "../types.ts";

export interface AttributeFault extends AttributeError {
  readonly subcode: number;
}

/** Faults are constants where they can be: a bad attribute costs no more than a good one. */
export function fault(
  treatment: ErrorTreatment,
  type: number,
  subcode: number,
  reason: string,
): AttributeFault {
  return { treatment, type, subcode, reason };
}

/** RFC 7606 §3 c; the flags are judged before the value. */
export function flagsFault(
  type: number,
  name: string,
  treatment: ErrorTreatment = "withdraw",
): AttributeFault {
  return fault(treatment, type, UpdateSubcode.attributeFlags, `${name} has wrong flags`);
}

export function lengthFault(treatment: ErrorTreatment, type: number, name: string): AttributeFault {
  return fault(treatment, type, UpdateSubcode.attributeLength, `${name} has a wrong length`);
}

/** The attribute is not of those that this peer may send: it is dropped alone. */
export function misplacedFault(type: number, name: string, from: string): AttributeFault {
  return fault("discard", type, UpdateSubcode.optionalAttribute, `${name} from ${from}`);
}
