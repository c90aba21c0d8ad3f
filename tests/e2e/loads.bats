#!/usr/bin/env bats
# SPDX-License-Identifier: GPL-2.0-only
# loads.bats - what a library did before anybody noticed it is held against nobody.

load common

setup() {
	cd "$BATS_TEST_TMPDIR"
	cat >plug.c <<-'END'
		#include <bscope/bscope.h>
		void plug_new(void *p);
		void plug_new(void *p) { BSCOPE_NEW(buf, p); }
	END
	# One letter after the other: new, drop, plugin's new; open and close it; unlink it; open a
	# library without sites; wait for a line; begin anew.
	cat >host.c <<-'END'
		#include <bscope/bscope.h>
		#include <dlfcn.h>
		#include <stdio.h>
		#include <unistd.h>
		static char a[64];
		int main(int argc, char **argv)
		{
			void (*plug_new)(void *) = NULL;
			void *lib = NULL;
			for (const char *s = argv[1]; argc > 1 && *s; s++) {
				usleep(1000);
				switch (*s) {
				case 'n': BSCOPE_NEW(buf, a); break;
				case 'd': BSCOPE_DROP(buf, a); break;
				case 'p': plug_new(a); break;
				case 'c': dlclose(lib); break;
				case 'u': unlink("plug.so"); break;
				case 'm': lib = dlopen("libm.so.6", RTLD_NOW); break;
				case 'w': puts("waits"); fflush(stdout); getchar(); break;
				case 'x': execl("/proc/self/exe", argv[0], s + 1, (char *)NULL); return 3;
				case 'o':
					lib = dlopen("./plug.so", RTLD_NOW);
					plug_new = (void (*)(void *))dlsym(lib, "plug_new");
					break;
				}
			}
			return 0;
		}
	END
	link=(-L"$BUILD" -lbscope -Wl,-rpath,"$BUILD" -ldl)
	${CC:-cc} -O1 -fPIC -shared -I"$ROOT/include" -o plug.so plug.c "${link[@]}"
	${CC:-cc} -O1 -I"$ROOT/include" -o host host.c "${link[@]}"
}

# begun WHAT ARG...: as a COMMAND.
begun() {
	local what=$1
	shift
	timeout 60 "$TRACE" -q --format=json -o report.json "$@" -- ./host "$what"
}

# attached WHAT ARG...: to the program that waits, until it ends.
attached() {
	local what=$1 i
	shift
	rm -f in said
	mkfifo in said
	start sh -c 'exec ./host "$1" <in' sh "$what"
	exec 4>in
	for ((i = 0; i < 1000; i++)); do
		! grep -q waits "$OUT" || break
		sleep 0.01
	done
	timeout 60 "$TRACE" -p "$PID" --format=json -o report.json "$@" 2>said 3>&- 4>&- &
	exec 5<said
	while read -r line <&5; do
		[[ $line != *attached* ]] || break
	done
	echo >&4
	exec 4>&-
	cat <&5 >/dev/null
	exec 5<&-
	wait "$!"
	wait "$PID"
}

# unseen_or_seen N: of N marks the plugin's may have come too early to be seen; all is well either way.
unseen_or_seen() {
	json "(.events | .lost == 0 and .written == .received) and .verdicts == []
		and .events.received + .objects.undecided == $1"
}

@test "what a plugin has made before it is lit is no double drop, though the program ends at once" {
	need_bpf
	for m in auto trap; do
		begun ndopd -m "$m"
		unseen_or_seen 4
		json 'any(.notes[]; test("plug.so was noticed"))'
	done
}

@test "nor where it is attached to" {
	need_bpf
	for m in jump trap; do
		attached wndopd -m "$m"
		unseen_or_seen 4
		json 'any(.notes[]; test("plug.so was noticed"))'
	done
}

@test "nor of a known plugin that comes back dark" {
	need_bpf
	attached owndcopd -m jump
	unseen_or_seen 4
	json '.mode == "jump"'
	# Traps are in its file: all of its marks are seen.
	attached owndcopd -m trap
	unseen_or_seen 4
	json '.events.received == 4'
	attached owndcod -m trap
	json '[.verdicts[].verdict] == ["double-drop"]'
}

# After the first half of a second processes are looked at less often.
@test "nor of one that had gone when it was looked at, and comes back before its traps are lit" {
	need_bpf
	local dots
	printf -v dots '%560s' ''
	dots=${dots// /.}
	for k in 10 20 30 40 50; do
		for m in auto trap; do
			begun "${dots}oc${dots:0:k}ndopd" -m "$m"
			unseen_or_seen 4
		done
	done
}

@test "nor if nobody can read its file any more" {
	need_bpf
	begun ndopcud -m trap
	unseen_or_seen 4
	json '.events.received == 4 or any(.notes[]; test("had gone before anybody could look at it|plug.so was noticed"))'
}

@test "nor of a program that another one becomes" {
	need_bpf
	begun xndopd -m trap
	unseen_or_seen 4
}

@test "nor of a program that becomes another one before anybody looks" {
	need_bpf
	for i in 1 2 3; do
		attached wndopdx -m jump
		json '.verdicts == [] and .objects.undecided == 1'
		attached owndcopdx -m jump
		json '.verdicts == [] and .objects.undecided == 1'
	done
}

@test "where the kernel does not say what is loaded there are no verdicts" {
	need_bpf
	cat >refused.c <<-'END'
		#include <errno.h>
		#include <seccomp.h>
		#include <unistd.h>
		int main(int argc, char **argv)
		{
			scmp_filter_ctx c = seccomp_init(SCMP_ACT_ALLOW);
			if (argc < 2 || !c || seccomp_rule_add(c, SCMP_ACT_ERRNO(EACCES), SCMP_SYS(perf_event_open), 0) ||
				seccomp_load(c))
				return 3;
			execv(argv[1], argv + 1);
			return 3;
		}
	END
	${CC:-cc} -O1 -o refused refused.c -lseccomp
	for what in ndopd ndd; do
		timeout 60 ./refused "$TRACE" -q -m trap --format=json -o report.json -- ./host "$what"
		json '.verdicts == [] and any(.notes[]; test("^no verdicts are given: .*perf_event_open: Permission denied"))'
	done
}

@test "a COMMAND's own libraries are lit before their constructors run" {
	need_bpf
	cat >lib.c <<-'END'
		#include <bscope/bscope.h>
		void library(void);
		static int early;
		__attribute__((constructor)) static void begin(void) { BSCOPE_NEW(early, &early); }
		void library(void) { BSCOPE_DROP(early, &early); }
	END
	cat >main.c <<-'END'
		#include <bscope/bscope.h>
		void library(void);
		static int conn;
		int main(void)
		{
			BSCOPE_NEW(conn, &conn);
			BSCOPE_NEW(fd, 7);
			BSCOPE_MOVE(fd, 7, &conn);
			BSCOPE_DROP(conn, &conn);
			library();
			return 0;
		}
	END
	mkdir "a folder (0x1)"
	${CC:-cc} -O1 -fPIC -shared -I"$ROOT/include" -o "a folder (0x1)/libearly.so" lib.c "${link[@]}"
	${CC:-cc} -O1 -I"$ROOT/include" -o main main.c "a folder (0x1)/libearly.so" "${link[@]}"
	printf '#!%s/main\n' "$PWD" >script
	chmod +x script
	for m in auto trap; do
		for program in ./main ./script; do
			timeout 60 "$TRACE" -q -m "$m" --format=json -o report.json -- "$program"
			# All of it was seen, so that the dropped owner can be proven to be the only one.
			json '.events.received == 6 and .notes == [] and [.verdicts[].verdict] == ["leak"]'
		done
	done
	# By the environment that it will have.
	cp "a folder (0x1)/libearly.so" libearly.so
	LD_PRELOAD="$PWD/libearly.so" timeout 60 "$TRACE" -q --format=json -o report.json -- true
	json '[.sites[] | select(.class == "early") | .hits] | add == 1'
}

@test "a library without sites explains nothing" {
	need_bpf
	for m in auto trap; do
		begun ndmd -m "$m"
		json '[.verdicts[].verdict] == ["double-drop"] and .objects.undecided == 0'
	done
	for m in jump trap; do
		attached wndmd -m "$m"
		json '[.verdicts[].verdict] == ["double-drop"] and .objects.undecided == 0'
	done
}

# One is mapped where another one was, with the same bytes, between a look and the writing.
@test "the marks of libraries that are loaded and unloaded all the time are counted by jumps" {
	need_bpf
	cat >again.c <<-'END'
		#include <bscope/bscope.h>
		#include <dlfcn.h>
		#include <time.h>
		static char a[64];
		static double now(void)
		{
			struct timespec t;
			clock_gettime(CLOCK_MONOTONIC, &t);
			return (double)t.tv_sec + (double)t.tv_nsec / 1e9;
		}
		int main(int argc, char **argv)
		{
			for (double until = now() + 2; argc > 1 && now() < until;) {
				for (int i = 1; i < argc; i++) {
					void *lib = dlopen(argv[i], RTLD_NOW);
					void (*plug_new)(void *) = (void (*)(void *))dlsym(lib, "plug_new");
					for (double end = now() + 0.003; now() < end;) {
						plug_new(a);
						for (volatile int k = 0; k < 3000; k++)
							;
						BSCOPE_DROP(buf, a);
					}
					dlclose(lib);
				}
			}
			return 0;
		}
	END
	${CC:-cc} -O1 -I"$ROOT/include" -o again again.c "${link[@]}"
	cp plug.so plug2.so
	cp plug.so plug3.so
	timeout 60 "$TRACE" -q -m jump --format=json -o report.json -- ./again ./plug.so ./plug2.so ./plug3.so
	json '(.events | .written == .received + .lost and .lost_by_reason.unaccounted == 0) and .verdicts == []
		and all(.notes[]; test("could not be decoded") | not)'
}
