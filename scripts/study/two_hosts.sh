#!/usr/bin/env bash
# Two hosts out of one machine: network namespaces, each with its own address, sshd and half of the cores, that
# share its disks.
#
#   scripts/study/two_hosts.sh up FOLDER      sets them up; prints what to put into the environment
#   scripts/study/two_hosts.sh cut FOLDER 2   takes host 2 off the network, without a word to anybody
#   scripts/study/two_hosts.sh mend FOLDER 2  puts it back
#   scripts/study/two_hosts.sh down FOLDER    takes all of it down again
#
# They are 10.213.N.2 and 10.213.N.3, and this machine is 10.213.N.1 to them; N is the first that is free. Nothing is
# routed beyond. Needs root, iproute2 and openssh-server.
set -Eeuo pipefail

usage() { sed -n '5,8s/^# *//p' "$0" >&2; exit 2; }
fail() { echo "Error: $*" >&2; exit 1; }
cannot() { echo "Error: $*" >&2; exit 77; } # nothing is wrong but the machine

[ $# -ge 2 ] || usage
verb=$1 folder=$2 which=${3:-}
[ "$(id -u)" = 0 ] || cannot "network namespaces need root; run this as root, or test on two real hosts"
for tool in ip sshd ssh-keygen taskset; do
    command -v "$tool" >/dev/null || cannot "$tool is missing; on Debian: apt-get install iproute2 openssh-server util-linux"
done

name() { echo "cb$(cat "$folder/net")-$1"; } # of a namespace and of its end of the cable here

make_host() { # number on the net, its address, its cores
    local space cable
    space=$(name "$1") cable=$(name "$1")
    ip netns add "$space"
    ip link add "$cable" type veth peer name eth0 netns "$space"
    ip link set "$cable" master "$(name br)" up
    ip -n "$space" link set lo up
    ip -n "$space" address add "$2/24" dev eth0
    ip -n "$space" link set eth0 up
    cat >"$folder/sshd-$1.conf" <<CONF
ListenAddress $2
HostKey $folder/host_key
AuthorizedKeysFile $folder/key.pub
PidFile $folder/sshd-$1.pid
StrictModes no
PermitRootLogin prohibit-password
PasswordAuthentication no
UsePAM no
CONF
    ip netns exec "$space" taskset -c "$3" "$(command -v sshd)" -f "$folder/sshd-$1.conf" -E "$folder/sshd-$1.log"
}

up() {
    local net
    mkdir -p "$folder" /run/sshd
    folder=$(cd "$folder" && pwd)
    [ ! -e "$folder/net" ] || fail "$folder has hosts already; take them down with: $0 down $folder"
    for net in $(seq 0 255) none; do
        if [ "$net" = none ] || ip link add "cb$net-br" type bridge 2>/dev/null; then break; fi
    done
    [ "$net" != none ] || cannot "this machine (or container) does not let root make a network bridge"
    echo "$net" >"$folder/net"
    trap 'down; exit 1' ERR INT TERM
    ip address add "10.213.$net.1/24" dev "$(name br)"
    ip link set "$(name br)" up
    ssh-keygen -q -t ed25519 -N '' -f "$folder/key"
    ssh-keygen -q -t ed25519 -N '' -f "$folder/host_key"
    local half=$(($(nproc) / 2))
    if [ "$half" = 0 ]; then
        make_host 2 "10.213.$net.2" 0
        make_host 3 "10.213.$net.3" 0
    else
        make_host 2 "10.213.$net.2" "0-$((half - 1))"
        make_host 3 "10.213.$net.3" "$half-$((2 * half - 1))"
    fi
    for number in 2 3; do echo "10.213.$net.$number $(cut -d' ' -f1,2 "$folder/host_key.pub")"; done >"$folder/known_hosts"
    cat <<SETTINGS
CATBUILDER_RSH=ssh -F none -i $folder/key -o UserKnownHostsFile=$folder/known_hosts -o BatchMode=yes -o ConnectTimeout=15
HOSTS=10.213.$net.2:1,10.213.$net.3:1
SETTINGS
}

down() {
    [ -e "$folder/net" ] || return 0
    for number in 2 3; do
        # whatever still runs there, sshd and the ranks of a host that was cut off
        ip netns pids "$(name "$number")" 2>/dev/null | xargs -r kill -9 2>/dev/null || true
        ip netns delete "$(name "$number")" 2>/dev/null || true
        ip link delete "$(name "$number")" 2>/dev/null || true
    done
    ip link delete "$(name br)" 2>/dev/null || true
    rm -f "$folder/net" "$folder"/key* "$folder"/host_key* "$folder"/sshd-* "$folder/known_hosts"
}

case $verb in
    up) up ;;
    cut | mend) ip link set "$(name "${which:?which host, 2 or 3}")" "$([ "$verb" = cut ] && echo down || echo up)" ;;
    down) down ;;
    *) usage ;;
esac
