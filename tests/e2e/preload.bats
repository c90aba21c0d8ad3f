#!/usr/bin/env bats
# SPDX-License-Identifier: GPL-2.0-only
# preload.bats - the preload library: nothing changes for the program, and every mark is right.

load common
bats_require_minimum_version 1.5.0

LIB=$BUILD/libbscope-preload.so
P=$PROGRAMS/preload

setup() {
	[ -r "$LIB" ]
	cd "$BATS_TEST_TMPDIR" || return
}

# same COMMAND...: it succeeds, and output and errors are those of a plain run.  A library that
# cannot be loaded would show as an error message.
same() {
	local plain=0 loaded=0
	timeout 120 "$@" >plain.out 2>plain.err 3>&- || plain=$?
	LD_PRELOAD=$LIB timeout 120 "$@" >loaded.out 2>loaded.err 3>&- || loaded=$?
	if [ "$plain$loaded" != 00 ] || [ ! -s plain.out ]; then
		echo "$*: status $plain, loaded $loaded"
		cat plain.err loaded.err
		return 1
	fi
	diff plain.out loaded.out && diff plain.err loaded.err
}

# traced NAME COMMAND...: NAME.json is its report, NAME.out what it said.
traced() {
	local name=$1
	shift
	timeout 120 "$TRACE" -q --preload --format=json -o "$name.json" -- "$@" >"$name.out" 3>&-
	json '.events.lost == 0 and .events.written == .events.received' "$name.json"
}

# exact COMMAND...: between no rounds and 300, marks by kind differ by what the program counts.
exact() {
	traced none "$1" 0 "${@:2}"
	traced some "$1" 300 "${@:2}"
	jq -n -e --slurpfile none none.json --slurpfile some some.json --slurpfile own some.out '
		$none[0].events.by_kind as $a | $some[0].events.by_kind as $b | $own[0] as $t
		| ["new", "drop", "resize_begin", "resize_end"]
		| map({kind: ., marks: (($b[.] // 0) - ($a[.] // 0)), own: $t[.]})
		| if all(.[]; .marks == .own) and $t.new > 500 then true else (tostring | stderr | false) end'
	# What the program leaves is what the report finds alive at its exit.
	jq -n -e --slurpfile none none.json --slurpfile some some.json --slurpfile own some.out '
		def sum(f): [.live_at_exit[] | f] | add // 0;
		$own[0] as $t | {
			blocks: (($some[0] | sum(.count)) - ($none[0] | sum(.count))),
			bytes: (($some[0] | sum(.bytes)) - ($none[0] | sum(.bytes))) }
		| if . == {blocks: $t.left, bytes: $t.left_bytes} and $t.left > 100 then true
		  else ({found: ., own: $t} | tostring | stderr | false) end'
	json '[.live_at_exit[].class] | unique == ["malloc"]' some.json
}

# as_valgrind COMMAND...: blocks and bytes alive at exit are those that valgrind finds.
# Valgrind is given the library too (it puts its own functions in the place of ours), because
# a library with a thread-local variable makes the C library's vector of each thread 16 bytes
# larger.  The plain program has the same blocks.
as_valgrind() {
	local flags='--run-libc-freeres=no --run-cxx-freeres=no' loaded plain found
	traced report "$@"
	# valgrind 3.19 stops at debug information as clang 14 writes it.
	strip -g -o program "$1"
	strip -g -o lib.so "$LIB"
	shift
	# shellcheck disable=SC2086
	LD_PRELOAD=$PWD/lib.so valgrind $flags --log-file=loaded.log ./program "$@" >program.out 3>&-
	# shellcheck disable=SC2086
	valgrind $flags --log-file=plain.log ./program "$@" >program.out 3>&-
	loaded=$(sed -n 's/,//g; s/.*in use at exit: \([0-9]*\) bytes in \([0-9]*\) blocks/\2 \1/p' loaded.log)
	plain=$(sed -n 's/.*in use at exit: .* in \([0-9,]*\) blocks/\1/p' plain.log | tr -d ,)
	found=$(jq -r '"\([.live_at_exit[].count] | add) \([.live_at_exit[].bytes] | add)"' report.json)
	echo "found: $found  valgrind: $loaded (blocks, bytes)  plain: $plain (blocks)"
	[ -n "$loaded" ] && [ "$found" = "$loaded" ] && [ "${found% *}" = "$plain" ]
}

@test "only the allocation functions are exported, without versions" {
	run -0 sh -c "nm -D --defined-only '$LIB' | cut -d' ' -f3 | LC_ALL=C sort | tr '\n' ' '"
	[ "$output" = "aligned_alloc calloc free free_aligned_sized free_sized malloc malloc_usable_size memalign posix_memalign pvalloc realloc reallocarray valloc " ]
	# versioned references find them
	run -0 env LD_PRELOAD="$LIB" LD_DEBUG=bindings LD_DEBUG_OUTPUT=debug LD_BIND_NOW=1 "$P/strings" 10
	grep -q "strings .* to $LIB .*\`reallocarray' \[GLIBC_" debug.*
	grep -q "libc.so.6 .* to $LIB .*\`malloc' \[GLIBC_" debug.*
}

@test "results and errno of every function in the odd cases" {
	same "$P/failures"
	grep -q 'malloc(max) .*NULL errno 12' loaded.out
	same "$P/failures-jemalloc"
}

@test "blocks from every stage of start-up" {
	same "$P/early"
	LD_BIND_NOW=1 same "$P/early"
	[ "$(grep -c 'kept 100' loaded.out)" = 2 ]
}

@test "forks from threads that allocate" {
	same "$P/forks"
	same "$P/forks-jemalloc"
}

@test "libraries that come and go, RTLD_DEEPBIND" {
	same "$P/plugins" "$P/plugin.so"
}

@test "a program with its own allocator, a static program" {
	same "$P/own_malloc"
	same "$P/static" 1000
}

@test "an allocator that the program brings keeps its blocks" {
	same "$P/family-jemalloc" 500 nopvalloc
	same "$P/family-nested" 500
}

@test "marks by kind and live at exit are the program's own: C, four threads, every function" {
	need_bpf
	exact "$P/family"
}

@test "marks by kind and live at exit are the program's own: strings of the C library" {
	need_bpf
	exact "$P/strings"
}

@test "marks by kind and live at exit are the program's own: C++" {
	need_bpf
	exact "$P/containers"
}

@test "marks by kind and live at exit are the program's own: jemalloc" {
	need_bpf
	exact "$P/family-jemalloc" nopvalloc
}

@test "an allocator whose functions call each other makes no second mark" {
	need_bpf
	exact "$P/family-nested"
}

@test "a jump out of the allocator does not blind the thread" {
	need_bpf
	exact "$P/jumps-nested"
}

@test "nothing is made or dropped where the program's own allocator serves" {
	need_bpf
	traced own "$P/own_malloc"
	# Its reallocarray is the C library's, so ours: a resize of a block that nobody made.
	json '.events.by_kind | (.new == 0 and .drop == 0 and .resize_begin == 1 and .resize_end == 1)' own.json
	json '.objects | (.created == 0 and .live == 0)' own.json
	diff own.out <("$P/own_malloc")
}

@test "live allocations at exit agree with valgrind: C, threads" {
	need_bpf
	as_valgrind "$P/family" 300 nopvalloc
}

@test "live allocations at exit agree with valgrind: C, strings" {
	need_bpf
	as_valgrind "$P/strings" 300
}

@test "live allocations at exit agree with valgrind: C++" {
	need_bpf
	as_valgrind "$P/containers" 100
}

@test "bpftrace counts the same marks and blocks" {
	need_trace_events
	need_bpf
	# A copy of its own, so that no other process is counted.
	cp "$LIB" lib.so
	local lib=$PWD/lib.so bt
	BPFTRACE_MAP_KEYS_MAX=100000 bpftrace -q -f json -o marks.json -e "
		usdt:$lib:bscope:resize_end /comm == \"strings\"/ { printf(\"attached\"); }
		usdt:$lib:bscope:new /comm == \"family\"/ { @new = count(); @size[arg0] = arg1 + 1; }
		usdt:$lib:bscope:drop /comm == \"family\"/ { @drop = count(); delete(@size[arg0]); }
		usdt:$lib:bscope:resize_begin /comm == \"family\"/ { @resize_begin = count(); delete(@size[arg0]); }
		usdt:$lib:bscope:resize_end /comm == \"family\"/ { @resize_end = count(); @size[arg0] = arg1 + 1; }" 2>bpftrace.err 3>&- &
	bt=$!
	STARTED="${STARTED:-} $bt"
	# It attaches them from the last to the first, which says so when it has something to see.
	for _ in $(seq 100); do
		LD_PRELOAD=$lib "$P/strings" 10 >strings.out
		grep -qs attached marks.json && break
		sleep 0.2
	done
	sleep 0.5
	LD_PRELOAD=$lib "$P/family" 300 nopvalloc >own.json 3>&-
	sleep 0.5
	# It can miss a signal that comes just before it goes to sleep.
	for _ in $(seq 100); do
		kill -INT "$bt" 2>/dev/null || break
		sleep 0.2
	done
	kill -KILL "$bt" 2>/dev/null || true
	wait "$bt" || true
	jq -s -e --slurpfile own own.json '
		(map(select(.type == "map") | .data) | add) as $m | $own[0] as $t
		# Before its rounds the program has made a vector per thread and the buffer of stdout.
		| {new: ($m["@new"] - 5), drop: $m["@drop"], resize_begin: $m["@resize_begin"],
		   resize_end: $m["@resize_end"], left: (($m["@size"] | length) - 5)}
		| if . == ($t | del(.left_bytes)) then true else ({found: ., own: $t} | tostring | stderr | false) end' marks.json
}

@test "sqlite3: same output, same database" {
	cat >work.sql <<-'SQL'
	PRAGMA journal_mode=WAL;
	CREATE TABLE t(id INTEGER PRIMARY KEY, a TEXT, b REAL, c BLOB);
	WITH RECURSIVE n(i) AS (SELECT 1 UNION ALL SELECT i + 1 FROM n WHERE i < 30000)
		INSERT INTO t SELECT i, printf('%08x', i * 2654435761 % 4294967296), i / 7.0, zeroblob(i % 50) FROM n;
	CREATE INDEX ta ON t(a);
	CREATE VIRTUAL TABLE f USING fts5(words);
	INSERT INTO f SELECT a || ' ' || id || ' word' || (id % 100) FROM t WHERE id % 5 = 0;
	SELECT count(*), sum(length(a)), sum(b), sum(length(c)) FROM t;
	SELECT count(*) FROM f WHERE f MATCH 'word20';
	SELECT substr(a, 1, 2) AS p, count(*), group_concat(id % 10, '') FROM t GROUP BY p ORDER BY p LIMIT 40;
	SELECT json_group_array(json_object('id', id, 'a', a)) FROM (SELECT * FROM t ORDER BY a DESC LIMIT 300);
	DELETE FROM t WHERE id % 3 = 0;
	UPDATE t SET a = a || a WHERE id % 2 = 0;
	VACUUM;
	PRAGMA integrity_check;
	SELECT count(*), min(a), max(a) FROM t;
	SQL
	same sh -c 'rm -f work.db*; sqlite3 work.db <work.sql && sqlite3 work.db .dump | sha256sum'
	grep -q '^ok$' loaded.out
}

@test "redis-server: same digest under load, fork and restart" {
	awk 'BEGIN {
		for (i = 0; i < 20000; i++) {
			printf "SET key:%d value-%d\r\nAPPEND key:%d %d\r\n", i, i * 7, i % 500, i
			printf "RPUSH list:%d %d\r\nHSET hash:%d f%d %d\r\n", i % 90, i, i % 70, i, i * 3
			printf "ZADD zset:%d %d m%d\r\nSADD set:%d %d\r\n", i % 50, i % 999, i, i % 60, i
			if (i % 3 == 0) printf "DEL key:%d\r\nLPOP list:%d\r\n", i / 3, i % 90
		}
	}' >commands
	local side
	for side in plain loaded; do
		mkdir "$side"
		serve "$side"
		redis-cli -s "$side/s" --pipe <commands >"$side/pipe"
		grep -q 'errors: 0' "$side/pipe"
		digest "$side" >"$side/digest"
		# other load, in a database of its own that is not compared
		redis-benchmark -s "$side/s" --dbnum 5 -q -n 20000 -c 10 -P 8 -r 1000 \
			-t set,get,lpush,lrange_100,sadd,hset,mset >"$side/bench" 3>&-
		redis-cli -s "$side/s" -n 5 flushdb async
		redis-cli -s "$side/s" save
		digest "$side" >>"$side/digest"
		redis-cli -s "$side/s" bgsave
		timeout 20 sh -c "until redis-cli -s $side/s info persistence | grep -q 'rdb_bgsave_in_progress:0'; do sleep 0.1; done"
		redis-cli -s "$side/s" info persistence | grep -q 'rdb_last_bgsave_status:ok'
		redis-cli -s "$side/s" info stats | grep 'total_error_replies:0'
		redis-cli -s "$side/s" shutdown nosave
		wait "$PID"
		# what was saved is what is loaded again
		serve "$side"
		digest "$side" >>"$side/digest"
		redis-cli -s "$side/s" shutdown nosave
		wait "$PID"
	done
	diff plain/digest loaded/digest
	[ "$(grep -c '^[1-9][0-9]* [0-9a-f]\{40\}$' loaded/digest)" = 3 ]
	[ "$(sort -u loaded/digest | wc -l)" = 1 ]
}

serve() {
	local lib=
	[ "$1" = plain ] || lib=$LIB
	LD_PRELOAD=$lib redis-server --port 0 --unixsocket "$PWD/$1/s" --dir "$PWD/$1" --save '' \
		--enable-debug-command yes >"$1/log" 2>&1 3>&- &
	PID=$!
	STARTED="${STARTED:-} $PID"
	timeout 20 sh -c "until redis-cli -s $1/s ping 2>&1 | grep -q PONG; do sleep 0.1; done"
	if [ "$1" = plain ]; then
		no grep -q libbscope-preload "/proc/$PID/maps"
	else
		grep -q libbscope-preload "/proc/$PID/maps"
	fi
}

digest() {
	echo "$(redis-cli -s "$1/s" dbsize) $(redis-cli -s "$1/s" debug digest)"
}

@test "python3: threads, subprocesses, json" {
	cat >work.py <<-'PY'
	import collections, gc, hashlib, json, re, subprocess, sys, threading, zlib
	def work(seed, out):
	    data = {str(i * seed % 7919): ["x" * (i % 40), i / seed, None, {"n": i}] for i in range(4000)}
	    text = json.dumps(data, sort_keys=True)
	    back = json.loads(text)
	    assert back == json.loads(zlib.decompress(zlib.compress(text.encode())).decode())
	    out[seed] = hashlib.sha256(text.encode()).hexdigest(), len(re.findall(r"x{10,20}", text))
	out = {}
	threads = [threading.Thread(target=work, args=(s, out)) for s in (3, 5, 7, 11)]
	[t.start() for t in threads]; [t.join() for t in threads]
	print(sorted(out.items()))
	procs = [subprocess.run([sys.executable, "-c", f"print(sum(range({n})))"], capture_output=True, text=True) for n in (10, 100000)]
	print([(p.returncode, p.stdout, p.stderr) for p in procs])
	print(subprocess.run("echo $((6 * 7)); exit 3", shell=True, capture_output=True).returncode)
	print(collections.Counter(str(2 ** 5000)).most_common(4), gc.isenabled())
	PY
	PYTHONHASHSEED=0 same /usr/bin/python3 work.py
	PYTHONMALLOC=malloc PYTHONHASHSEED=0 same /usr/bin/python3 work.py
}

@test "git: same ids, same pack, fsck clean" {
	cat >work.sh <<-'SH'
	set -e
	rm -rf repo; mkdir repo; cd repo
	export HOME=$PWD GIT_CONFIG_NOSYSTEM=1 GIT_AUTHOR_NAME=a GIT_AUTHOR_EMAIL=a@example.org
	export GIT_COMMITTER_NAME=c GIT_COMMITTER_EMAIL=c@example.org
	git init -q -b main .
	git config gc.auto 0; git config pack.threads 1
	for i in 1 2 3 4 5 6 7 8 9 10; do
		seq $((i * 100)) $((i * 300)) >numbers
		mkdir -p d$i; seq $i >d$i/f; echo "$i" >>log
		export GIT_AUTHOR_DATE="$((1700000000 + i)) +0000" GIT_COMMITTER_DATE="$((1700000000 + i)) +0000"
		git add -A; git commit -q -m "commit $i"
		[ $i != 5 ] || git branch side
	done
	git checkout -q side; echo side >side; git add side; git commit -q -m side
	git checkout -q main; git merge -q -m merge side
	git log --format='%H %T %s' --graph; git diff --stat HEAD~3 HEAD; git blame log
	git gc -q --aggressive --prune=now; git fsck --full --strict; git count-objects -v | grep -v size
	ls .git/objects/pack; git clone -q . ../clone$$; rm -rf ../clone$$; git grep -c 99 HEAD -- numbers
	SH
	same sh work.sh
	[ "$(grep -c merge loaded.out)" -ge 1 ]
}

@test "perl and bash" {
	cat >work.pl <<-'PL'
	my %h; $h{$_ * 7919 % 10007} .= "v$_" x ($_ % 9) for 1 .. 30000;
	my $s = join ",", map { "$_=" . length $h{$_} } sort { $a <=> $b } keys %h;
	my $n = () = $s =~ /(\d)\1/g;
	print length($s), " $n\n", substr($s, 0, 200), "\n";
	for my $i (1 .. 5) { my $p = fork; if (!$p) { my @x = map { [$_] } 1 .. 5000; exit $i } waitpid $p, 0; print $? >> 8, "\n" }
	print `echo from a shell`;
	PL
	PERL_HASH_SEED=0 same perl work.pl
	cat >work.bash <<-'SH'
	declare -A m; for i in {1..3000}; do m[k$((i * 31 % 997))]+=$i; done
	for k in "${!m[@]}"; do echo "$k ${m[$k]}"; done | sort | cksum
	f() { local x=$1; ((x)) && echo "$(f $((x - 1)))$x"; }; f 12
	while read -r a b; do echo "${b//1/one}${a^^}"; done < <(seq 300 | paste - -) | cksum
	SH
	same bash work.bash
}

@test "a script that runs many programs, while traps make way for jumps: no verdict" {
	need_bpf
	cat >many.sh <<-'END'
		for i in $(seq 40); do
			x=$(ls /etc | head -3 | sort)
			y=$(basename "/a/b/$i$x")
		done
		echo "$y"
	END
	# One run in six had some of a process's marks, none for a while, and then all others.
	for i in 1 2 3; do
		traced many bash many.sh
		json '.mode == "jump" and .verdicts == []' many.json
	done
}

@test "processes that execute one program after the other, while traps make way for jumps: no verdict" {
	need_bpf
	cat >chain.sh <<-'END'
		i=0
		while [ $i -lt 2000 ]; do i=$((i+1)); done
		[ $1 -gt 0 ] && exec sh chain.sh $(($1 - 1))
		exit 0
	END
	cat >chains.sh <<-'END'
		for i in 1 2 3 4; do sh chain.sh 40 & done
		wait
	END
	# Now and then a program was lit before the record of its exec had come, and forgotten then.
	for i in $(seq 6); do
		timeout 120 "$TRACE" -q --preload --format=json -o chains.json -- sh chains.sh 3>&-
		json '.mode == "jump" and .verdicts == []' chains.json
	done
}

@test "what a vfork child does to memory it does to its parent's" {
	local options
	for options in "-m trap" "" "-m trap --sample=2"; do
		# shellcheck disable=SC2086
		timeout 120 "$TRACE" -q $options --preload --format=json -o vforks.json -- \
			"$P/vforks" 40 >vforks.out 3>&-
		# What its own output took is no more than a few.
		json '.verdicts == [] and .objects.undecided == 0 and .objects.vanished == 0 and
			.objects.created > 2000 and .objects.created - .objects.dropped < 5' vforks.json
	done
	[ "$(cat vforks.out)" = 5120 ]
}

@test "with sampling, what is lost sight of when jumps are lit is no leak" {
	timeout 120 "$TRACE" -q --preload --sample=2 --format=json -o held.json -- "$P/held" 50000 3>&-
	# Too many to be moved: all that are not seen to go are forgotten, and the report says so.
	json '(.mode | tostring | test("jump")) and .objects.exited < 5 and .objects.vanished > 1000 and
		.objects.created - .objects.dropped - .objects.vanished < 5 and
		(.notes | map(select(test("too many to be followed by jumps"))) | length == 1)' held.json
	# A few are all moved.
	timeout 120 "$TRACE" -q --preload --sample=100 --format=json -o held.json -- "$P/held" 50000 3>&-
	json '(.mode | tostring | test("jump")) and .objects.exited < 5 and .objects.vanished == 0' held.json
}

@test "with sampling, processes that have gone take no room from those that come" {
	echo "for i in 1 2 3 4 5 6 7; do '$P/held' 50000; done" >script
	timeout 120 "$TRACE" -q --preload --sample=2 -m trap --format=json -o gone.json -- sh script 3>&-
	json '(.notes | map(select(test("found no place"))) | length == 0) and .objects.created > 100000 and
		.objects.created - .objects.dropped < 2000' gone.json
}
