/** Container images from folders, as `docker save` writes them, for `ctr images import`. */
import { createHash } from "node:crypto";
import { createReadStream } from "node:fs";
import { mkdir, rename, writeFile } from "node:fs/promises";
import { dirname, join } from "node:path";
import { must } from "../shell.ts";

export interface ImageConfig {
  readonly Entrypoint: readonly string[];
  readonly Cmd?: readonly string[];
  readonly Env?: readonly string[];
}

const TAR_MS_MAX = 120_000;

/** Writes `archive`: one layer with all of `folder`. `name` is the full name with its tag. */
export async function writeImage(
  archive: string,
  name: string,
  folder: string,
  config: ImageConfig,
): Promise<void> {
  const work = `${archive}.parts`;
  await mkdir(work, { recursive: true });
  const options = { timeoutMs: TAR_MS_MAX };
  const layer = join(work, "layer.tar");
  await must("tar", ["--numeric-owner", "-C", folder, "-cf", layer, "."], options);
  const digest = await sha256(layer);
  await mkdir(join(work, digest));
  await rename(layer, join(work, digest, "layer.tar"));
  const rootfs = { type: "layers", diff_ids: [`sha256:${digest}`] };
  const text = JSON.stringify({ architecture: "amd64", os: "linux", config, rootfs });
  const configFile = `${createHash("sha256").update(text).digest("hex")}.json`;
  await writeFile(join(work, configFile), text);
  const manifest = [{ Config: configFile, RepoTags: [name], Layers: [`${digest}/layer.tar`] }];
  await writeFile(join(work, "manifest.json"), JSON.stringify(manifest));
  const entries = ["manifest.json", configFile, digest];
  await must("tar", ["-C", work, "-cf", archive, ...entries], options);
  await must("rm", ["-r", work]);
}

async function sha256(file: string): Promise<string> {
  const hash = createHash("sha256");
  for await (const chunk of createReadStream(file)) hash.update(chunk as Buffer);
  return hash.digest("hex");
}

const APPLETS = ["sh", "sleep", "ping", "nc", "httpd", "wget", "cat", "ip", "ls", "wc", "dd"];

/** An image with a static busybox that sleeps: sandboxes and pods that tests type commands in. */
export async function writeToolbox(archive: string, name: string): Promise<void> {
  const folder = join(dirname(archive), "toolbox");
  await mkdir(join(folder, "bin"), { recursive: true });
  await mkdir(join(folder, "www"));
  await must("cp", ["-L", "/usr/bin/busybox", join(folder, "bin", "busybox")]);
  for (const applet of APPLETS) await must("ln", ["-s", "busybox", join(folder, "bin", applet)]);
  const config = { Entrypoint: ["/bin/sleep"], Cmd: ["1000000"], Env: ["PATH=/bin"] };
  await writeImage(archive, name, folder, config);
}
