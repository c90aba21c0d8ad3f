#!/bin/sh
# SPDX-License-Identifier: GPL-2.0-only
# run.sh - bscope-trace on other kernels: Debian's own, under emulation.
#
# usage: run.sh [SUITE:SERIES...]     e.g. bookworm-security:6.1
#
# Boots each kernel with a memory file system that holds busybox, the static bscope-trace, the
# static programs counted and tangled, and test.sh, and reads from the serial line how the tests
# went.  Nothing is installed: kernel packages are fetched from this machine's mirrors, but with
# package lists of their own, and only the kernel's image is taken out.  The cloud flavour needs no
# modules.
#
# Always qemu's own emulation with one CPU, even where /dev/kvm exists: Debian's kernels hang under
# nested virtualisation, and with two CPUs the emulation of code that changes itself is not exact.
#
# A kernel that the archive no longer has is skipped and counted; REQUIRE of them (default: 4) must
# have passed.  BUILD: build folder (default: build); CACHE: kernels and logs (default:
# BUILD/kernels); BOOT_SECONDS: how long a machine may take (default: 900).
set -eu
export LC_ALL=C

here=$(cd "$(dirname "$0")" && pwd)
build=${BUILD:-build}
cache=${CACHE:-$build/kernels}
require=${REQUIRE:-4}
boot_seconds=${BOOT_SECONDS:-900}
arch=amd64

[ "$(uname -m)" = x86_64 ] || { echo "kernels: this test knows x86-64 alone" >&2; exit 1; }
for file in "$build/bscope-trace.static" "$build/tests/kernels/counted" "$build/tests/kernels/tangled"; do
	[ -x "$file" ] || { echo "kernels: no $file: run make check-kernels" >&2; exit 1; }
done
# One for each way of kernels with uprobes.  5.10: no attach cookies.  6.1: perf events.  From 6.6:
# uprobe_multi.  From 6.18: optimised uprobes.
[ $# -gt 0 ] || set -- bullseye-security:5.10 bookworm-security:6.1 bookworm-security:6.12 \
	trixie-backports:6.17 trixie-backports:6.18 trixie-backports:7
mkdir -p "$cache"
cache=$(cd "$cache" && pwd)
work=$(mktemp -d)
qemu=
cleanup() {
	[ -z "$qemu" ] || kill "$qemu" 2>/dev/null || true
	rm -rf "$work"
}
trap cleanup EXIT
trap 'exit 130' INT
trap 'exit 143' TERM

# --- the archive ---------------------------------------------------------------------------------

# The mirror of SUITE, by this machine's apt: that of its own suites, or of its security suites.
mirror() {
	# shellcheck disable=SC2016
	apt-get indextargets --format '$(CODENAME) $(REPO_URI)' 'Created-By: Packages' |
		awk -v suite="$1" '
			$1 ~ /-security$/ { if (!security) security = $2; next }
			$1 !~ /-/ && !main { main = $2 }
			END { print suite ~ /-security$/ && security ? security : main }'
}

# suite_apt SUITE COMMAND...: an apt command that sees SUITE alone; the machine's lists are left be.
suite_apt() {
	state=$cache/apt-$1
	conf=$state/apt.conf
	if [ ! -s "$conf" ]; then
		mkdir -p "$state/lists/partial" "$state/cache/archives/partial" "$state/none"
		echo "deb [arch=$arch signed-by=/usr/share/keyrings/debian-archive-keyring.gpg]" \
			"$(mirror "$1") $1 main" >"$state/sources.list"
		cat >"$conf" <<-END
			Dir::Etc::sourcelist "$state/sources.list";
			Dir::Etc::sourceparts "$state/none";
			Dir::Etc::preferences "$state/none/preferences";
			Dir::Etc::preferencesparts "$state/none";
			Dir::State::lists "$state/lists";
			Dir::State::status "/dev/null";
			Dir::Cache "$state/cache";
			APT::Architecture "$arch";
			APT::Architectures { "$arch"; };
			APT::Sandbox::User "";
			APT::Update::Post-Invoke-Success "";
			Acquire::Languages "none";
			Acquire::http::Timeout "30";
		END
	fi
	shift
	APT_CONFIG=$conf "$@"
}

# image SUITE SERIES: prints the release of the newest kernel of the series; its image is
# vmlinuz-RELEASE in the cache then.  The image's package is linux-image-RELEASE, from 6.19 on
# linux-binary-RELEASE.  An empty series is any.
image() {
	if ! grep -q . "$cache/apt-$1/updated" 2>/dev/null; then
		suite_apt "$1" apt-get update -qq >"$work/apt.log" 2>&1 || return 1
		date >"$cache/apt-$1/updated"
	fi
	pattern=$(echo "$2" | sed 's/\./\\./g')
	[ -z "$pattern" ] || pattern="${pattern}[.-]"
	suite_apt "$1" apt-cache dumpavail |
		sed -nE "s/^Package: linux-(binary|image)-(${pattern}[0-9].*-cloud-$arch)\$/\2 linux-\1-\2/p" |
		sort -k1,1Vr -k2,2 >"$work/images"
	read -r release package <"$work/images" || return 1
	if [ ! -s "$cache/vmlinuz-$release" ]; then
		mkdir "$work/deb"
		(cd "$work/deb" && suite_apt "$suite" apt-get download -qq "$package") >"$work/apt.log" 2>&1 ||
			{ rm -rf "$work/deb"; return 1; }
		dpkg-deb --fsys-tarfile "$work"/deb/*.deb |
			tar -xO --wildcards '*/vmlinuz*' >"$work/vmlinuz" 2>/dev/null || true
		rm -rf "$work/deb"
		[ -s "$work/vmlinuz" ] || return 1
		mv "$work/vmlinuz" "$cache/vmlinuz-$release"
	fi
	echo "$release"
}

# --- the machine ---------------------------------------------------------------------------------

memory_disk() {
	root=$work/root
	for dir in bin dev proc sys tmp payload; do mkdir -p "$root/$dir"; done
	cp "$(command -v busybox)" "$root/bin/busybox"
	cp "$here/init.sh" "$root/init"
	cp "$here/test.sh" "$build/tests/kernels/counted" "$build/tests/kernels/tangled" "$root/payload/"
	cp "$build/bscope-trace.static" "$root/payload/bscope-trace"
	chmod 755 "$root/init"
	(cd "$root" && find . | busybox cpio -o -H newc -R 0:0 2>/dev/null) | gzip -1 >"$work/disk"
}

# boot RELEASE LOG
boot() {
	timeout -k 5 "$boot_seconds" qemu-system-x86_64 -M q35 -accel tcg -cpu max -smp 1 -m 512 \
		-nodefaults -no-user-config -no-reboot -display none -serial stdio \
		-kernel "$cache/vmlinuz-$1" -initrd "$work/disk" \
		-append 'console=ttyS0 quiet panic=-1 mitigations=off no_timer_check' </dev/null >"$2" 2>&1 &
	qemu=$!
	wait "$qemu" || true
	qemu=
	# The serial line ends lines with \r\n.
	tr -d '\r' <"$2" >"$2.new" && mv "$2.new" "$2"
}

memory_disk
passed=0 failed=0 skipped=0 done_with=' '
for spec; do
	suite=${spec%%:*}
	if ! release=$(image "$suite" "${spec#*:}"); then
		echo "SKIP $spec (not in the archive)"
		skipped=$((skipped + 1))
		continue
	fi
	case $done_with in *" $release "*) continue ;; esac
	done_with="$done_with$release "
	log=$cache/log-$release
	start=$(date +%s)
	# Again only if the machine never came to its tests: emulation crashes now and then, and where
	# the host is busy the kernel does not know how fast its clock is (init.sh).
	for _ in 1 2 3 4; do
		boot "$release" "$log"
		! grep -q '^guest: Linux ' "$log" || break
	done
	took="$(grep -c '^ok ' "$log" || true) tests, $(($(date +%s) - start)) s"
	if grep -q '^guest: exit 0$' "$log" && grep -q '^ok ' "$log"; then
		echo "PASS $release ($took)"
		passed=$((passed + 1))
	else
		echo "FAIL $release ($took; log: $log)"
		grep -E '^(not ok|#|guest:)' "$log" | cut -c1-400 | head -n 40 || tail -n 30 "$log"
		failed=$((failed + 1))
	fi
done
echo "kernels: $passed passed, $failed failed, $skipped skipped (at least $require must pass)"
[ "$failed" = 0 ] && [ "$passed" -ge "$require" ]
