/**
 * What runs first in the virtual machine, from its initial RAM disk: the host's files come over 9p,
 * read-only, with a folder in memory above that takes what is written.
 */

/** Where the host finds things in QEMU's `-virtfs`. */
export const HOST_TAG = "host";
export const MODULES_TAG = "modules";
/** The kernel's own messages; what the command prints; its exit status. */
export const [CONSOLE, OUTPUT, STATUS] = ["ttyS0", "ttyS1", "ttyS2"];
/** Modules that are needed before there is a root to load modules from, what they need included. */
export const EARLY_MODULES = ["virtio_pci", "9pnet_virtio", "9p", "overlay"] as const;

const NINE_P = "ro,trans=virtio,version=9p2000.L,cache=loose,msize=1048576";

/** The script /init. The command's script lies beside it as /command. */
export const GUEST_INIT = `#!/bin/busybox sh
PATH=/bin
/bin/busybox --install -s /bin
mkdir -p /proc /sys /dev /host /memory /root
mount -t proc proc /proc
mount -t sysfs sys /sys
mount -t devtmpfs dev /dev
for module in /early/*; do insmod "$module"; done
mount -t 9p -o ${NINE_P} ${HOST_TAG} /host
mount -t tmpfs -o size=80% memory /memory
mkdir /memory/upper /memory/work
mount -t overlay -o lowerdir=/host,upperdir=/memory/upper,workdir=/memory/work root /root
for each in proc sys dev; do mount --move /$each /root/$each; done
cd /root
mount -t tmpfs run run
mkdir -p dev/pts dev/shm lib/modules
mount -t devpts pts dev/pts
mount -t tmpfs shm dev/shm
mount -t cgroup2 cgroup sys/fs/cgroup
mount -t 9p -o ${NINE_P} ${MODULES_TAG} lib/modules
hostname machine
cp /command run/command
cat > run/first <<'END'
ip link set lo up
# Whoever removes a link or a namespace waits for all CPUs, emulated ones too.
echo 1 > /sys/kernel/rcu_expedited
# Through a pipe: programs write otherwise to what looks like a terminal.
stty -F /dev/${OUTPUT} raw
mkfifo /run/output
cat /run/output > /dev/${OUTPUT} &
/bin/sh /run/command > /run/output 2>&1 < /dev/null
status=$?
wait
echo $status > /dev/${STATUS}
echo o > /proc/sysrq-trigger
sleep 60
END
exec switch_root /root /bin/sh /run/first > /dev/${CONSOLE} 2>&1
`;
