"""The texts inside image `tiny`: its programs and the files a shell wants; `docs/guest-agent.md` has the protocol."""

INIT = r"""#!/bin/sh
# First process of Guesthouse's image `tiny`: mounts and drivers, then the session; ends the machine when it is told to.
export PATH=/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin HOME=/root USER=root LOGNAME=root SHELL=/bin/sh

finish() { # $1: poweroff or reboot
    trap '' USR1 USR2 TERM INT
    kill -9 -1 2>/dev/null
    sync
    while read -r source path rest; do
        case $source in /dev/*) umount "$path" || mount -o remount,ro "$path" ;; esac
    done </proc/mounts 2>/dev/null
    "$1" -f
}

prepare() {
    mount -t proc -o nosuid,nodev,noexec proc /proc
    mount -t sysfs -o nosuid,nodev,noexec sysfs /sys
    mount -t devtmpfs -o nosuid,mode=755 devtmpfs /dev
    mkdir -p /dev/pts /dev/shm
    mount -t devpts -o gid=5,mode=620,ptmxmode=666 devpts /dev/pts
    mount -t tmpfs -o mode=1777 tmpfs /dev/shm
    mount -t tmpfs -o mode=755 tmpfs /run
    mount -t tmpfs -o mode=1777 tmpfs /tmp
    ln -s /proc/self/fd /dev/fd
    ln -s /proc/self/fd/0 /dev/stdin
    ln -s /proc/self/fd/1 /dev/stdout
    ln -s /proc/self/fd/2 /dev/stderr
    while read -r module; do insmod "$module"; done </etc/modules-load
    if [ -e /sys/block/vda ]; then
        while read -r module; do insmod "$module"; done </etc/modules-load-disk
    fi
    for modalias in /sys/bus/virtio/devices/*/modalias; do
        [ -e "${modalias%modalias}driver" ] || { read -r name <"$modalias" && modprobe -q "$name"; }
    done 2>/dev/null
    hostname -F /etc/hostname
    ip link set lo up
    if [ -e /sys/class/net/eth0 ]; then
        ip link set eth0 up
        # Waits for a lease where the cable is in, asks on from the background where nobody answers.
        grep -q 1 /sys/class/net/eth0/carrier && wait=1 || wait=0
        udhcpc -i eth0 -b -t 2 -T $wait -S -s /usr/lib/guesthouse/lease >/dev/null 2>&1
    fi
    # Only now: a starting kernel asks for many modules that are not there, and each would cost a process.
    echo /usr/bin/modprobe >/proc/sys/kernel/modprobe
}

trap 'finish poweroff' USR1 USR2
trap 'finish reboot' TERM
prepare
# Not `session &`: the shell would start that with interrupts ignored for good.
start-stop-daemon -S -b -x /usr/lib/guesthouse/session
while :; do
    sleep 1000000 &
    wait $!
done
"""

LEASE = r"""#!/bin/sh
# Told by udhcpc what address, router and names the network has given to the card $interface, or that it has none.
case $1 in
    deconfig) ip addr flush dev "$interface" scope global ;;
    bound|renew)
        ip addr flush dev "$interface" scope global
        ip addr add "$ip/${mask:-24}" dev "$interface"
        for address in $router; do ip route add default via "$address" dev "$interface" && break; done
        { [ -z "$domain" ] || echo "search $domain"; for address in $dns; do echo "nameserver $address"; done; } \
            >/etc/resolv.conf ;;
esac 2>/dev/null
"""

SESSION = r"""#!/bin/sh
# What image `tiny` is there for: a shell on the console, perhaps with the agent beside it, or the one command
# that the host sends. Then power off.

# The agent ends only where there is nobody to serve.
serve_command() {
    /usr/lib/guesthouse/agent || echo "tiny: the machine has no port guesthouse.agent" >/dev/console
}

serve_shell() {
    exec <>/dev/console >&0 2>&0
    # A serial line does not know the size of its terminal; the host may say it in the kernel's parameters.
    [ -n "$(stty size 2>/dev/null)" ] || stty cols "${COLUMNS:-80}" rows "${LINES:-24}"
    unset COLUMNS LINES
    setsid cttyhack sh -l
}

cd /root || exit
read -r parameters </proc/cmdline
case " $parameters " in
    *" guesthouse.command=1 "*) serve_command ;;
    *" guesthouse.agent=1 "*) serve_command & serve_shell ;;
    *) serve_shell ;;
esac
poweroff
"""

PROFILE = r"""export PATH=/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin
PS1='\u@\h:\w\$ '
cd "$HOME"
cat /etc/motd
"""

MOTD = "Debian {suite} kernel {release}, busybox {busybox}. `poweroff` or Ctrl-D ends the machine.\n"

SMALL_FILES = {
    "etc/hostname": "tiny\n",
    "etc/hosts": "127.0.0.1 localhost tiny\n::1 localhost tiny\n",
    "etc/passwd": "root:x:0:0:root:/root:/bin/sh\nnobody:x:65534:65534:nobody:/nonexistent:/usr/sbin/nologin\n",
    "etc/group": "root:x:0:\ntty:x:5:\nnogroup:x:65534:\n",
    "etc/filesystems": "ext4\n",
    "etc/shells": "/bin/sh\n",
    "etc/profile": PROFILE,
}
