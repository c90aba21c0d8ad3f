#!/bin/sh
# SPDX-License-Identifier: GPL-2.0-only
#
# run.sh - the probe proof: builds the sources here with and without sites and has check.pl look
# at what came out.
#
#	run.sh [-v] [-o DIR]              the whole matrix, as a table
#	run.sh [-v] [-o DIR] gcc|clang VARIANT...    only these
#	run.sh -l gcc|clang               the variants of a compiler
#
# Stands on a built libbscope (make runtime), in $B (default: build).  Run from the top of the
# source tree.

# Flags and file lists are lists: they are meant to be split.
# shellcheck disable=SC2086,SC2046

set -u
B=${B:-build}
verbose=
out=
list=

while getopts vlo: o; do
	case $o in
	v) verbose=--verbose ;;
	l) list=1 ;;
	o) out=$OPTARG ;;
	*) exit 64 ;;
	esac
done
shift $((OPTIND - 1))

common='O0 O1 O2 O3 Os pic nopie gc gc-gold gc-lld icf-gold icf-lld quotes noruntime aligned aligned-gc
	static'
variants()
{
	case $1 in
	gcc) echo "$common lto lto-max lto-gold" ;;
	clang) echo "$common lto-lld lto-thin" ;;
	*) echo "run.sh: no compiler $1" >&2; exit 64 ;;
	esac
}

if [ -n "$list" ]; then
	variants "$1"
	exit
fi

if [ -z "$out" ]; then
	out=$(mktemp -d) || exit 1
	trap 'rm -rf "$out"' EXIT
fi

weird='dir "q"/%s %%d {a|b} \ #$'"'"'.c'
# The same as a C string literal.
weird_c='"dir \"q\"/%s %%d {a|b} \\ #$'"'"'.c"'

# flags of a variant: $cflags, $ldflags, $check
flags()
{
	cflags=-O2 ldflags='' check=--optimised lib="-L$B -lbscope"
	case $1 in
	O0) cflags=-O0 check= ;;
	O1 | O3 | Os) cflags=-$1 ;;
	O2) ;;
	pic) cflags='-O2 -fPIC' ldflags=-shared ;;
	nopie) cflags='-O2 -fno-pie' ldflags=-no-pie ;;
	static) ldflags=-static check='--optimised --static' lib=$B/libbscope.a ;;
	gc) cflags='-O2 -ffunction-sections -fdata-sections' ldflags=-Wl,--gc-sections ;;
	gc-*) cflags='-O2 -ffunction-sections -fdata-sections'
		ldflags="-Wl,--gc-sections -fuse-ld=${1#gc-}" ;;
	icf-*) cflags='-O2 -ffunction-sections' check='--optimised --icf'
		ldflags="-Wl,--icf=all -fuse-ld=${1#icf-}"
		# what is folded is to be folded by the linker
		[ "$cc" = gcc ] && cflags="$cflags -fno-ipa-icf" ;;
	quotes) ;;
	noruntime) cflags='-O2 -DBSCOPE_NO_RUNTIME' check='--optimised --no-runtime' lib= ;;
	aligned) cflags='-O2 -DBSCOPE_ALIGNED' check='--optimised --aligned' ;;
	aligned-gc) cflags='-Os -ffunction-sections -DBSCOPE_ALIGNED' check='--optimised --aligned'
		ldflags=-Wl,--gc-sections ;;
	lto) cflags='-O2 -flto=2' ;;
	lto-max) cflags='-O2 -flto=2 -flto-partition=max' ;;
	lto-gold | lto-lld) cflags='-O2 -flto' ldflags=-fuse-ld=${1#lto-} ;;
	lto-thin) cflags='-O2 -flto=thin' ldflags=-fuse-ld=lld ;;
	*) echo "run.sh: no variant $1" >&2; exit 64 ;;
	esac
}

# build OUTPUT SOURCE... with $driver, $cflags, $ldflags, $define
build()
{
	o=$1
	shift
	n=0
	objects=
	for file; do
		n=$((n + 1))
		case $driver in
		*++) language='-x c++ -std=c++11' ;;
		*) language='-x c -std=gnu11' ;;
		esac
		set -- $language $cflags $define -g0 -Wall -Wextra -Werror -Iinclude -c "$file"
		if [ "$variant" = quotes ]; then
			set -- "$@" -Wno-builtin-macro-redefined "-D__FILE__=$weird_c"
		fi
		$driver "$@" -o "$o.$n.o" || return 1
		objects="$objects $o.$n.o"
	done
	$driver $cflags $ldflags $objects "$out/$cc-main.o" -o "$o" $lib
}

# one LANGUAGE: builds twice and checks
one()
{
	case $1 in
	C) driver=$cc source=tests/proof/sites.c ;;
	C++) source=tests/proof/sites.cc
		case $cc in
		gcc) driver=g++ ;;
		clang) driver=clang++ ;;
		esac ;;
	esac
	base=$out/$cc-$variant-$1
	define=
	build "$base.with" $source tests/proof/second.c || return 1
	define=-DBSCOPE_DISABLE
	build "$base.without" $source tests/proof/second.c || return 1
	set -- "--label=$cc $1 $variant" $check $verbose "$base.with" "$base.without"
	if [ "$variant" = quotes ]; then
		set -- "--file=$weird" "$@"
	fi
	tests/proof/check.pl "$@" $source tests/proof/second.c tests/proof/shared.h || return 1
	# and they run
	[ "$ldflags" = -shared ] || LD_LIBRARY_PATH=$B "$base.with" || return 1
}

status=0
run()
{
	cc=$1
	shift
	$cc -O1 -fPIC -DBSCOPE_DISABLE -Iinclude -c tests/proof/main.c -o "$out/$cc-main.o" || exit 1
	for variant; do
		flags "$variant"
		one C || status=1
		one C++ || status=1
	done
}

printf '%-28s %6s %6s %10s %6s %10s %7s %13s\n' build sites places functions exact reordered \
	moves instructions
if [ $# -gt 1 ]; then
	run "$@"
else
	for compiler in ${1:-gcc clang}; do
		run $compiler $(variants $compiler)
	done
fi
exit $status
