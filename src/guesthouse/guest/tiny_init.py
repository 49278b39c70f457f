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
    hostname -F /etc/hostname
    ip link set lo up
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

SESSION = r"""#!/bin/sh
# What image `tiny` is there for: a shell on the console, or the one command that the host sends. Then power off.

# The device of the virtio port with this name, in $port; fails where the machine has none.
find_port() {
    for file in /sys/class/virtio-ports/*/name; do
        if [ -e "$file" ] && read -r name <"$file" && [ "$name" = "$1" ]; then
            port=${file%/name}
            port=/dev/${port##*/}
            [ -e "$port" ] && return 0
        fi
    done
    return 1
}

# Ports come one by one, after their driver: wait up to ten seconds.
await_port() {
    tries=0
    until find_port "$1"; do
        tries=$((tries + 1))
        if [ $tries -gt 500 ]; then
            echo "tiny: the machine has no port $1" >/dev/console
            poweroff
            sleep 1000
        fi
        usleep 20000
    done
}

# Kills everything that is left except the first process, this one and the two named ones.
kill_rest() {
    for entry in /proc/[0-9]*; do
        case ${entry#/proc/} in 1 | $$ | "$1" | "$2") ;; *) kill -9 "${entry#/proc/}" ;; esac
    done 2>/dev/null
}

forward_signals() {
    while IFS=' ' read -r word value <&3; do
        [ "$word" = signal ] && read -r leader </run/guesthouse/leader && kill -s "$value" -- "-$leader"
    done 2>/dev/null
}

serve_command() {
    await_port guesthouse.control && exec 3<>"$port"
    await_port guesthouse.stdin && exec 4<>"$port"
    await_port guesthouse.stdout && exec 5>"$port"
    await_port guesthouse.stderr && exec 6>"$port"
    mkdir /run/guesthouse
    mkfifo /run/guesthouse/stdin /run/guesthouse/stdout /run/guesthouse/stderr
    echo ready >&3
    set --
    while IFS=' ' read -r word value <&3 && [ "$word" != run ]; do
        value=$(printf '%b.' "$value")
        case $word in
            argument) set -- "$@" "${value%.}" ;;
            environment) export "${value%.}" ;;
        esac
    done
    echo ready >&4
    cat <&4 >/run/guesthouse/stdin 3>&- 4>&- 5>&- 6>&- 2>/dev/null &
    cat </run/guesthouse/stdout >&5 3>&- 4>&- 6>&- &
    out=$!
    cat </run/guesthouse/stderr >&6 3>&- 4>&- 5>&- &
    err=$!
    forward_signals 4>&- 5>&- 6>&- &
    exec 4>&- 5>&- 6>&-
    # In the foreground, else interrupts would be ignored. Standard error is opened inside, else this shell would say
    # there how the command ended.
    setsid sh -c 'echo $$ >/run/guesthouse/leader; exec 2>/run/guesthouse/stderr; exec "$@"' sh "$@" \
        3>&- </run/guesthouse/stdin >/run/guesthouse/stdout
    status=$?
    kill_rest "$out" "$err"
    wait "$out" "$err"
    echo "exit $status" >&3
    read -r -t 10 word <&3 # the host says `done` when it has taken all output; closing the port will do
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
