#!/bin/sh
# SPDX-License-Identifier: GPL-2.0-only
# bare-root.sh - the README's commands on a Debian machine that has nothing but make and git.
#
# usage: bare-root.sh [demo|check|user|all]      (default: all; as root)
#   demo   `make demo`: installs, builds, traces redis-server and a daemon
#   check  `make check` with BSCOPE_REQUIRE_BPF=1
#   user   not root: setup.sh says exactly what to install, and nothing else is missing then
#
# Each runs in a fresh root of its own (debootstrap, minbase) with a clone of the committed HEAD.
# Mirrors and proxies are those of this machine's apt.  KEEP=1 leaves the root for a look;
# SUITE: Debian release (default: bookworm); CACHE: where roots, packages and logs go (default:
# build/bare-root).
#
# Every mount is made in a mount namespace of its own, so that none can outlive this script, and
# roots are only removed from outside, where none of them has ever been.
set -eu

suite=${SUITE:-bookworm}
top=$(cd "$(dirname "$0")/.." && pwd)
cache=${CACHE:-$top/build/bare-root}
port=16480

die() {
	echo "bare-root: $*" >&2
	exit 1
}

# --- inside the namespace ------------------------------------------------------------------------

# "URI CODENAME" of each index that this machine's apt reads.
indexes() {
	# shellcheck disable=SC2016
	apt-get indextargets --format '$(REPO_URI) $(CODENAME)' 'Created-By: Packages' | sort -u
}

base() {
	uri=$(indexes | awk '$2 !~ /-/ { print $1; exit }')
	security=$(indexes | awk '$2 ~ /-security$/ { print $1; exit }')
	[ -n "$uri" ] || die "this machine's apt knows no Debian mirror"
	include=make,git
	case $uri$security in *https:*) include=$include,ca-certificates ;; esac
	echo "bare-root: debootstrap $suite (make, git)"
	root=$cache/base-$suite
	mkdir -p "$cache/debootstrap"
	debootstrap --variant=minbase --include="$include" --cache-dir="$cache/debootstrap" \
		"$suite" "$root" "$uri" >"$cache/debootstrap.log" 2>&1 ||
		{ tail -n 20 "$cache/debootstrap.log" >&2; die "debootstrap failed"; }
	{
		echo "deb $uri $suite main"
		echo "deb $uri $suite-updates main"
		[ -z "$security" ] || echo "deb $security $suite-security main"
	} >"$root/etc/apt/sources.list"
	apt-config dump | grep -E '^Acquire::(http|https|Retries)[: ]' \
		>"$root/etc/apt/apt.conf.d/90mirror" || true
	# As after the installer: package lists as old as the machine is not what is tested.
	rm -rf "$root/var/lib/apt/lists" "$root"/var/cache/apt/archives/*.deb
	mkdir -p "$root/var/lib/apt/lists/partial"
	tar -C "$root" -cf "$cache/base-$suite.tar.new" .
	mv "$cache/base-$suite.tar.new" "$cache/base-$suite.tar"
}

# What a booted machine has mounted.
mount_all() {
	mount -t proc proc "$1/proc"
	mount -t sysfs sysfs "$1/sys"
	mount -t bpf bpf "$1/sys/fs/bpf"
	mount -t debugfs debugfs "$1/sys/kernel/debug"
	mount -t tracefs tracefs "$1/sys/kernel/tracing"
	mount --rbind /dev "$1/dev"
	mount -t tmpfs tmpfs "$1/run"
	mkdir -p "$cache/archives/partial"
	mount --bind "$cache/archives" "$1/var/cache/apt/archives"
}

# Whoever still runs in the root, by its number.
kill_inside() {
	for p in /proc/[0-9]*; do
		[ "$(readlink "$p/root" 2>/dev/null)" != "$root" ] || kill -KILL "${p#/proc/}" || true
	done
}

in_root() { # [--userspec=USER] COMMAND...: in the clone
	user=
	case $1 in --userspec=*) user=$1; shift ;; esac
	# shellcheck disable=SC2086
	env -i PATH=/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin HOME=/root TERM=dumb \
		PORT=$port BSCOPE_REQUIRE_BPF=1 \
		chroot $user "$root" sh -c 'cd /opt/bscope && exec "$@"' sh "$@" </dev/null
}

says() { # TEXT LOG
	grep -q -e "$1" "$2" || { echo "bare-root: output lacks: $1" >&2; return 1; }
}

run_demo() {
	in_root make demo >"$1" 2>&1 || return 1
	says '^setup: installing .*clang.*redis-server' "$1" &&
		says '^redis-server still answers: PONG' "$1" && says 'leaky\.c' "$1"
}

run_check() {
	in_root make check >"$1" 2>&1 || return 1
	says '^setup: installing .*bats' "$1" && says '^Result: PASS' "$1"
}

run_user() {
	for set in demo check; do
		if in_root --userspec=nobody:nogroup make $set >"$1" 2>&1; then
			echo "make $set as nobody succeeds without its packages" >>"$1"
			return 1
		fi
		# Exactly what it says to type, as root, and then it has nothing more to say.
		command=$(sed -n 's/^setup: .*as root run: //p' "$1")
		case $command in
		'apt-get update && apt-get install '*) ;;
		*) return 1 ;;
		esac
		in_root sh -c "export DEBIAN_FRONTEND=noninteractive RUNLEVEL=1
			yes | { $command; }" >>"$1" 2>&1 || return 1
		if ! said=$(in_root --userspec=nobody:nogroup sh tests/setup.sh $set 2>&1) || [ -n "$said" ]; then
			echo "still: $said" >>"$1"
			return 1
		fi
	done
}

inside() {
	root=$(mktemp -d "$cache/root-$1.XXXXXX")
	echo "$root" >"$cache/root-$1"
	chmod 755 "$root"
	trap kill_inside EXIT
	trap 'exit 130' INT
	trap 'exit 143' TERM
	tar -C "$root" -xf "$cache/base-$suite.tar"
	cp -L /etc/resolv.conf /etc/hosts "$root/etc/"
	git clone -q --no-hardlinks "$top" "$root/opt/bscope"
	mount_all "$root"
	log=$cache/$1.log
	echo "bare-root: make $1 at $(git -C "$root/opt/bscope" log -1 --format=%h) (log: $log)"
	start=$(date +%s)
	if "run_$1" "$log"; then
		echo "PASS $1 ($(($(date +%s) - start)) s)"
	else
		tail -n 40 "$log"
		echo "FAIL $1 ($(($(date +%s) - start)) s)"
		return 1
	fi
}

# --- outside -------------------------------------------------------------------------------------

# Removes a root; never what is mounted below it.
remove() {
	[ -n "$1" ] && [ -d "$1" ] && [ -z "${KEEP:-}" ] || return 0
	if grep -qF " $1/" /proc/self/mountinfo; then
		echo "bare-root: something is mounted below $1: left as it is" >&2
		return 0
	fi
	rm -rf --one-file-system "$1"
}

private() {
	unshare --mount --propagation private sh "$0" "$@"
}

case ${1:-all} in
--base) base; exit ;;
--inside) inside "$2"; exit ;;
demo | check | user) runs=$1 ;;
all) runs='user demo check' ;;
*) echo "usage: bare-root.sh [demo|check|user|all]" >&2; exit 64 ;;
esac
[ "$(id -u)" = 0 ] || die "only root can make a root (debootstrap, chroot, mount)"
sh "$top/tests/setup.sh" bare-root
mkdir -p "$cache"
cache=$(cd "$cache" && pwd -P)
export CACHE="$cache" SUITE="$suite"

cleanup() {
	for f in "$cache"/root-demo "$cache"/root-check "$cache"/root-user; do
		[ -s "$f" ] || continue
		remove "$(cat "$f")"
		rm -f "$f"
	done
	remove "$cache/base-$suite"
}
trap cleanup EXIT
trap 'exit 130' INT
trap 'exit 143' TERM

if [ ! -s "$cache/base-$suite.tar" ]; then
	remove "$cache/base-$suite"
	private --base
	remove "$cache/base-$suite"
fi
failed=
for run in $runs; do
	private --inside "$run" || failed="$failed $run"
	cleanup
done
[ -z "$failed" ] || die "failed:$failed"
