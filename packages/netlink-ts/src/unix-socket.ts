/**
 * Listeners on a path. Node makes them as well, but then removes, when it closes one, whatever
 * stands at the path by that time, be it somebody else's. One that is made here leaves the file to
 * the caller: hand the fd to Node in the same tick, `new net.Server().listen({ fd })`.
 *
 * sockaddr_un: | u16 family | path, ended by a zero |
 */
import { check, invalid } from "./errors.ts";
import { linuxSys } from "./libc.ts";
import { AddressFamily, SocketType, type StreamSys } from "./sys.ts";

/** Longest path in bytes (sun_path, without the zero). */
const UNIX_PATH_BYTES_MAX = 107;

/**
 * A stream socket that listens on `path`, non-blocking and closed on exec; its fd. The file must
 * not be there, and gets its mode from the umask. Throws SystemCallError when the kernel refuses:
 * `EADDRINUSE` = something is at the path; NetlinkError EINVAL for what is no path.
 */
export function listenOnPath(path: string, backlog: number, sys: StreamSys = linuxSys): number {
  const address = encodePath(path);
  const type = SocketType.STREAM | SocketType.NONBLOCK | SocketType.CLOEXEC;
  const fd = check("socket(UNIX)", sys.socket(AddressFamily.UNIX, type, 0));
  try {
    check(`bind(${path})`, sys.bind(fd, address));
    check(`listen(${path})`, sys.listen(fd, backlog));
    return fd;
  } catch (error) {
    sys.close(fd);
    throw error;
  }
}

function encodePath(path: string): Buffer {
  const bytes = Buffer.from(path);
  if (bytes.length < 1 || bytes.length > UNIX_PATH_BYTES_MAX || bytes.includes(0)) {
    throw invalid(`a socket's path has 1 to ${UNIX_PATH_BYTES_MAX} bytes, none of them zero`);
  }
  const address = Buffer.alloc(2 + bytes.length + 1);
  address.writeUInt16LE(AddressFamily.UNIX);
  address.set(bytes, 2);
  return address;
}
