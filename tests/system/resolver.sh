#!/usr/bin/env bash
# SPDX-License-Identifier: LGPL-2.1-or-later
# testbed: run
#
# How a container resolves names: resolv.conf and hosts of its own, the host's, or the image's (A1.11).

# shellcheck source-path=SCRIPTDIR
. "$(dirname "${BASH_SOURCE[0]}")/lib.sh"

image=localhost:5000/demo:latest

# host_conf LINE...: the host's resolv.conf, which may be a link to somebody's file.
host_conf() {
        rm -f /etc/resolv.conf
        printf '%s\n' "$@" >/etc/resolv.conf
}

# shows TEXT EXPECTED FILE OPTION...: what a container with these options has in the file.
shows() {
        capture ctrctl run --rm "${@:4}" "$image" cat "$3"
        check_equal "$1" "$2" "$stdout$stderr"
}

# refused TEXT REGEX OPTION...
refused() {
        check_fails "$1" "$2" ctrctl create "${@:3}" "$image" true
}

registry_start
image_push demo demo:latest
check "pull" ctrctl pull --quiet "$image"

host_conf '# a comment' 'nameserver 192.0.2.1' 'nameserver 127.0.0.1' 'search host.example' 'options timeout:3' 'sortlist 192.0.2.0'
shows "nothing is made without a wish" "cat: can't open '/etc/resolv.conf': No such file or directory" /etc/resolv.conf
shows "the host's network has its file" "$(cat /etc/resolv.conf)" /etc/resolv.conf --network=host
shows "a server, and the rest as the host has it" \
        $'nameserver 192.0.2.9\nnameserver 2001:db8::9\nsearch host.example\noptions timeout:3\nsortlist 192.0.2.0' \
        /etc/resolv.conf --dns=192.0.2.9 --dns=2001:db8::9
shows "domains" $'search a.example b.example\nnameserver 192.0.2.1\noptions timeout:3\nsortlist 192.0.2.0' \
        /etc/resolv.conf --dns-search=a.example --dns-search=b.example
shows "no domain" $'nameserver 192.0.2.1\noptions timeout:3\nsortlist 192.0.2.0' /etc/resolv.conf --dns-search=.
shows "options" $'options ndots:2 edns0\nnameserver 192.0.2.1\nsearch host.example\nsortlist 192.0.2.0' \
        /etc/resolv.conf --dns-option=ndots:2 --dns-option=edns0
shows "servers on loopback stay with the host's network" \
        $'options ndots:2\nnameserver 192.0.2.1\nnameserver 127.0.0.1\nsearch host.example\nsortlist 192.0.2.0' \
        /etc/resolv.conf --dns-option=ndots:2 --network=host
host_conf $'nameserver\t127.0.0.53' 'search stub.example'
mkdir -p /run/systemd/resolve
printf '%s\n' 'nameserver 192.0.2.5' 'search real.example' >/run/systemd/resolve/resolv.conf
shows "behind resolved's stub are the servers" $'options rotate\nnameserver 192.0.2.5\nsearch real.example' \
        /etc/resolv.conf --dns-option=rotate
host_conf 'nameserver 127.0.0.54'
shows "and behind its other one" $'options rotate\nnameserver 192.0.2.5\nsearch real.example' \
        /etc/resolv.conf --dns-option=rotate
host_conf '# nameserver 127.0.0.53' 'nameserver 192.0.2.6' 'nameserver 127.0.0.530'
shows "and a line that does not count leads nowhere" $'options rotate\nnameserver 192.0.2.6\nnameserver 127.0.0.530' \
        /etc/resolv.conf --dns-option=rotate
rm /etc/resolv.conf
shows "a host without a file" 'nameserver 192.0.2.9' /etc/resolv.conf --dns=192.0.2.9

# hosts
shows "a name" $'192.0.2.7\tdb.example\n2001:db8::7\tdb.example\n127.0.0.1\tlocalhost\n::1\tlocalhost ip6-localhost ip6-loopback\n127.0.0.1\tweb' \
        /etc/hosts --add-host=db.example:192.0.2.7 --add-host=db.example:2001:db8::7 --hostname=web
shows "an address in brackets" $'2001:db8::7\tdb\n::1\tme\n127.0.0.1\tlocalhost\n::1\tlocalhost ip6-localhost ip6-loopback\n127.0.0.1\tweb' \
        /etc/hosts --add-host='db:[2001:db8::7]' --add-host='me:[::1]' --hostname=web
printf '127.0.0.1 localhost\n192.0.2.3 neighbour\n' >/etc/hosts
shows "before those of the host" $'192.0.2.7\tdb\n127.0.0.1 localhost\n192.0.2.3 neighbour' /etc/hosts --add-host=db:192.0.2.7 --network=host
check_equal "programs find it" "192.0.2.7" \
        "$(ctrctl run --rm --add-host=db:192.0.2.7 "$image" ping -c 1 -w 1 db 2>&1 | sed -n 's/^PING db (\([0-9.]*\)).*/\1/p')"

# Whose file it is
check_fails "nobody in the container writes to it" 'Read-only file system' \
        ctrctl run --rm --dns=192.0.2.9 "$image" sh -c 'echo x >>/etc/resolv.conf'
echo mine >"$test_dir/mine"
shows "a mount of one's own counts more" mine /etc/resolv.conf --dns=192.0.2.9 --volume="$test_dir/mine:/etc/resolv.conf:ro"
shows "with ids of its own" 'nameserver 192.0.2.9' /etc/resolv.conf --dns=192.0.2.9 --userns=auto
shows "with another runtime" 'nameserver 192.0.2.9' /etc/resolv.conf --dns=192.0.2.9 --runtime=crun
shows "and a read-only root" 'nameserver 192.0.2.9' /etc/resolv.conf --dns=192.0.2.9 --read-only

# A new task reads the host's lines again.
host_conf 'search first.example'
check "create" ctrctl create --name=box --dns=192.0.2.9 "$image" cat /etc/resolv.conf
check_equal "the first task" $'nameserver 192.0.2.9\nsearch first.example' "$(ctrctl start --attach box 2>&1)"
host_conf 'search second.example'
ctrctl task rm box 2>/dev/null
check_equal "the next one" $'nameserver 192.0.2.9\nsearch second.example' "$(ctrctl start --attach box 2>&1)"
check "delete" ctrctl rm --force box

# An image whose files are links: they lead to nothing outside of it, and nothing outside is written.
mkdir -p "$test_dir/hostile/etc" "$test_dir/out"
cp -a /bin/busybox "$test_dir/hostile/cat"
echo untouched >"$test_dir/out/file"
ln -s "$test_dir/out/file" "$test_dir/hostile/etc/resolv.conf"
ln -s ../../../../../../../../etc/shadow "$test_dir/hostile/etc/hosts"
tar -C "$test_dir/hostile" -c . | ctrctl import --quiet - localhost/hostile:1 >/dev/null || die "no hostile image"
capture ctrctl run --rm --dns=192.0.2.9 --add-host=db:192.0.2.7 --network=host localhost/hostile:1 /cat /etc/resolv.conf
check_match "links of the image lead into it" '^nameserver 192.0.2.9' "$stdout$stderr"
check_equal "and not out of it" "untouched" "$(cat "$test_dir/out/file")"
check_equal "what they name is not made either" file "$(ls "$test_dir/out")"

# One that systemd-resolved is to look after, as Debian's and Fedora's are
ln -sf ../run/systemd/resolve/stub-resolv.conf "$test_dir/hostile/etc/resolv.conf"
tar -C "$test_dir/hostile" -c . | ctrctl import --quiet - localhost/resolved:1 >/dev/null || die "no image with a link"
capture ctrctl run --rm --dns=192.0.2.9 localhost/resolved:1 /cat /run/systemd/resolve/stub-resolv.conf
check_match "a link to what is not there yet is followed" '^nameserver 192.0.2.9' "$stdout$stderr"

refused "no address" 'DNS: .*"example.com" is no IP address' --dns=example.com
refused "more than an address" 'is no IP address' --dns=$'192.0.2.1\nnameserver 192.0.2.2'
refused "no domain" 'DNSSearch: .*is no domain' --dns-search='a b'
refused "a dot among others" 'is no domain' --dns-search=. --dns-search=a
refused "no option" 'DNSOptions: .*is no option' --dns-option='ndots:2 rotate'
refused "no name" 'ExtraHosts: .*is not NAME:ADDRESS' --add-host=192.0.2.1
refused "no address for a name" 'is not NAME:ADDRESS' --add-host=db:nowhere
refused "two lines" 'is not NAME:ADDRESS' --add-host=$'db\nx:192.0.2.1'
refused "an IPv4 address in brackets" 'is not NAME:ADDRESS' '--add-host=db:[192.0.2.1]'
refused "a bracket that is not closed" 'is not NAME:ADDRESS' '--add-host=db:[::1'
refused "more behind the bracket" 'is not NAME:ADDRESS' '--add-host=db:[::1]x'
refused "nothing in brackets" 'is not NAME:ADDRESS' '--add-host=db:[]'
