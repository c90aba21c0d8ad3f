#!/bin/sh
# SPDX-License-Identifier: GPL-2.0-only
# sampling.sh - records the allocations of sqlite3, redis-server under redis-benchmark, and python3,
# about a million each, and samples each recorded run many times: see sampling.c.
#   BUILD: build folder (default: build); DRAWS: samples of each (default: 1000, a quarter of an hour
#   for each; with a tenth of that, chance is a point or two);
#   KEEP=FOLDER: where the recorded runs go and stay
set -eu
# shellcheck source=bench/common.sh
. "$(dirname "$0")/common.sh"
to=${KEEP:-$dir}

# record NAME COMMAND...
record() {
	name=$1
	shift
	rm -f "$to/$name" "$to/$name.maps"
	BSCOPE_ALLOC_TRACE=$to/$name LD_PRELOAD=$build/bench/recorder.so "$@"
}

for c in sqlite3 redis-server redis-benchmark redis-cli python3; do
	command -v "$c" >/dev/null || die "no $c"
done

# Rows of all lengths come, change and go, with three indexes.
awk 'BEGIN {
	srand(1)
	print "create table a(id integer primary key, k text, v text, n integer);"
	print "create index ak on a(k); create index an on a(n); create index av on a(v); begin;"
	for (i = 0; i < 24000; i++) {
		key = int(rand() * 5000)
		printf "insert into a(k, v, n) values(\047key%d\047, \047%0*d\047, %d);\n", key,
			1 + int(rand() * 200), i, rand() * 1000
		if (i % 7 == 0)
			printf "update a set v = v || \047x\047, n = n + 1 where k = \047key%d\047;\n", key
		if (i % 50 == 0)
			printf "delete from a where n = %d;\n", rand() * 1000
		if (i % 200 == 0)
			printf "select count(*), group_concat(k) from (select k from a where n < %d" \
				" order by v limit 50);\n", rand() * 1000
		if (i % 1000 == 999)
			print "commit; begin;"
	}
	print "commit; select k, count(*), max(v) from a group by k order by 2 desc limit 10;"
	print "delete from a where n % 3 = 0; vacuum;"
}' >"$dir/load.sql"
record sqlite3 sqlite3 :memory: <"$dir/load.sql" >/dev/null

# Keys of several types and sizes, some overwritten, many of them alive at the end.
record redis-server redis-server --port 0 --unixsocket "$dir/sock" --save '' --appendonly no \
	--dir "$dir" --logfile "$dir/log" &
server=$!
until_ok redis-cli -s "$dir/sock" ping
bench() {
	redis-benchmark -s "$dir/sock" -q "$@" >/dev/null 2>&1
}
bench -n 50000 -r 100000 -d 100 -t set,get
bench -n 10000 -r 3000 -d 2000 -t set
bench -n 12000 -r 20000 -d 30 -t lpush,sadd,hset,zadd
bench -n 12000 -r 50000 hset h:__rand_int__ name value:__rand_int__ n __rand_int__
bench -n 5000 lpop mylist
redis-cli -s "$dir/sock" shutdown nosave >/dev/null 2>&1 || true
wait "$server" || die "redis-server failed"

# Each object an allocation; a cache that keeps some of the documents and syntax trees.
python=$(python3 -c 'import sys; print(sys.executable)')
cat >"$dir/load.py" <<'EOF'
import ast, collections, json, random

random.seed(1)
keep = collections.OrderedDict()
words = ["w%d" % i for i in range(3000)]
functions = [ast.unparse(part) for part in ast.parse(open(ast.__file__).read()).body]
for i in range(1000):
    doc = {random.choice(words): [random.random(), "x" * random.randrange(200), {"i": j}]
           for j in range(random.randrange(60))}
    keep[i] = json.loads(json.dumps(doc))
    if i % 20 == 0:
        keep["tree%d" % i] = ast.parse(random.choice(functions))
    if i % 3 == 0:
        keep["sets%d" % i] = set(random.sample(words, 40))
    while len(keep) > 500:
        keep.popitem(last=False)
EOF
PYTHONMALLOC=malloc record python3 "$python" "$dir/load.py"

# The first is one that is made up.
for trace in '' "$to/sqlite3" "$to/redis-server" "$to/python3"; do
	"$build/bench/sampling" ${DRAWS:+-n "$DRAWS"} ${trace:+"$trace"}
done
