#!/bin/sh
# SPDX-License-Identifier: GPL-2.0-only
# setup.sh SET... - install the Debian packages that a set needs and that are missing.
#
# Sets: build demo check lint kernels bare-root.  As root on Debian or Ubuntu it installs;
# otherwise it says what to install and fails.  Nothing is done when nothing is missing.
set -eu
sets='build, demo, check, lint, kernels, bare-root'

packages() {
	case $1 in
	build)
		echo gcc libc6-dev make pkg-config clang bpftool libbpf-dev libelf-dev libdw-dev \
			libiberty-dev libseccomp-dev libbz2-dev zlib1g-dev uthash-dev ;;
	demo) packages build; echo redis-server redis-tools ;;
	check)
		packages demo
		echo g++ lld llvm binutils perl elfutils dwz bats libcmocka-dev libjansson-dev valgrind gdb bpftrace \
			linux-perf jq python3-jsonschema mandoc bsdextrautils sqlite3 git procps \
			libclang-rt-14-dev chromium fonts-dejavu-core ;;
	lint) packages check; echo clang-format clang-tidy cppcheck shellcheck ;;
	kernels) packages build; echo qemu-system-x86 busybox-static ;;
	bare-root) echo debootstrap git ;;
	*) echo "setup.sh: no such set: $1 ($sets)" >&2; exit 64 ;;
	esac
}

[ $# -gt 0 ] || { echo "usage: setup.sh SET... (sets: $sets)" >&2; exit 64; }
wanted=$(for set in "$@"; do packages "$set"; done)

if ! command -v dpkg-query >/dev/null 2>&1; then
	# shellcheck disable=SC2086
	echo "setup: not a Debian system: please install the equivalents of:" $wanted >&2
	exit 0
fi

missing=
for p in $wanted; do
	case " $missing " in *" $p "*) continue ;; esac
	dpkg-query -W -f='${db:Status-Status}' "$p" 2>/dev/null | grep -qx installed ||
		missing="$missing $p"
done
[ -n "$missing" ] || exit 0

if [ "$(id -u)" != 0 ]; then
	echo "setup: missing packages; as root run:" \
		"apt-get update && apt-get install --no-install-recommends$missing" >&2
	exit 1
fi
echo "setup: installing$missing"
export DEBIAN_FRONTEND=noninteractive
# Services that come with a package (redis-server) are not to be started by an installation.
policy=/usr/sbin/policy-rc.d
if [ ! -e "$policy" ]; then
	printf '#!/bin/sh\nexit 101\n' > "$policy"
	chmod +x "$policy"
	trap 'rm -f "$policy"' EXIT
fi
log=$(mktemp)
# shellcheck disable=SC2086
if ! { apt-get update -qq && apt-get install -y -qq --no-install-recommends $missing; } \
	>"$log" 2>&1; then
	cat "$log" >&2
	rm -f "$log"
	echo "setup: could not install:$missing" >&2
	exit 1
fi
rm -f "$log"
