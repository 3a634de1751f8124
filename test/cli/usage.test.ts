/** How the command line is called: forms of flags, help, exit codes. */
import assert from "node:assert/strict";
import { join } from "node:path";
import { test } from "node:test";
import { RUN_FLAGS } from "../../src/agent/flags.ts";
import { runCli } from "../support/run-cli.ts";
import { run } from "../support/shell.ts";

const MAIN = join(import.meta.dirname, "../../src/main.ts");

test("booleans are written as kube-router writes them", async () => {
  const forms: readonly [readonly string[], boolean][] = [
    [["--enable-cni"], true],
    [["--enable-cni=true"], true],
    [["--enable-cni=false"], false],
    [["--enable-cni=false", "--enable-cni"], true],
    [["--enable-cni", "--enable-cni=false"], false],
  ];
  for (const [args, expected] of forms) {
    const { started } = await runCli(["run", ...args]);
    assert.equal(started?.pods.cni, expected, args.join(" "));
  }
});

test("a list flag may be given several times", async () => {
  const args = ["--masquerade-exclude=10.0.0.0/8,fd00::/8", "--masquerade-exclude", "192.0.2.0/24"];
  const { started } = await runCli(["run", ...args]);
  assert.deepEqual(started?.pods.exclude, ["10.0.0.0/8", "fd00::/8", "192.0.2.0/24"]);
});

test("routers given one flag each are all there, as kube-router reads them", async () => {
  const { started, stderr } = await runCli([
    ...["run", "--peer-router-ips=192.0.2.1", "--peer-router-asns=65001"],
    ...["--peer-router-ips=192.0.2.2,192.0.2.3", "--peer-router-asns=65002,65003"],
    ...["--peer-router-ports=1179", "--peer-router-ports=179,179"],
  ]);
  assert.equal(stderr, "");
  assert.deepEqual(
    started?.bgp.external.peers.map(({ address, as, port }) => `${address} ${as} ${port}`),
    ["192.0.2.1 65001 1179", "192.0.2.2 65002 179", "192.0.2.3 65003 179"],
  );
});

test("values are given with = or as the next argument, and -v in klog's forms", async () => {
  for (const args of [["--bgp-port=1179"], ["--bgp-port", "1179"]]) {
    assert.equal((await runCli(["run", ...args])).started?.bgp.port, 1179);
  }
  for (const args of [["-v=3"], ["-v", "3"], ["-v3"], ["--v=3"], ["--v", "3"]]) {
    assert.equal((await runCli(["run", ...args])).started?.log.level, "debug", args.join(" "));
  }
});

test("short options take their value in kubectl's forms", async () => {
  for (const args of [["-o=json"], ["-ojson"], ["-o", "json"]]) {
    const { code, stdout } = await runCli(["version", ...args]);
    assert.deepEqual([code, stdout[0]], [0, "{"], args.join(" "));
  }
  // Past the options, there is no agent to ask.
  assert.equal((await runCli(["rib", "-a=ipv6", "--admin-socket=/nonexistent"])).code, 1);
  // No value at all takes none of what follows.
  for (const [argument, value] of [
    ["-o==json", "=json"],
    ["-o=", "="],
  ] as const) {
    const { stderr } = await runCli(["version", argument, "json"]);
    assert.match(stderr, new RegExp(`argument '${value}' is invalid`));
  }
});

test("the arguments of kube-router's routing-only manifest are taken as they stand", async () => {
  const { code, started } = await runCli(
    [
      "run",
      "--run-router=true",
      "--run-firewall=false",
      "--run-service-proxy=false",
      "--bgp-graceful-restart=true",
      "--enable-cni=false",
      "--enable-ibgp=true",
      "--enable-overlay=false",
      "--advertise-pod-cidr=true",
      "--kubeconfig=/var/lib/kube-router/kubeconfig",
    ],
    { env: { NODE_NAME: "node7" } },
  );
  assert.equal(code, 0);
  assert.equal(started?.nodeName, "node7");
});

test("wrong usage is one sentence for each fault and exit code 2", async () => {
  const cases: readonly [readonly string[], string][] = [
    [[], ""],
    [["walk"], "unknown command 'walk'"],
    [["peer"], "unknown command 'peer' (Did you mean peers?)"],
    [["run", "--bgp-prot=1"], "unknown option '--bgp-prot' (Did you mean --bgp-port?)"],
    [["run", "--bgp-port"], "option '--bgp-port <number>' argument missing"],
    [["wa\u001b[2Jlk"], "unknown command 'wa?[2Jlk'"],
    [["run", "--bfd-\u001b[2J"], "--bfd-?[2J is not a flag here: podrouter has no BFD"],
    [["run", "now"], "too many arguments for 'run'. Expected 0 arguments but got 1."],
    [["run", "--bgp-port=0"], "--bgp-port=0: expected a whole number from 1 to 65535"],
    [
      ["run", "--overlay-encap=fou"],
      "--overlay-encap=fou: expected ipip or vxlan (there is no fou: vxlan runs over UDP, too)",
    ],
    [["run", "--run-firewall"], "--run-firewall=true: podrouter has no part for NetworkPolicies"],
    [
      ["run", "--gobgp-admin-port=0"],
      "--gobgp-admin-port is not a flag here: use `podrouter peers` and `podrouter rib` instead",
    ],
    [
      ["run", "--cleanup-config"],
      "--cleanup-config is not a flag here: `podrouter cleanup` is a command of its own",
    ],
    [
      ["--run-router=true", "--bgp-port=179"],
      "--run-router is a flag of `podrouter run`: the command comes first, then its flags",
    ],
    [
      ["peers", "--masquerade-exclude=10.0.0.0/8"],
      "unknown option '--masquerade-exclude': it is a flag of `podrouter run`, " +
        "not of `podrouter peers`",
    ],
    [
      ["cleanup", "--dry-run"],
      "unknown option '--dry-run': it is a flag of `podrouter run`, not of `podrouter cleanup`",
    ],
    [
      ["run", "--masquerade-exclud=10.0.0.0/8"],
      "unknown option '--masquerade-exclud' (Did you mean --masquerade-exclude?)",
    ],
    [["-v"], "unknown option '-v'"],
    [
      ["peers", "-o", "yaml"],
      "option '-o, --output <format>' argument 'yaml' is invalid. " +
        "Allowed choices are table, wide, json.",
    ],
  ];
  for (const [args, sentence] of cases) {
    const result = await runCli(args);
    assert.equal(result.code, 2, args.join(" "));
    assert.equal(result.stdout, "");
    assert.equal(result.started, undefined);
    if (sentence !== "") assert.equal(result.stderr, `podrouter: ${sentence}\n`);
  }
});

test("of kube-router's flags all that are refused are named at once, once each", async () => {
  const proxy =
    "it belongs to kube-router's service proxy and firewall, which podrouter does not have";
  const { code, stderr } = await runCli([
    ...["check", "--in-cluster", "--hairpin-mode=true", "--masquerade-exclude=10.0.0.0/8"],
    ...["--gobgp-admin-port", "0", "--hairpin-mode=true", "--ipvs-sync-period=5m0s"],
  ]);
  assert.equal(code, 2);
  assert.deepEqual(stderr.trimEnd().split("\n"), [
    `podrouter: --hairpin-mode is not a flag here: ${proxy}`,
    "podrouter: --gobgp-admin-port is not a flag here: use `podrouter peers` and `podrouter rib` " +
      "instead",
    `podrouter: --ipvs-sync-period is not a flag here: ${proxy}`,
  ]);
});

test("what is given to a flag that is none may be a password, and is not repeated", async () => {
  const foreign = (name: string) =>
    `--${name} is not a flag here: passwords do not belong on a command line; ` +
    "use --peer-router-passwords-file";
  const behind = "takes its value behind = or as the next argument";
  const near = "(Did you mean --peer-router-passwords-file?)";
  const cases: readonly (readonly [readonly string[], string])[] = [
    [["run", "--peer-router-paswords", "s3cret"], foreign("peer-router-paswords")],
    [["run", "--peer-router-paswords=s3cret"], foreign("peer-router-paswords")],
    [["check", "--peer-router-paswords s3cret"], foreign("peer-router-paswords")],
    [["--bgp-password=s3cret", "run"], foreign("bgp-password")],
    [["run", "--peer-router-passwords", "s3cret"], foreign("peer-router-passwords")],
    [["run", "--peer-router-passwords=s3cret"], foreign("peer-router-passwords")],
    [["run", "--peer-router-passwords s3cret"], foreign("peer-router-passwords")],
    [["run", "--peer-router-passwords: s3cret"], foreign("peer-router-passwords")],
    [["run", "-peer-router-passwords=s3cret"], foreign("peer-router-passwords")],
    [
      ["run", "--peer-router-password-file=s3cret"],
      `unknown option '--peer-router-password-file' ${near}`,
    ],
    [
      ["check", "--peer-router-password-file s3cret"],
      `unknown option '--peer-router-password-file' ${near}`,
    ],
    [["run", "--peer-key=s3cret"], "unknown option '--peer-key'"],
    // A manifest's list of arguments with two in one.
    [["run", "--bgp-port 1179"], `option '--bgp-port' ${behind}`],
    [
      ["run", "--peer-router-passwords-file s3cret"],
      `option '--peer-router-passwords-file' ${behind}`,
    ],
    [["cleanup", "--yes=s3cret"], "option '--yes' takes no value"],
    [["run", "-bgp-port=1179"], "unknown option '-bgp-port' (Did you mean --bgp-port?)"],
    [["run", "-ps3cret"], "unknown option '-p…'"],
    [["peers", "-p=s3cret"], "unknown option '-p'"],
    [["run --peer-router-passwords=s3cret"], "unknown command 'run …'"],
    [["peers --x s3cret"], "unknown command 'peers …'"],
    [["run", "s3cret"], "too many arguments for 'run'. Expected 0 arguments but got 1."],
    // What should be the path of a file, and is what is in it.
    [
      ["run", "--peer-router-passwords-file=s3cret\ns3cret"],
      "--peer-router-passwords-file=…: expected at most 4096 bytes of text without control characters",
    ],
    // Two flags in one argument: the value of the first one holds the second.
    [
      ["run", "--bgp-port=1179 --peer-router-passwords=s3cret"],
      "--bgp-port=1179 --peer-router-passwords…: expected a whole number from 1 to 65535",
    ],
    [
      ["run", "--peer-router-ips=192.0.2.1 --password s3cret", "--peer-router-asns=1"],
      '--peer-router-ips: "192.0.2.1 --password…" is no IP address that a peer can have',
    ],
    [
      ["run", "--masquerade-exclude=10.0.0.0/8 password:s3cret"],
      '--masquerade-exclude: "10.0.0.0/8 password…" is no prefix such as 10.0.0.0/8, without host bits',
    ],
    [
      ["run", "--master=admin:s3cret@h:6443"],
      "--master=…@h:6443: expected an http:// or https:// URL",
    ],
  ];
  for (const [args, sentence] of cases) {
    const { code, stdout, stderr } = await runCli(args);
    assert.equal(stderr, `podrouter: ${sentence}\n`);
    assert.deepEqual([code, stdout], [2, ""]);
  }
});

test("nothing to do is said, and is no failure", async () => {
  const result = await runCli(["run", "--run-router=false"]);
  assert.deepEqual(
    [result.code, result.stderr, result.started],
    [0, "podrouter: nothing to do: --run-router=false\n", undefined],
  );
});

test("help of run names every flag with its default, in groups", async () => {
  const { code, stdout } = await runCli(["run", "--help"]);
  assert.equal(code, 0);
  const text = stdout.replaceAll(/\s+/g, " ");
  for (const flag of Object.values(RUN_FLAGS)) {
    assert.ok(text.includes(`--${flag.name} `), flag.name);
    if (flag.default !== "") assert.ok(text.includes(`(default ${flag.default})`), flag.name);
    assert.ok(text.includes(flag.group), flag.group);
  }
  assert.ok(stdout.split("\n").every((line) => line.length <= 100));
});

test("help is no wider than the terminal, nor than a hundred columns", async () => {
  for (const [columns, widest] of [
    [60, 60],
    [80, 80],
    [0, 100],
    [250, 100],
  ] as const) {
    const { stdout } = await runCli(["peers", "--help"], { columns });
    // What is behind the options is written as it is: states and examples.
    const [options = ""] = stdout.split("\nUp/Down is");
    const longest = Math.max(...options.split("\n").map((line) => line.length));
    assert.ok(longest <= widest && longest > widest * 0.85, `${longest} of ${columns}`);
  }
});

test("every command has help with an example or a sentence, and exits 0", async () => {
  for (const command of ["peers", "rib", "status", "cleanup", "version"]) {
    const { code, stdout } = await runCli([command, "--help"]);
    assert.equal(code, 0);
    assert.match(stdout, new RegExp(`^Usage: podrouter ${command}`));
  }
  assert.equal((await runCli(["--help"])).code, 0);
});

test("version is this package's", async () => {
  const { stdout } = await runCli(["version"]);
  assert.match(stdout, /^podrouter \d+\.\d+\.\d+ \(Node\.js v\d+\.\d+\.\d+, \w+\/\w+\)\n$/);
  assert.match((await runCli(["--version"])).stdout, /^podrouter \d+\.\d+\.\d+\n$/);
  const json = JSON.parse((await runCli(["version", "-o", "json"])).stdout) as { version: string };
  assert.match(json.version, /^\d+\.\d+\.\d+$/);
});

test("a reader that went away is no error, a disk that is full is one of one line", async () => {
  const shell = (script: string) => run("bash", ["-c", script, "bash", process.execPath, MAIN]);
  const gone = await shell('set -o pipefail; "$1" "$2" run --help | true');
  assert.deepEqual([gone.status, gone.stderr], [0, ""]);
  const full = await shell('"$1" "$2" run --help > /dev/full');
  assert.equal(full.status, 1);
  assert.match(full.stderr, /^podrouter: the output cannot be written: ENOSPC[^\n]*\n$/);
});

test("the exit code is the same where nobody reads what is wrong", async () => {
  const status = async (script: string) =>
    (await run("bash", ["-c", script, "bash", process.execPath, MAIN])).stdout.trim();
  assert.equal(await status('set -o pipefail; "$1" "$2" walk 2>&1 | true; echo "$?"'), "2");
  assert.equal(await status('"$1" "$2" walk 2>/dev/full; echo "$?"'), "2");
  assert.equal(await status('"$1" "$2" run --run-router=false 2>/dev/full; echo "$?"'), "0");
});
