"""The programs inside image `debian` before its own system runs, and the files that Guesthouse adds to that system."""

SAY = "guesthouse-install:"
"""Begins the lines in which the installer tells how far it is; everything else on its console is its log."""

DONE = f"{SAY} done"

BOOT = r"""#!/bin/sh
# First process of image `debian`: brings the drivers of its disk, and hands over to the system on it.
export PATH=/bin

fail() {
    echo "guesthouse: $1" >/dev/console
    poweroff -f
}

mount -t proc proc /proc
mount -t sysfs sysfs /sys
mount -t devtmpfs devtmpfs /dev
while read -r module; do insmod "$module"; done </modules/load
read -r parameters </proc/cmdline
root=/dev/vda mode=rw first=/sbin/init
for word in $parameters; do
    case $word in
        root=*) root=${word#root=} ;;
        ro | rw) mode=$word ;;
        init=*) first=${word#init=} ;;
    esac
done
tries=0
while :; do
    case $root in *=*) device=$(findfs "$root") ;; *) device=$root ;; esac
    [ -b "$device" ] && break
    tries=$((tries + 1))
    [ $tries -gt 100 ] && fail "there is no disk $root to start from; look at --append root=..."
    usleep 100000
done
mount -t ext4 -o "$mode" "$device" /root || fail "the file system on $root can't be mounted"
umount /sys
umount /proc
mount -o move /dev /root/dev
exec switch_root /root "$first" "$@"
fail "there is no $first on $root"
"""

INSTALL = r"""#!/bin/sh
# First process of the machine that installs image `debian`: /dev/vda becomes its disk, /dev/vdb holds its packages.
export PATH=/bin:/usr/sbin

say() { echo "guesthouse-install: $*"; }

finish() {
    sync
    poweroff -f
    usleep 100000000
}

# Run a step; end where it fails.
must() {
    "$@" && return
    say "failed: $*"
    finish
}

inside() {
    chroot /target /usr/bin/env -i PATH=/usr/sbin:/usr/bin:/sbin:/bin HOME=/root LC_ALL=C TERM=dumb \
        DEBIAN_FRONTEND=noninteractive DEBCONF_NONINTERACTIVE_SEEN=true DPKG_COLORS=never "$@"
}

mounts() {
    mount -t proc proc /proc
    mount -t sysfs sysfs /sys
    mount -t devtmpfs devtmpfs /dev
    while read -r module; do insmod "$module"; done </modules/load
}

format() {
    say "phase format"
    must /usr/sbin/mke2fs -q -F -t ext4 -L root -E lazy_itable_init=0,lazy_journal_init=0 /dev/vda
    must mount -t ext4 -o noatime,nobarrier,noauto_da_alloc,commit=600 /dev/vda /target
    must mount -t iso9660 -o ro /dev/vdb /media
}

# What dpkg itself needs is unpacked without it.
extract() {
    say "phase extract"
    while read -r file name; do
        say "extract $name"
        ar p "/media/$file" data.tar | tar x --numeric-owner -C /target -f - || must false "$name"
    done </media/essentl.txt
    mkdir -p /target/var/lib/dpkg/info /target/var/lib/dpkg/updates /target/mnt /target/proc /target/sys
    : >/target/var/lib/dpkg/status
    : >/target/var/lib/dpkg/available
    [ -e /target/usr/bin/awk ] || ln -s mawk /target/usr/bin/awk
    mount -o bind /media /target/mnt
    mount -o bind /proc /target/proc
    mount -o bind /sys /target/sys
    mount -o bind /dev /target/dev
    mkdir -p /dev/pts /dev/shm
    mount -t devpts devpts /dev/pts
    # Nothing is started while it is installed.
    mkdir -p /target/usr/sbin
    printf '#!/bin/sh\nexit 101\n' >/target/usr/sbin/policy-rc.d
    chmod 755 /target/usr/sbin/policy-rc.d
}

# The words of a list's lines that name packages' files, as the system being installed sees them.
files() {
    while read -r file name; do echo "/mnt/$file"; done <"/media/$1"
}

packages() {
    say "phase essential"
    for file in $(files core.txt); do
        must inside dpkg --force-unsafe-io --force-depends --install "$file"
    done
    must inside dpkg --force-unsafe-io --force-depends --unpack $(files first.txt)
    must inside dpkg --force-unsafe-io --force-depends --force-configure-any --configure --pending
    say "phase unpack"
    [ -s /media/second.txt ] && must inside dpkg --force-unsafe-io --force-depends --unpack $(files second.txt)
    say "phase configure"
    must inside dpkg --force-unsafe-io --configure --pending
    must inside dpkg --audit
}

complete() {
    say "phase complete"
    must tar x -C /target -f /media/modules.tar
    if [ -e /target/usr/sbin/depmod ]; then must inside depmod -a "$(uname -r)"; fi
    must tar x -C /target -f /media/added.tar
    if [ -s /media/enable.txt ]; then must inside systemctl enable $(cat /media/enable.txt); fi
    if [ -s /media/disable.txt ]; then must inside systemctl disable $(cat /media/disable.txt); fi
    rm -f /target/usr/sbin/policy-rc.d /target/etc/ssh/ssh_host_*_key* /target/var/lib/systemd/random-seed
    rm -f /target/var/lib/dbus/machine-id
    inside journalctl --quiet --update-catalog
    rm -f /target/var/cache/debconf/*-old /target/var/lib/dpkg/*-old /target/etc/*-
    rm -rf /target/var/cache/apt/*.bin /target/tmp/* /target/var/tmp/*
    : >/target/etc/machine-id
    # Else the first start would do again what the packages' scripts have done.
    touch /target/etc/.updated /target/var/.updated
}

leave() {
    for path in /target/dev /target/sys /target/proc /target/mnt; do umount "$path"; done
    fstrim /target
    must umount /target
    say done
    finish
}

mounts
format
extract
packages
complete
leave
"""

PROFILE = r"""# The host says in the kernel's parameters what its terminal is: a serial line does not know.
if [ "$(tty 2>/dev/null)" = /dev/ttyS0 ] && [ -r /proc/cmdline ]; then
    for guesthouse_word in $(cat /proc/cmdline); do
        case $guesthouse_word in
            TERM=*) export TERM="${guesthouse_word#TERM=}" ;;
            COLUMNS=*) stty cols "${guesthouse_word#COLUMNS=}" 2>/dev/null ;;
            LINES=*) stty rows "${guesthouse_word#LINES=}" 2>/dev/null ;;
        esac
    done
    unset guesthouse_word
fi
"""

AUTOLOGIN = """[Service]
ExecStart=
ExecStart=-/sbin/agetty --autologin root --noissue --noclear --keep-baud 115200,57600,38400,9600 - $TERM
"""

# Debian's own unit makes keys only where systemd takes the start for a system's first, which resets what is enabled.
SSH_KEYS = """[Service]
ExecStartPre=
ExecStartPre=/bin/sh -c 'for kind in ed25519 ecdsa; do file=/etc/ssh/ssh_host_$${kind}_key; \
    test -e $$file || ssh-keygen -q -t $$kind -N "" -f $$file; done'
ExecStartPre=/usr/sbin/sshd -t
"""

NETWORK = """[Match]
Type=ether

[Network]
DHCP=yes
IPv6AcceptRA=yes
"""

# Who has the agent run `apt-get` at once means the network: where the machine has a card (virtio's device 1), it is
# waited for a little.
AGENT_WAITS = """[Service]
ExecStartPre=-/bin/sh -c 'grep -qx 0x0001 /sys/bus/virtio/devices/*/device || exit; \\
    for turn in $$(seq 75); do ip route show default | grep -q . && break; sleep 0.2; done'
"""

SOURCE = """Types: deb
URIs: {mirror}
Suites: {suites}
Components: main
Signed-By: /usr/share/keyrings/debian-archive-keyring.gpg
"""

FILES = {
    "etc/hostname": "debian\n",
    "etc/hosts": "127.0.0.1 localhost\n127.0.1.1 debian\n::1 localhost ip6-localhost ip6-loopback\n",
    "etc/fstab": "/dev/vda / ext4 defaults 0 1\n",
    "etc/systemd/network/80-guesthouse.network": NETWORK,
    "etc/systemd/system/serial-getty@ttyS0.service.d/guesthouse.conf": AUTOLOGIN,
    "etc/systemd/system/ssh.service.d/guesthouse.conf": SSH_KEYS,
    "etc/systemd/system/guesthouse-agent.service.d/network.conf": AGENT_WAITS,
    "etc/profile.d/guesthouse.sh": PROFILE,
}
