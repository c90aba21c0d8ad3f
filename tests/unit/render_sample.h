/* SPDX-License-Identifier: GPL-2.0-only */
/*
 * render_sample.h - the reports behind tests/golden: a daemon with a slow leak, one that does
 * everything wrong, a hostile family of processes with losses, and one in which nothing happened.
 */
#ifndef TESTS_UNIT_RENDER_SAMPLE_H
#define TESTS_UNIT_RENDER_SAMPLE_H

#include <math.h>

#include "bscope/abi.h"
#include "render/report.h"

/* Most rows are of runs without sampling, and say nothing of estimates. */
#pragma GCC diagnostic ignored "-Wmissing-field-initializers"

#define N(array) (sizeof(array) / sizeof((array)[0]))

static const uint64_t leak_a[] = {0x401136}, leak_b[] = {0x401190, 0x4021f0, 0x40313c};

static const struct bs_report_process leak_processes[] = {
	{812, "sessiond", "/usr/sbin/sessiond", false},
};
#define BIN "/usr/sbin/sessiond"
static const struct bs_report_site leak_sites[] = {
	{"new", "src/buf.c", "buf_get", "b", "buf", BIN, 41, 611500, true, leak_b, 3},
	{"drop", "src/buf.c", "buf_put", "b", "buf", BIN, 77, 611390, true, leak_a, 1},
	{"borrow", "src/buf.c", "buf_map", "b", "buf", BIN, 90, 5383, true, leak_a, 1},
	{"unborrow", "src/buf.c", "buf_unmap", "b", "buf", BIN, 99, 5384, true, leak_a, 1},
	{"new", "src/session.c", "session_new", "s", "session", BIN, 120, 480, true, leak_a, 1},
	{"new", "src/session.c", "session_resume", "s", "session", BIN, 188, 20, true, leak_a, 1},
	{"drop", "src/session.c", "session_end", "s", "session", BIN, 231, 410, true, leak_a, 1},
	{"new", "src/tls.c", NULL, "t->ctx", "tls", BIN, 17, 0, false, leak_a, 1},
};
#undef BIN
#define BUF_LIFETIME                                     \
	{                                                \
		611390, 81920, 212992, 1310720, 48211004 \
	}
#define SESSION_LIFETIME                                            \
	{                                                           \
		410, 1207959552, 3489660928, 4026531840, 4100000001 \
	}
static const struct bs_report_class leak_classes[] = {
	{"buf", 611500, 611390, 110, 1126400, 12, BUF_LIFETIME},
	{"session", 500, 410, 90, 31108, 0, SESSION_LIFETIME},
};
static const struct bs_report_origin leak_origins[] = {
	{"buf", "src/buf.c:41", "buf_get", NULL, 611500, 611390, 110, 1126400, 31000000,
	 BUF_LIFETIME},
	{"session", "src/session.c:120", "session_new", NULL, 480, 390, 90, 31108, 29800000000,
	 SESSION_LIFETIME},
	{"session", "src/session.c:188", "session_resume", NULL, 20, 20, 0, 0, 0, {0, 0, 0, 0, 0}},
};
static const struct bs_report_growth leak_growth[] = {
	{"session", "src/session.c:120", "session_new", NULL, 90, 31108, 29800000000, 1035.6, 31.25,
	 3, 0.09375, true},
	{"buf", "src/buf.c:41", "buf_get", NULL, 110, 1126400, 31000000, 210.5, 5300, 0.02, 0.5,
	 false},
};
static const char *const leak_notes[] = {
	"1 site was not lit: -f leaves it out",
};

static const struct bs_report sample_leak = {
	.version = "0.1.0",
	.mode = "trap",
	.method = "uprobe_multi",
	.clock = "precise",
	.sample = 1,
	.start_ns = 1763820201123456789,
	.start_monotonic_ns = 5000000000,
	.duration_ns = 30001200300,
	.processes = leak_processes,
	.nprocesses = N(leak_processes),
	.written = 1234567,
	.received = 1234567,
	.by_kind = {[BSCOPE_KIND_NEW] = 612000,
		    [BSCOPE_KIND_DROP] = 611800,
		    [BSCOPE_KIND_BORROW] = 5383,
		    [BSCOPE_KIND_UNBORROW] = 5384},
	.sites = leak_sites,
	.nsites = N(leak_sites),
	.created = 612000,
	.adopted = 3,
	.vanished = 3,
	.dropped = 611800,
	.live = 200,
	.live_bytes = 1157508,
	.unknown = 12,
	.classes = leak_classes,
	.nclasses = N(leak_classes),
	.origins = leak_origins,
	.norigins = N(leak_origins),
	.growth = leak_growth,
	.ngrowth = N(leak_growth),
	.ns_per_event = 742.6,
	.cpu_percent = 3.14,
	.tool_cpu_percent = 4.26,
	.notes = leak_notes,
	.nnotes = N(leak_notes),
};

/* Every way to hurt a terminal or a parser that a name can try. */
static const uint64_t hostile_addresses[] = {0, 0x7fffffffffffffff, 0xffffffffffffffff};
static const struct bs_report_process hostile_processes[] = {
	{4000000000, "ev\033[2Jil", "/tmp/a\nb\"c\\d", true},
	{2, NULL, NULL, false},
	{3, "", "/proc/self/exe", true},
};
static const struct bs_report_reason hostile_reasons[] = {
	{"ring_full", "ring buffer full: raise --buffer or narrow with -f", 9000},
	{"not_run", "the kernel did not run the probe's program", 0},
	{"no_site", NULL, 1000},
};
static const struct bs_report_site hostile_sites[] = {
	{"resize_end", "a b\tc.c", "f\x7fg",
	 "\xe2\x80\xae"
	 "drow",
	 "\xff\xfe",
	 "/tmp/\xc2\x9b"
	 "31m",
	 4294967295, 1, true, hostile_addresses, 3},
	{"use", "", NULL, "", "\xed\xa0\x80", "/bin/\xf0\x9f\x98\x80", 0, 0, false, NULL, 0},
};
static const struct bs_report_class hostile_classes[] = {
	{"\xff\xfe",
	 18000000,
	 7,
	 17999993,
	 9223372036854775807,
	 0,
	 {0, 0, 0, 0, 0},
	 {{1800000000, 1799000000, 1801000000.5},
	  {700, 281.4, 1442.3},
	  {1799999300, 1798000000, 1801000000},
	  {9.3e20, 9223372036854775807.0, INFINITY}}},
	{"\xe4\xb8\xad\xe6\x96\x87", 1, 1, 0, 0, 3, {1, 0, 999, 59400000000, 90000000000000000}},
};
static const struct bs_report_origin hostile_origins[] = {
	{"\xff\xfe",
	 "a b\tc.c:4294967295",
	 "f\x7fg",
	 "caller\r\n+0x1",
	 18000000,
	 7,
	 17999993,
	 9223372036854775807,
	 3600000000000,
	 {0, 0, 0, 0, 0}},
};
static const struct bs_report_growth hostile_growth[] = {
	{"\xff\xfe", "a b\tc.c:4294967295", NULL, "caller\r\n+0x1", 5, 4096, 1000000, NAN, INFINITY,
	 -INFINITY, NAN, false},
	{"fd", "net.c:7", "accept_one", NULL, 61, 0, 60000000000, 0, 0, 0.5, 0.0625, false},
	{"x", "x.c:1", NULL, NULL, 1, 16, 1, 100, 2000, 0, 0, false},
};
static const struct bs_report_origin hostile_older[] = {
	{"fd", "net.c:7", "accept_one", NULL, 0, 0, 61, 0, 90000000000, {0, 0, 0, 0, 0}},
};
/* More than is true of any: the numbers and names at their ends. */
static const struct bs_report_verdict hostile_verdicts[] = {
	{"double-drop",
	 "\xff\xfe",
	 UINT64_MAX,
	 4000000000,
	 {"drop", "\xff\xfe", "a b\tc.c", "f\x7fg",
	  "\xe2\x80\xae"
	  "drow",
	  4294967295, 4294967295, UINT64_MAX,
	  "\033[31m"
	  "caller"},
	 {"drop", "\xff\xfe", "", NULL, "", 0, 0, 0, ""},
	 18000000,
	 false,
	 0},
	{"unbalanced-count",
	 "",
	 0,
	 3,
	 {"drop", "",
	  "/tmp/\xc2\x9b"
	  "31m",
	  "", "\033[2J", 1, 3, 0, NULL},
	 {"new", "", "a\nb.c", NULL, "x", 2, 3, 5, NULL},
	 1,
	 true,
	 INT64_MIN},
};
static const struct bs_report_cycle_edge hostile_edges[] = {
	{{"borrow_mut", "\xff\xfe", "a\nb", NULL, "", 1, 4294967295, 0, "\xe2\x80\xae"},
	 {"borrow", "m", "", "\033[2J", "x", 4294967295, 4294967295, UINT64_MAX, NULL},
	 UINT64_MAX,
	 0},
	{{"borrow", "m", "", "", "", 0, 0, 0, ""},
	 {"borrow", "", "", NULL, "", 0, 0, 0, NULL},
	 0,
	 1},
};
static const struct bs_report_cycle hostile_cycles[] = {
	{4000000000, hostile_edges, N(hostile_edges), UINT64_MAX},
};
static const struct bs_report_lock_use hostile_uses[] = {
	{"\xff\xfe", "a\nb:1", NULL, "\033[31mcaller", {1, 0, 0, UINT64_MAX, UINT64_MAX}},
};
static const struct bs_report_exit hostile_exit[] = {
	{4000000000, "fd", "net.c:7", "accept_one", NULL, 61, 0, {6100, 4880, 7625}, {0}},
	{3,
	 "malloc",
	 "malloc.c:55",
	 "malloc",
	 "mkdict+0x2a",
	 12,
	 98304,
	 {1200, 600, 2400},
	 {9830400, 1048576, INFINITY}},
};
static const char *const hostile_notes[] = {
	"a child (pid 3) was followed from its first instruction; its parent died of a signal, and "
	"what it had allocated is listed above",
	"\033]0;owned\007",
};

static const struct bs_report sample_hostile = {
	.version = "0.1.0",
	.mode = "trap",
	.method = "perf",
	.clock = "precise",
	.sampled = true,
	.sample = 100,
	.estimate = {{1800000000, 1799000000, 1801000000.5},
		     {700, 281.4, 1442.3},
		     {1799999300, 1798000000, 1801000000},
		     {9.3e20, 9223372036854775807.0, INFINITY}},
	.start_ns = 18446744073709551615u,
	.start_monotonic_ns = 18446744073709551615u,
	.duration_ns = 90500000000,
	.processes = hostile_processes,
	.nprocesses = N(hostile_processes),
	.written = 18010007,
	.received = 18000007,
	.lost = 10000,
	.reasons = hostile_reasons,
	.nreasons = N(hostile_reasons),
	.by_kind = {[BSCOPE_KIND_RESIZE_END] = 18000000, [BSCOPE_KIND_DROP] = 7},
	.sites = hostile_sites,
	.nsites = N(hostile_sites),
	.created = 18000000,
	.dropped = 7,
	.live = 17999993,
	.live_bytes = 9223372036854775807,
	.classes = hostile_classes,
	.nclasses = N(hostile_classes),
	.origins = hostile_origins,
	.norigins = N(hostile_origins),
	.growth = hostile_growth,
	.ngrowth = N(hostile_growth),
	.older = hostile_older,
	.nolder = N(hostile_older),
	.older_than_ns = 60000000000,
	.verdicts = hostile_verdicts,
	.nverdicts = N(hostile_verdicts),
	.cycles = hostile_cycles,
	.ncycles = N(hostile_cycles),
	.lock_uses = hostile_uses,
	.nlock_uses = N(hostile_uses),
	.undecided = 5000,
	.at_exit = hostile_exit,
	.nat_exit = N(hostile_exit),
	.ns_per_event = NAN,
	.cpu_percent = -1,
	.tool_cpu_percent = 0.004,
	.pause_us = 120,
	.has_command = true,
	.command_status = 11, /* SIGSEGV */
	.notes = hostile_notes,
	.nnotes = N(hostile_notes),
	.verbose = true,
};

/* An unmodified program under the preload library: callers say what sites cannot. */
#define PRELOAD "runtime/preload/malloc.c"
static const struct bs_report_process preload_processes[] = {
	{4242, "redis-server", "/usr/bin/redis-check-rdb", false},
};
static const struct bs_report_class preload_classes[] = {
	{"malloc",
	 2345678,
	 2300000,
	 45678,
	 7340032,
	 31,
	 {2300000, 15360, 1048576, 104857600, 28000000000}},
};
static const struct bs_report_origin preload_origins[] = {
	{"malloc",
	 PRELOAD ":121",
	 "malloc",
	 "zmalloc+0x2b (redis-server)",
	 2000000,
	 1960000,
	 40000,
	 6291456,
	 29900000000,
	 {1960000, 15360, 1048576, 104857600, 28000000000}},
	{"malloc",
	 PRELOAD ":160",
	 "realloc",
	 "zrealloc_usable+0x41 (redis-server)",
	 345678,
	 340000,
	 5678,
	 1048576,
	 29900000000,
	 {340000, 9216, 524288, 52428800, 9000000000}},
};
static const struct bs_report_growth preload_growth[] = {
	{"malloc", PRELOAD ":121", "malloc", "zmalloc+0x2b (redis-server)", 40000, 6291456,
	 29900000000, 209715.2, 10485.76, 1333.3, 66.6, true},
	{"malloc", PRELOAD ":160", "realloc", "zrealloc_usable+0x41 (redis-server)", 5678, 1048576,
	 29900000000, -120, 5000, 1, 20, false},
};
#undef PRELOAD

static const struct bs_report sample_preload = {
	.version = "0.1.0",
	.mode = "trap",
	.method = "uprobe_multi",
	.clock = "precise",
	.sample = 1,
	.start_ns = 1763820201000000000,
	.start_monotonic_ns = 1000000000,
	.duration_ns = 90000000000,
	.processes = preload_processes,
	.nprocesses = N(preload_processes),
	.written = 4645709,
	.received = 4645709,
	.by_kind = {[BSCOPE_KIND_NEW] = 2345678, [BSCOPE_KIND_DROP] = 2300031},
	.created = 2345678,
	.dropped = 2300000,
	.live = 45678,
	.live_bytes = 7340032,
	.unknown = 31,
	.classes = preload_classes,
	.nclasses = N(preload_classes),
	.origins = preload_origins,
	.norigins = N(preload_origins),
	.growth = preload_growth,
	.ngrowth = N(preload_growth),
	.ns_per_event = 1980,
	.cpu_percent = 9.96,
	.tool_cpu_percent = 22.4,
};

/* A daemon that does everything wrong, once each; it started 5 s after the machine. */
static const struct bs_report_process wrong_processes[] = {
	{4711, "connd", "/usr/sbin/connd", false},
};
static const struct bs_report_site wrong_sites[] = {
	{"drop", "src/conn.c", "conn_free", "c", "conn", "/usr/sbin/connd", 120, 9, true, leak_a,
	 1},
};
#define MARK(kind, klass, file, line, function, name, thread, ns)         \
	{                                                                 \
		kind, klass, file, function, name, line, thread, ns, NULL \
	}
#define CALLED(kind, klass, file, line, function, thread, ns, caller)           \
	{                                                                       \
		kind, klass, file, function, function, line, thread, ns, caller \
	}
static const struct bs_report_verdict wrong_verdicts[] = {
	{"double-drop", "conn", 0x7f12a3c04010, 4711,
	 MARK("drop", "conn", "src/conn.c", 120, "conn_free", "c", 4711, 7403000000),
	 MARK("drop", "conn", "src/conn.c", 98, "conn_close", "c", 4712, 6200000000), 3, false, 0},
	{"use-after-drop", "conn", 0x7f12a3c05a20, 4711,
	 MARK("retain", "conn", "src/pool.c", 31, "pool_share", "p->conn", 4712, 7500000000),
	 MARK("drop", "conn", "src/conn.c", 98, "conn_close", "c", 4712, 7499999100), 1, false, 0},
	{"use-after-move", "job", 0x55d0c0ffee10, 4711,
	 MARK("use", "job", "src/queue.c", 208, "queue_peek", "q->head", 4713, 8000000000),
	 MARK("move", "job", "src/queue.c", 177, "queue_hand_over", "j", 4711, 7000000000), 12345,
	 false, 0},
	{"drop-while-borrowed", "buf", 0x55d0c0ff0040, 4711,
	 MARK("drop", "buf", "src/buf.c", 77, "buf_put", "b", 4711, 8100000000),
	 MARK("borrow", "buf", "src/buf.c", 90, "buf_map", "b", 4714, 8099000000), 1, false, 0},
	{"conflicting-borrow", "table", 0x55d0c0de0000, 4711,
	 MARK("borrow_mut", "table", "src/table_of_sessions_by_name.c", 1204,
	      "table_of_sessions_by_name_insert_or_replace", "t", 4715, 8200000000),
	 MARK("borrow_mut", "table", "src/table_of_sessions_by_name.c", 1377,
	      "table_of_sessions_by_name_remove", "t", 4716, 8199990000),
	 2, false, 0},
	{"unbalanced-count", "obj", 42, 4711,
	 MARK("drop", "obj", "src/obj.c", 61, NULL, "o", 4711, 9000000000),
	 MARK("new", "obj", "src/obj.c", 17, "obj_new", "o", 0, 5000000000), 7, true, 2},
	{"unbalanced-count", "obj", 43, 4711,
	 MARK("drop", "obj", "src/obj.c", 66, "obj_put", "o", 4711, 9100000000),
	 MARK("new", "obj", "src/obj.c", 17, "obj_new", "o", 0, 9000000000), 1, true, -1},
	{"borrow-outlives-owner", "buf", 0x55d0c0ff0080, 4711,
	 MARK("drop", "session", "src/session.c", 231, "session_end", "s", 4711, 10000000000),
	 MARK("borrow", "buf", "src/session.c", 188, "session_read", "s->buf", 4711, 9990000000), 1,
	 false, 0},
	{"leak", "arg", 0x55d0c0aa0010, 4711,
	 MARK("region_exit", "request", "src/request.c", 402, "serve", "r", 4717, 11000000000),
	 CALLED("new", "arg", "src/args.c", 55, "arg_new", 4717, 10999000000, "serve+0x2a (connd)"),
	 900, false, 0},
	{"leak", "fd", 9, 4711,
	 MARK("drop", "conn", "src/conn.c", 98, "conn_close", "c", 4712, 12000000000),
	 MARK("move", "fd", "src/conn.c", 44, "conn_open", "fd", 4711, 11000000000), 1, false, 0},
};
#define LOCK "runtime/preload/lock.c"
static const struct bs_report_cycle_edge wrong_edges[] = {
	{CALLED("borrow_mut", "mutex", LOCK, 124, "pthread_mutex_lock", 4712, 6000000000,
		"table_insert+0x1c (connd)"),
	 CALLED("borrow_mut", "mutex", LOCK, 124, "pthread_mutex_lock", 4712, 6000001000,
		"pool_get+0x31 (connd)"),
	 0x55d0c0de0000, 0x55d0c0de0040},
	{CALLED("borrow_mut", "mutex", LOCK, 124, "pthread_mutex_lock", 4713, 7000000000,
		"pool_trim_all_the_buffers_that_nobody_wants_any_more+0x1c4 (connd)"),
	 MARK("borrow", "table", "src/table_of_sessions_by_name.c", 1204,
	      "table_of_sessions_by_name_lookup", "t", 4713, 7000001000),
	 0x55d0c0de0040, 0x55d0c0de0000},
};
static const struct bs_report_cycle wrong_cycles[] = {
	{4711, wrong_edges, N(wrong_edges), 2},
};
static const struct bs_report_lock_use wrong_uses[] = {
	{"mutex",
	 LOCK ":124",
	 "pthread_mutex_lock",
	 "pool_get+0x31 (connd)",
	 {123456, 410, 1200, 15000, 2000000000}},
	{"table", "src/table_of_sessions_by_name.c:1204", NULL, NULL, {3, 900, 950, 990, 990}},
};
#undef LOCK
#undef CALLED
#undef MARK

static const struct bs_report_sampled wrong_profiled = {
	.percent = 0.31,
	.error = 0.08,
	.samples = 29910,
	.lost = 3,
	.hz = 997,
	.counted_error = 0.002,
	.ns_per_sample = 1600,
	.sampling_percent = 0.16,
};

static const struct bs_report sample_wrong = {
	.version = "0.1.0",
	.mode = "jump",
	.clock = "precise",
	.sample = 1,
	.start_ns = 1763820201000000000,
	.start_monotonic_ns = 5000000000,
	.duration_ns = 10000000000,
	.processes = wrong_processes,
	.nprocesses = N(wrong_processes),
	.written = 40000,
	.received = 40000,
	.by_kind =
		{[BSCOPE_KIND_NEW] = 10000, [BSCOPE_KIND_DROP] = 10000, [BSCOPE_KIND_USE] = 20000},
	.sites = wrong_sites,
	.nsites = N(wrong_sites),
	.created = 10000,
	.dropped = 9990,
	.live = 10,
	.unknown = 13,
	.verdicts = wrong_verdicts,
	.nverdicts = N(wrong_verdicts),
	.cycles = wrong_cycles,
	.ncycles = N(wrong_cycles),
	.lock_uses = wrong_uses,
	.nlock_uses = N(wrong_uses),
	.undecided = 1,
	.ns_per_event = 14,
	.cpu_percent = 0.01,
	.tool_cpu_percent = 0.02,
	.pause_us = 900,
	.profiled = &wrong_profiled,
};

static const struct bs_report_process empty_processes[] = {
	{77, "sleep", "/usr/bin/sleep", true},
};
static const struct bs_report_sampled empty_profiled = {
	.percent = 12,
	.error = 3,
	.unknown = "the libbscope in /usr/bin/\033sleep is an old one: rebuild it",
	.samples = 2,
	.hz = 997,
	.counted_error = -1,
	.ns_per_sample = -1,
	.sampling_percent = -1,
};

static const struct bs_report sample_empty = {
	.version = "0.1.0",
	.mode = "trap",
	.method = "uprobe_multi",
	.clock = "precise",
	.sample = 1,
	.start_ns = 1763820201000000000,
	.start_monotonic_ns = 1000000000,
	.duration_ns = 1500000,
	.processes = empty_processes,
	.nprocesses = 1,
	.has_command = true,
	.command_status = 3 << 8,
	.cpu_percent = 0,
	.tool_cpu_percent = -1,
	.profiled = &empty_profiled,
};

#endif
