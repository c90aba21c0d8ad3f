#!/usr/bin/env bats
# SPDX-License-Identifier: GPL-2.0-only
# install.bats - what a packager does: make, make install, make uninstall.

load common

# A copy of the build, as `make` leaves it, so that the one under test stays as it is.
setup() {
	unset MAKEFLAGS MAKELEVEL MFLAGS
	B=$BATS_TEST_TMPDIR/build
	PREFIX=$BATS_TEST_TMPDIR/root
	mkdir "$B"
	cp -a "$BUILD"/bpf "$BUILD"/runtime "$BUILD"/tools "$BUILD"/lib* "$BUILD"/bscope* "$B"/
	cd "$ROOT"
}

installation() { make -s "B=$B" "$1" "prefix=$PREFIX"; }

@test "make, then make install to another prefix: pkg-config and the library" {
	installation install
	export PKG_CONFIG_PATH=$PREFIX/lib/pkgconfig
	cat >"$BATS_TEST_TMPDIR/app.c" <<-'END'
		#include <bscope/bscope.h>
		int main(void)
		{
			int id = 0;
			BSCOPE_NEW(thing, &id);
			BSCOPE_DROP(thing, &id);
			return id;
		}
	END
	cd "$BATS_TEST_TMPDIR"
	# shellcheck disable=SC2046
	${CC:-cc} app.c $(pkg-config --cflags --libs bscope) -o app
	readelf -d app | grep 'NEEDED.*libbscope\.so\.0'
	LD_LIBRARY_PATH=$PREFIX/lib ./app
	# shellcheck disable=SC2046
	${CC:-cc} app.c $(pkg-config --cflags --libs bscope) -static -o app-static
	./app-static
}

@test "the installed tool finds the installed preload library" {
	need_bpf
	installation install
	"$PREFIX/bin/bscope-trace" -q --preload --format=json -o "$BATS_TEST_TMPDIR/report.json" -- \
		/bin/ls / >/dev/null
	json '.events.received > 10'
}

@test "bscope-flame and its manual" {
	installation install
	printf 'main;work 3\n' | "$PREFIX/bin/bscope-flame" - | grep -q '>work<'
	[ "$("$PREFIX/bin/bscope-flame" --version)" = "$("$PREFIX/bin/bscope-trace" --version | sed s/trace/flame/)" ]
	[ "$(stat -c %a "$PREFIX/bin/bscope-flame")" = 755 ]
	[ "$(stat -c %a "$PREFIX/share/man/man1/bscope-flame.1")" = 644 ]
}

@test "make uninstall leaves no file" {
	installation install
	[ -n "$(find "$PREFIX" ! -type d)" ]
	installation uninstall
	[ -z "$(find "$PREFIX" ! -type d)" ]
	[ ! -e "$PREFIX/include/bscope" ]
	[ ! -e "$PREFIX/share/doc/bscope" ]
}
