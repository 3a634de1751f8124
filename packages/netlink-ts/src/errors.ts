/** What this package throws and rejects with, and the numbers that it goes by. */
import { constants } from "node:os";
import { getSystemErrorMessage } from "node:util";

/** errno → name, from the running system. */
const ERRNO_NAMES: ReadonlyMap<number, string> = namesByNumber();

function namesByNumber(): Map<number, string> {
  // Of two names for one number the kernel's own.
  const names = new Map([
    [95, "EOPNOTSUPP"],
    [11, "EAGAIN"],
  ]);
  for (const [name, errno] of Object.entries(constants.errno)) {
    if (!names.has(errno)) names.set(errno, name);
  }
  return names;
}

/** The errno values that callers decide on; any other is reported by name all the same. */
export const Errno = {
  EPERM: 1,
  ENOENT: 2,
  ESRCH: 3,
  EINTR: 4,
  E2BIG: 7,
  EAGAIN: 11,
  ENOMEM: 12,
  EACCES: 13,
  EBUSY: 16,
  EEXIST: 17,
  ENODEV: 19,
  EINVAL: 22,
  ENFILE: 23,
  EMFILE: 24,
  EPIPE: 32,
  EMSGSIZE: 90,
  EOPNOTSUPP: 95,
  ENETDOWN: 100,
  ENETUNREACH: 101,
  ECONNABORTED: 103,
  ECONNRESET: 104,
  ENOBUFS: 105,
  ENOTCONN: 107,
  ETIMEDOUT: 110,
  ECONNREFUSED: 111,
  EHOSTUNREACH: 113,
  EINPROGRESS: 115,
  ECANCELED: 125,
} as const;

/** `101` → `ENETUNREACH`; a number that has no name → `ERRNO_512`. */
export function errnoName(errno: number): string {
  return ERRNO_NAMES.get(errno) ?? `ERRNO_${errno}`;
}

/** The C library's words for an errno, e.g. `network is unreachable`. */
function errnoText(errno: number): string {
  return ERRNO_NAMES.has(errno) ? getSystemErrorMessage(-errno) : `error ${errno}`;
}

/** A socket call failed: the socket could not be made, set up or written to. */
export class SystemCallError extends Error {
  override readonly name = "SystemCallError";
  /** The call, and what matters of its arguments: `bind(192.0.2.1, 179)`. */
  readonly call: string;
  readonly errno: number;
  /** `EACCES`, `EADDRINUSE`, … */
  readonly code: string;

  constructor(call: string, errno: number) {
    super(`${call}: ${errnoName(errno)}: ${errnoText(errno)}`);
    this.call = call;
    this.errno = errno;
    this.code = errnoName(errno);
  }
}

/** What is said of a {@link NetlinkError} beside its number. */
export interface NetlinkErrorDetail {
  /** The kernel's own explanation, from the extended acknowledgement. */
  readonly text?: string | undefined;
  /** Offset in the request of the attribute that the kernel complains about. */
  readonly offset?: number | undefined;
  /** Name of the error where errno is not the usual table (ipset's are above 4096). */
  readonly code?: string | undefined;
  /** The kernel's answer was lost, or never came, or nobody waited for it. */
  readonly outcomeUnknown?: boolean;
  readonly cause?: unknown;
}

/** The kernel refused a request, or this package did before sending it (bad input, limits). */
export class NetlinkError extends Error {
  override readonly name: string = "NetlinkError";
  readonly errno: number;
  /** `ENETUNREACH`, `EEXIST`, … */
  readonly code: string;
  /** Where in the request the attribute stands that the kernel complains of, in bytes. */
  readonly offset: number | undefined;
  /** The kernel may have done it or not. Else it has not: it refused, or was not asked. */
  readonly outcomeUnknown: boolean;

  constructor(errno: number, detail: NetlinkErrorDetail = {}) {
    const code = detail.code ?? errnoName(errno);
    super(
      detail.text === undefined ? `${code}: ${errnoText(errno)}` : `${code}: ${detail.text}`,
      detail.cause === undefined ? undefined : { cause: detail.cause },
    );
    this.errno = errno;
    this.code = code;
    this.offset = detail.offset;
    this.outcomeUnknown = detail.outcomeUnknown === true;
  }
}

/** The caller gave something that has no wire form. The message names the offending value. */
export function invalid(text: string): NetlinkError {
  return new NetlinkError(Errno.EINVAL, { text });
}

/** The kernel sent something that does not parse: never expected, never a crash. */
export class MalformedMessageError extends Error {
  override readonly name = "MalformedMessageError";
}

/**
 * Runs a task. What this package rejects with becomes the error that `make` gives, by its code
 * (`EBADMSG` for a message that does not parse); anything else is a bug and stays as it is.
 */
export async function rejectingWith<T>(
  task: () => Promise<T>,
  make: (code: string, message: string, options: { readonly cause: unknown }) => Error,
): Promise<T> {
  try {
    return await task();
  } catch (error) {
    if (error instanceof NetlinkError || error instanceof SystemCallError) {
      throw make(error.code, error.message, { cause: error });
    }
    if (error instanceof MalformedMessageError) {
      throw make("EBADMSG", error.message, { cause: error });
    }
    throw error;
  }
}

/** Throws when a system call returned minus errno; otherwise hands its result on. */
export function check(call: string, result: number): number {
  if (result < 0) throw new SystemCallError(call, -result);
  return result;
}

/** Ends a switch over a closed union, so that a new member does not compile unhandled. */
export function assertNever(value: never, what: string): never {
  throw new Error(`bug: unhandled ${what}: ${JSON.stringify(value)}`);
}
