#!/usr/bin/env bats
# SPDX-License-Identifier: GPL-2.0-only
#
# proof.bats - what sites are in a binary and what they cost it, by gcc and clang; the header
# alone; stubs.  `tests/proof/run.sh` prints the whole table.

setup_file()
{
	cd "$BATS_TEST_DIRNAME/../.." || return 1
	export B=${BUILD:-build}
	make -s B="$B" "$B/libbscope.so.0" "$B/libbscope.a" >&2
}

setup()
{
	cd "$BATS_TEST_DIRNAME/../.." || return 1
	T=$BATS_TEST_TMPDIR
}

# A bare "! command" does not fail a test.
absent()
{
	if "$@"; then
		echo "should fail: $*"
		return 1
	fi
}

# proof COMPILER VARIANT: builds, checks, prints the rows of the table
proof()
{
	run tests/proof/run.sh -o "$T" "$@"
	echo "$output"
	echo "$output" | grep -E '^(gcc|clang) ' | sed 's/^/# /' >&3
	[ "$status" -eq 0 ]
	[ "$(echo "$output" | grep -cE '^(gcc|clang) C(\+\+)? ')" -eq 2 ]
}

@test "proof: gcc -O0" { proof gcc O0; }
@test "proof: gcc -O1" { proof gcc O1; }
@test "proof: gcc -O2" { proof gcc O2; }
@test "proof: gcc -O3" { proof gcc O3; }
@test "proof: gcc -Os" { proof gcc Os; }
@test "proof: gcc -O2 -fPIC -shared" { proof gcc pic; }
@test "proof: gcc -O2 -fno-pie" { proof gcc nopie; }
@test "proof: gcc -O2 -ffunction-sections --gc-sections" { proof gcc gc; }
@test "proof: gcc -O2 -ffunction-sections --gc-sections, gold" { proof gcc gc-gold; }
@test "proof: gcc -O2 -ffunction-sections --gc-sections, lld" { proof gcc gc-lld; }
@test "proof: gcc -O2 --icf=all, gold" { proof gcc icf-gold; }
@test "proof: gcc -O2 --icf=all, lld" { proof gcc icf-lld; }
@test "proof: gcc -O2 -flto" { proof gcc lto; }
@test "proof: gcc -O2 -flto -flto-partition=max" { proof gcc lto-max; }
@test "proof: gcc -O2 -flto, gold" { proof gcc lto-gold; }
@test "proof: gcc -O2 -static" { proof gcc static; }
@test "proof: gcc -O2, quotes in __FILE__" { proof gcc quotes; }
@test "proof: gcc -O2 -DBSCOPE_NO_RUNTIME" { proof gcc noruntime; }
@test "proof: gcc -O2 -DBSCOPE_ALIGNED" { proof gcc aligned; }
@test "proof: gcc -Os -ffunction-sections --gc-sections -DBSCOPE_ALIGNED" { proof gcc aligned-gc; }

@test "proof: clang -O0" { proof clang O0; }
@test "proof: clang -O1" { proof clang O1; }
@test "proof: clang -O2" { proof clang O2; }
@test "proof: clang -O3" { proof clang O3; }
@test "proof: clang -Os" { proof clang Os; }
@test "proof: clang -O2 -fPIC -shared" { proof clang pic; }
@test "proof: clang -O2 -fno-pie" { proof clang nopie; }
@test "proof: clang -O2 -ffunction-sections --gc-sections" { proof clang gc; }
@test "proof: clang -O2 -ffunction-sections --gc-sections, gold" { proof clang gc-gold; }
@test "proof: clang -O2 -ffunction-sections --gc-sections, lld" { proof clang gc-lld; }
@test "proof: clang -O2 --icf=all, gold" { proof clang icf-gold; }
@test "proof: clang -O2 --icf=all, lld" { proof clang icf-lld; }
@test "proof: clang -O2 -flto, lld" { proof clang lto-lld; }
@test "proof: clang -O2 -flto=thin, lld" { proof clang lto-thin; }
@test "proof: clang -O2 -static" { proof clang static; }
@test "proof: clang -O2, quotes in __FILE__" { proof clang quotes; }
@test "proof: clang -O2 -DBSCOPE_NO_RUNTIME" { proof clang noruntime; }
@test "proof: clang -O2 -DBSCOPE_ALIGNED" { proof clang aligned; }
@test "proof: clang -Os -ffunction-sections --gc-sections -DBSCOPE_ALIGNED" { proof clang aligned-gc; }

@test "proof: no variant was forgotten here" {
	for cc in gcc clang; do
		for variant in $(tests/proof/run.sh -l $cc); do
			grep -q "{ proof $cc $variant; }" "$BATS_TEST_FILENAME"
		done
	done
}

# Else a class of theirs would have no verdicts.
@test "proof: no site of the preload libraries leaves its 16 bytes, so none crosses a page" {
	make -s B="$B" runtime >&2
	n=0
	for lib in "$B"/libbscope-preload*.so; do
		for at in $(LC_ALL=C readelf -n "$lib" | awk '
			/Name:/ { kind = $2 }
			/Location:/ && kind !~ /^(batch|buffer|stack)$/ { sub(",", "", $2); print $2 }'); do
			[ $((at % 16)) -le 9 ] || { echo "$lib: $at"; false; }
			n=$((n + 1))
		done
	done
	echo "$n sites"
	[ "$n" -gt 200 ]
}

# The checker must see what is wrong, else its silence says nothing.
@test "proof: a damaged site, a missing note and a wrong line are found" {
	sources="tests/proof/sites.c tests/proof/second.c tests/proof/shared.h"
	tests/proof/run.sh -o "$T" gcc O2
	good=$T/gcc-O2-C.with
	off=$T/gcc-O2-C.without
	# shellcheck disable=SC2086
	tests/proof/check.pl --optimised "$good" "$off" $sources

	# one byte of a switch: the 6-byte nop becomes another 6-byte nop
	probe=$(objdump -d --no-show-raw-insn "$good" | awk '
		/^[0-9a-f]+ <reg_drop>:/ { f = 1 }
		f && $2 == "nop" { sub(":", "", $1); print $1; exit }')
	cp "$good" "$T/bad"
	printf '\001' | dd of="$T/bad" bs=1 seek=$((0x$probe + 6)) conv=notrunc status=none
	# shellcheck disable=SC2086
	run tests/proof/check.pl --optimised "$T/bad" "$off" $sources
	[ "$status" -eq 1 ]
	[[ $output == *"drop|conn|1|0|o|tests/proof/sites.c|"*"bytes 90 66 0f 1f 44 00 01"* ]]

	# a note that names another place
	cp "$good" "$T/bad"
	offset=$(readelf -SW "$good" | sed -n 's/.* \.note\.stapsdt *NOTE *[0-9a-f]* \([0-9a-f]*\) .*/\1/p')
	printf '\377' | dd of="$T/bad" bs=1 seek=$((0x$offset + 20)) conv=notrunc status=none
	# shellcheck disable=SC2086
	run tests/proof/check.pl --optimised "$T/bad" "$off" $sources
	[ "$status" -eq 1 ]
	[[ $output == *"no note"* && $output == *"a note without a record"* ]]

	# sources that promise something else
	sed 's/@ drop:conn:/@ drop:other:/' tests/proof/sites.c > "$T/sites.c"
	run tests/proof/check.pl --optimised "$good" "$off" "$T/sites.c"
	[ "$status" -eq 1 ]
	[[ $output == *"is in no source"* ]]

	# sites on both sides
	# shellcheck disable=SC2086
	run tests/proof/check.pl --optimised "$good" "$good" $sources
	[ "$status" -eq 1 ]
	[[ $output == *"has bscope_sites"* ]]

	# functions that are not the same
	# shellcheck disable=SC2086
	run tests/proof/check.pl --optimised "$good" "$T/gcc-O2-C++.without" $sources
	[ "$status" -eq 1 ]
	[[ $output == *"is a function only with sites"* ]]
}

@test "proof: sites that hinder inlining are found" {
	mkdir "$T/tree"
	cp -r include tests "$T/tree"
	ln -s "$PWD/$B" "$T/tree/build"
	cd "$T/tree"
	sed -i 's/__asm__ __volatile__ __inline__/__asm__ __volatile__/' include/bscope/site.h
	B=build run tests/proof/run.sh gcc O2
	echo "$output"
	[ "$status" -eq 1 ]
	[[ $output == *"passed#0 is a function only with sites"* ]]
}

# --- the header alone --------------------------------------------------------------------------

# alone COMPILER LANGUAGE STANDARD...
alone()
{
	cc=$1 language=$2 casts=-Wunused
	[ "$language" = c ] || casts=-Wold-style-cast
	shift 2
	for std; do
		for mode in -DX -DBSCOPE_DISABLE -DBSCOPE_NO_RUNTIME; do
			for flags in -O0 -O1 -O2 -O3 "-O2 -fPIC" "-O2 -flto"; do
				# shellcheck disable=SC2086
				$cc -x $language -std=$std $flags $mode -Wall -Wextra -pedantic \
					-Wconversion -Wsign-conversion -Wshadow -Wundef -Wcast-qual \
					-Wpointer-arith -Wwrite-strings $casts -Werror \
					-Iinclude -c tests/proof/vocabulary.c -o "$T/v.o"
			done
		done
	done
}

@test "header: gcc, C99 to C23" { alone gcc c c99 c11 c17 c2x gnu99 gnu11 gnu17 gnu2x; }
@test "header: gcc, C++11 to C++20" { alone gcc c++ c++11 c++14 c++17 c++20 gnu++11 gnu++20; }
@test "header: clang, C99 to C23" { alone clang c c99 c11 c17 c2x gnu99 gnu11 gnu17 gnu2x; }
@test "header: clang, C++11 to C++20" { alone clang c++ c++11 c++14 c++17 c++20 gnu++11 gnu++20; }

@test "header: each header stands alone" {
	for h in include/bscope/*.h; do
		for cc in "gcc -std=c99" "clang -std=c99" "gcc -x c++ -std=c++11" "clang -x c++ -std=c++11"; do
			echo "#include \"$PWD/$h\"" > "$T/h.c"
			$cc -Wall -Wextra -pedantic -Werror -Iinclude -c "$T/h.c" -o "$T/h.o"
		done
	done
}

@test "header: installed as a system header it warns of nothing at all" {
	gcc -std=c99 -isystem include -O2 -Wall -Wextra -pedantic -Wbad-function-cast -Wc++-compat \
		-Werror -c tests/proof/vocabulary.c -o "$T/v.o"
	g++ -std=c++11 -isystem include -O2 -Wall -Wextra -pedantic -Wuseless-cast -Weffc++ \
		-Wold-style-cast -Werror -x c++ -c tests/proof/vocabulary.c -o "$T/v.o"
}

@test "header: BSCOPE_DISABLE leaves nothing, and evaluates nothing" {
	cat > "$T/none.c" <<-'EOF'
	#include <bscope/bscope.h>
	int no_such_function(int *);
	int f(int *p)
	{
		BSCOPE_NEW(x, no_such_function(p));
		BSCOPE_USE(x, no_such_function(p), no_such_function(p + 1));
		BSCOPE_BORROW_SCOPED(x, no_such_function(p), 1);
		return BSCOPE_NEW_OF(x, *p);
	}
	EOF
	for cc in gcc clang; do
		for o in -O0 -O2; do
			$cc $o -DBSCOPE_DISABLE -Iinclude -c "$T/none.c" -o "$T/none.o"
			[ "$(nm "$T/none.o" | awk '{ print $NF }' | tr '\n' ' ')" = "f " ]
			run readelf -SW "$T/none.o"
			[[ $output != *bscope* && $output != *stapsdt* && $output != *.probes* ]]
		done
	done
}

@test "header: other architectures have the probe and the record, or nothing" {
	for target in aarch64 riscv64 powerpc64le s390x armv7; do
		clang --target=$target-linux-gnu -ffreestanding -O2 -fPIC -Wno-everything -Iinclude \
			-c tests/proof/vocabulary.c -o "$T/$target.o"
		llvm-readelf -SW "$T/$target.o" > "$T/sections"
		grep -q bscope_sites "$T/sections"
		grep -q note.stapsdt "$T/sections"
		absent grep text.bscope "$T/sections"
		llvm-nm -u "$T/$target.o" > "$T/undefined"
		absent grep bscope_record "$T/undefined"
	done
	for target in i386-linux-gnu x86_64-apple-macos; do
		clang --target=$target -ffreestanding -O2 -fPIC -Wno-everything -Iinclude \
			-c tests/proof/vocabulary.c -o "$T/none.o"
		absent grep -q stapsdt "$T/none.o"
	done
}

@test "header: -masm=intel is refused with a message" {
	for cc in gcc clang; do
		run $cc -masm=intel -O2 -Iinclude -c tests/proof/vocabulary.c -o "$T/v.o"
		[ "$status" -ne 0 ]
		[[ $output == *"bscope: sites need AT&T syntax"* ]]
	done
}

# --- stubs ---------------------------------------------------------------------------------------

# stub COMPILER FLAG...
stub()
{
	"$@" -std=gnu11 -Wall -Wextra -Werror -Iinclude tests/unit/test_site_stub.c -o "$T/stub" -lcmocka
	run "$T/stub"
	echo "$output"
	[ "$status" -eq 0 ]
}

@test "stub: gcc" {
	stub gcc -O0
	stub gcc -O2
	stub gcc -O2 -flto
	stub gcc -O3 -fomit-frame-pointer -fno-pie -no-pie
}

@test "stub: clang" {
	stub clang -O0
	stub clang -O2
	stub clang -O2 -flto -fuse-ld=lld
	stub clang -O3 -fomit-frame-pointer -fno-pie -no-pie
}

# lit COMPILER FLAG...: with the shared and with the static library
lit()
{
	for lib in "-L$B -lbscope" "$B/libbscope.a"; do
		# shellcheck disable=SC2086
		"$@" -std=gnu11 -Wall -Wextra -Werror -Iinclude tests/proof/lit.c -o "$T/lit" $lib
		LD_LIBRARY_PATH=$B run "$T/lit"
		echo "$output"
		[ "$status" -eq 0 ]
	done
}

@test "runtime: lit sites reach the library, results and registers stay" {
	lit gcc -O0
	lit gcc -O2
	lit clang -O2
	lit clang -O2 -fPIC -flto -fuse-ld=lld
}

@test "runtime: exports its entries, the control block and bscope_flush only, and uses no vector registers" {
	run sh -c "nm -D --defined-only $B/libbscope.so.0 | awk '\$2 != \"A\" { print \$3 }' | sort"
	[ "$output" = "bscope_control@@BSCOPE_0.1
bscope_flush@@BSCOPE_0.1
bscope_record2@@BSCOPE_0.1
bscope_record3@@BSCOPE_0.1
bscope_record@@BSCOPE_0.1" ]
	objdump -d --no-show-raw-insn "$B/libbscope.so.0" > "$T/code"
	grep -q '<bscope_record3' "$T/code"
	absent grep -E '%([xyz]mm|st)' "$T/code"
	readelf -dW "$B/libbscope.so.0" | grep -q 'SONAME.*libbscope.so.0'
}

@test "manual: bscope.3 is clean" {
	mandoc -T lint -W warning include/bscope/bscope.3
}
