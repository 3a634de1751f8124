/** A megabyte over TCP between two namespaces, and who it came from as the other side sees it. */
import type { Namespaces } from "./namespaces.ts";
import { Daemon, run, until } from "./shell.ts";

export const TRANSFER_BYTES = 1_000_000;
const TRANSFER_MS_MAX = 10_000;

/** Counts what each connection sends until its end, and answers with the count and the source. */
const SERVER = `
const net = require("node:net");
const [address, port] = process.argv.slice(1);
net.createServer({ allowHalfOpen: true }, (socket) => {
  let count = 0;
  const from = socket.remoteAddress.replace(/^::ffff:/, "");
  socket.on("error", () => {});
  socket.on("data", (chunk) => { count += chunk.length; });
  socket.on("end", () => socket.end(count + " " + from));
}).listen(Number(port), address, () => console.log("listening"));
`;

const CLIENT = `
const net = require("node:net");
const [address, port, bytes] = process.argv.slice(1);
const socket = net.connect(Number(port), address);
let answer = "";
socket.setTimeout(${TRANSFER_MS_MAX}, () => socket.destroy(new Error("timed out")));
socket.on("connect", () => socket.end(Buffer.alloc(Number(bytes), 97)));
socket.on("data", (chunk) => { answer += chunk; });
socket.on("error", (error) => { process.stderr.write(error.message); process.exit(1); });
socket.on("end", () => process.stdout.write(answer));
`;

/** A server in a namespace; stop it when done. */
export async function startServer(
  namespaces: Namespaces,
  label: string,
  address: string,
  port: number,
): Promise<Daemon> {
  const args = ["netns", "exec", namespaces.name(label), process.execPath, "-e", SERVER];
  const server = new Daemon(`server in ${label}`, "ip", [...args, address, String(port)]);
  await until(`a server on ${address}:${port}`, () => {
    if (!server.running) throw new Error(server.output);
    return server.output.includes("listening");
  });
  return server;
}

/** Sends TRANSFER_BYTES; the source address that the server saw, or why it did not work. */
export async function transfer(
  namespaces: Namespaces,
  from: string,
  to: string,
  port: number,
): Promise<string> {
  const args = ["netns", "exec", namespaces.name(from), process.execPath, "-e", CLIENT];
  const result = await run("ip", [...args, to, String(port), String(TRANSFER_BYTES)]);
  const [count, source] = result.stdout.split(" ");
  if (Number(count) === TRANSFER_BYTES && source !== undefined) return source;
  return `failed: ${result.stderr || `${count} bytes arrived`}`;
}
