// SPDX-License-Identifier: GPL-2.0-only
/*
 * test_collect.c - the BPF programs and collect on real processes whose hits are known.
 *
 * The traced programs are this binary itself, executed anew as `test_collect --target MODE N`.
 * Needs root and BPF.
 */
#define _GNU_SOURCE
#include <stdarg.h>
#include <stddef.h>
#include <setjmp.h>
#include <stdint.h>
#include <cmocka.h>

#include <errno.h>
#include <fcntl.h>
#include <poll.h>
#include <pthread.h>
#include <sched.h>
#include <signal.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mount.h>
#include <sys/time.h>
#include <sys/types.h>
#include <sys/utsname.h>
#include <sys/wait.h>
#include <unistd.h>

#include "base/error.h"
#include "bscope/abi.h"
#include "collect/collect.h"
#include "collect/light.h"
#include "collect_target.h"

/* --- the tracing side ------------------------------------------------------------------------ */

struct child {
	pid_t pid;
	int to, from;
	struct hello hello;
};

static void child_start(struct child *child, const char *role, const char *mode, unsigned long n)
{
	int in[2], out[2];
	char number[24];

	assert_int_equal(pipe2(in, O_CLOEXEC), 0);
	assert_int_equal(pipe2(out, O_CLOEXEC), 0);
	snprintf(number, sizeof(number), "%lu", n);
	child->pid = fork();
	assert_true(child->pid >= 0);
	if (!child->pid) {
		dup2(in[0], 0);
		dup2(out[1], 1);
		execl("/proc/self/exe", "test_collect", role, mode, number, NULL);
		_exit(94);
	}
	close(in[0]);
	close(out[1]);
	child->to = in[1];
	child->from = out[0];
	assert_int_equal(read(child->from, &child->hello, sizeof(child->hello)),
			 sizeof(child->hello));
}

static void child_go(struct child *child)
{
	assert_int_equal(write(child->to, "g", 1), 1);
}

static int child_end(struct child *child)
{
	int status;

	close(child->to);
	close(child->from);
	assert_int_equal(waitpid(child->pid, &status, 0), child->pid);
	return status;
}

static void child_read(const struct child *child, uintptr_t address, void *to, size_t size)
{
	char path[64];
	int fd;

	snprintf(path, sizeof(path), "/proc/%d/mem", (int)child->pid);
	fd = open(path, O_RDONLY | O_CLOEXEC);
	assert_true(fd >= 0);
	assert_int_equal(pread(fd, to, size, (off_t)address), size);
	close(fd);
}

static unsigned short child_semaphore(const struct child *child)
{
	unsigned short value;

	child_read(child, child->hello.semaphore, &value, sizeof(value));
	return value;
}

/*
 * Is the code around the site in the process what the file has there?  (This process maps the
 * same file: its own text is no witness.)
 */
static bool child_text_clean(const struct child *child)
{
	unsigned char there[64], file[64];
	int fd = open("/proc/self/exe", O_RDONLY | O_CLOEXEC);

	assert_int_equal(pread(fd, file, sizeof(file), (off_t)file_offset((uintptr_t)test_site)),
			 sizeof(file));
	close(fd);
	child_read(child, child->hello.site, there, sizeof(there));
	return !memcmp(there, file, sizeof(there));
}

#define MAX_PIDS 8

struct seen {
	struct bs_collect *c;
	uint64_t marks, forks, execs, exits, killed;
	uint64_t by_site[4]; /* index modulo 4 */
	struct {
		pid_t pid;
		uint64_t marks;
		uint64_t exit_code;
		bool exited;
	} pids[MAX_PIDS];
	/* of target_threads */
	uint64_t next[5];
	bool disordered;
	struct bs_ring_event last;
	pid_t children[MAX_PIDS];
	int stop_after; /* 0: never */
};

static int on_record(void *ctx, const void *data, size_t size)
{
	const struct bs_ring_event *event = data;
	struct seen *seen = ctx;
	size_t i;

	assert_int_equal(size, sizeof(*event));
	i = 0;
	while (i < MAX_PIDS - 1 && seen->pids[i].pid && seen->pids[i].pid != (pid_t)event->pid)
		i++;
	seen->pids[i].pid = (pid_t)event->pid;
	switch (event->type) {
	case BS_RING_MARK:
		seen->marks++;
		seen->pids[i].marks++;
		seen->by_site[event->site % 4]++;
		if (event->args[0] >= 1 && event->args[0] <= 4)
			seen->disordered |= event->args[1] != seen->next[event->args[0]]++ ||
					    event->args[2] != 0xfeedfacecafebeefu;
		seen->last = *event;
		break;
	case BS_RING_FORK:
		seen->children[seen->forks++ % MAX_PIDS] = (pid_t)event->args[0];
		break;
	case BS_RING_EXEC:
		seen->execs++;
		break;
	case BS_RING_KILLED:
		assert_false(seen->pids[i].exited);
		seen->killed++;
		break;
	case BS_RING_EXIT:
		assert_false(seen->pids[i].exited);
		seen->exits++;
		seen->pids[i].exit_code = event->args[0];
		seen->pids[i].exited = true;
		break;
	default:
		fail_msg("record of type %u", event->type);
	}
	if (seen->stop_after && !--seen->stop_after)
		return -1234;
	return 0;
}

/* Reads until the child has said a number (or is gone: 0). */
static uint64_t drain_until_said(struct seen *seen, struct child *child)
{
	struct pollfd ready = {.fd = child->from, .events = POLLIN};
	uint64_t value = 0;

	while (poll(&ready, 1, 0) == 0)
		assert_true(bs_collect_poll(seen->c, 20, on_record, seen, NULL) >= 0);
	if (read(child->from, &value, sizeof(value)) != sizeof(value))
		value = 0;
	return value;
}

static void drain(struct seen *seen)
{
	while (bs_collect_poll(seen->c, 0, on_record, seen, NULL) > 0)
		;
}

static struct bs_collect *collect_new(bool no_multi, size_t ring_bytes)
{
	struct bs_collect_opts opts = {.no_multi = no_multi, .ring_bytes = ring_bytes};
	struct bs_error err = {0};
	struct bs_collect *c;

	if (bs_collect_new(&opts, &c, &err))
		fail_msg("bs_collect_new: %s", err.text);
	return c;
}

static const struct bs_site_spec three_registers = {
	.where = {BS_ARG_REG, BS_ARG_REG, BS_ARG_REG},
	.reg = {REG_ARG0, REG_ARG1, REG_ARG2},
};

static void light_set(struct bs_collect *c, enum bs_traps set, const struct bs_light *sites,
		      size_t n)
{
	struct bs_error err = {0};
	int fd = open("/proc/self/exe", O_RDONLY | O_CLOEXEC);

	assert_true(fd >= 0);
	if (bs_collect_light(c, fd, "this test", set, sites, n, &err))
		fail_msg("bs_collect_light: %s", err.text);
	bs_collect_start(c);
	close(fd);
}

static void light_all(struct bs_collect *c, const struct bs_light *sites, size_t n)
{
	light_set(c, BS_TRAPS_ALL, sites, n);
}

static void light(struct bs_collect *c)
{
	struct bs_light site = {
		.index = 1,
		.probe_offset = file_offset((uintptr_t)test_site),
		.semaphore_offset = file_offset((uintptr_t)&semaphore),
		.spec = three_registers,
	};

	light_all(c, &site, 1);
}

static void trace(struct bs_collect *c, pid_t pid)
{
	struct bs_error err = {0};

	if (bs_collect_trace(c, pid, &err))
		fail_msg("bs_collect_trace: %s", err.text);
}

static struct bs_collect_counts counts(struct seen *seen)
{
	struct bs_collect_counts out;

	assert_int_equal(bs_collect_counts(seen->c, &out), 0);
	assert_int_equal(out.sum.written, out.received + out.sum.lost_ring + out.sum.lost_spec);
	assert_int_equal(out.received, seen->marks);
	assert_int_equal(out.sum.lost_spec, 0);
	assert_int_equal(out.missed, 0);
	return out;
}

static bool no_multi(void **state)
{
	return *(bool *)*state;
}

/* --- tests ----------------------------------------------------------------------------------- */

static bool kernel_at_least(int major, int minor)
{
	struct utsname name;
	int a = 0, b = 0;

	assert_int_equal(uname(&name), 0);
	assert_int_equal(sscanf(name.release, "%d.%d", &a, &b), 2);
	return a > major || (a == major && b >= minor);
}

static void test_nothing_yet(void **state)
{
	struct seen seen = {.c = collect_new(no_multi(state), 0)};
	struct bs_collect_counts now;

	if (no_multi(state))
		assert_string_equal(bs_collect_method(seen.c), "perf events");
	else if (kernel_at_least(6, 6))
		assert_string_equal(bs_collect_method(seen.c), "uprobe_multi");
	/* What the tool did to its own site is nobody's business. */
	drain(&seen);
	now = counts(&seen);
	assert_int_equal(now.sum.written, 0);
	assert_false(bs_collect_traces(seen.c, getpid()));
	assert_true(bs_collect_ns_per_hit(seen.c) > 0);
	bs_collect_free(seen.c);
}

static void test_threads_exact(void **state)
{
	struct seen seen = {.c = collect_new(no_multi(state), 0)};
	struct child child, other;
	uint64_t hits;

	child_start(&child, "--target", "threads", 20000);
	child_start(&other, "--target", "threads", 500);
	trace(seen.c, child.pid);
	assert_true(bs_collect_traces(seen.c, child.pid));
	assert_true(child_text_clean(&child));
	assert_int_equal(child_semaphore(&child), 0);
	light(seen.c);
	assert_false(child_text_clean(&child));
	assert_int_equal(child_semaphore(&child), 1);

	/* Same binary, same site, not traced. */
	child_go(&other);
	assert_int_equal(drain_until_said(&seen, &other), 2000);
	assert_int_equal(counts(&seen).sum.written, 0);

	child_go(&child);
	hits = drain_until_said(&seen, &child);
	bs_collect_dark(seen.c);
	drain(&seen);
	assert_int_equal(hits, 80000);
	assert_int_equal(counts(&seen).sum.written, hits);
	assert_int_equal(seen.marks, hits);
	assert_int_equal(seen.pids[0].pid, child.pid);
	assert_int_equal(seen.pids[0].marks, hits);
	assert_int_equal(seen.by_site[1], hits);
	assert_false(seen.disordered);
	for (int i = 1; i <= 4; i++)
		assert_int_equal(seen.next[i], 20000);

	assert_true(child_text_clean(&child));
	assert_true(child_text_clean(&other));
	assert_int_equal(child_semaphore(&child), 0);
	assert_int_equal(child_semaphore(&other), 0);
	assert_int_equal(child_end(&other), 98 << 8);
	assert_int_equal(child_end(&child), 98 << 8);
	bs_collect_free(seen.c);
}

#if defined(__x86_64__)

static struct bs_ring_stack last_stack;
static size_t last_size, nstacks;

static int on_stack(void *ctx, const void *data, size_t size)
{
	(void)ctx;
	assert_true(size <= sizeof(last_stack));
	/* The tool makes links in a process of its own (shield.c). */
	if (((const struct bs_ring_event *)data)->type != BS_RING_MARK_STACK)
		return 0;
	memcpy(&last_stack, data, size);
	last_size = size;
	nstacks++;
	return 0;
}

/* Short ones and long ones, and what is deeper than the kernel goes. */
static void test_stacks(void **state)
{
	static const unsigned depths[] = {1, 2, 5, 28, 29, 30, 60, 125, 126, 127, 200};
	struct bs_collect_opts opts = {.no_multi = no_multi(state),
				       .stack_kinds = 1u << BSCOPE_KIND_NEW};
	struct bs_light site = {.index = 1, .spec.kind = BSCOPE_KIND_NEW};
	struct bs_collect_counts now;
	struct bs_error err = {0};
	struct bs_collect *c;

	if (bs_collect_new(&opts, &c, &err))
		fail_msg("bs_collect_new: %s", err.text);
	assert_true(bs_collect_ns_per_stack(c, 2) > 0);
	assert_true(bs_collect_ns_per_stack(c, 30) >= bs_collect_ns_per_stack(c, 2));
	trace(c, getpid());
	site.probe_offset = file_offset((uintptr_t)bs_own_site_hit);
	light_all(c, &site, 1);
	for (size_t i = 0; i < sizeof(depths) / sizeof(depths[0]); i++) {
		unsigned n = depths[i] + 1 < BS_STACK_MAX ? depths[i] + 1 : BS_STACK_MAX;

		nstacks = 0;
		bs_own_site_hit_deep(depths[i]);
		while (bs_collect_poll(c, 0, on_stack, NULL, NULL) > 0)
			;
		assert_int_equal(nstacks, 1);
		assert_int_equal(last_stack.event.type, BS_RING_MARK_STACK);
		assert_int_equal(last_stack.event.pid, getpid());
		assert_int_equal(last_stack.event.site, 1);
		assert_int_equal(last_stack.form, BS_STACK_WALKED);
		assert_int_equal(last_stack.n, n);
		assert_true(last_size >= offsetof(struct bs_ring_stack, ip) + 8 * n);
		assert_true(last_stack.ip[0] == (uintptr_t)bs_own_site_hit);
		/* All are of the same function, which calls itself at one place. */
		for (unsigned k = 1; k < n; k++)
			assert_true(last_stack.ip[k] > (uintptr_t)bs_own_site_hit_deep &&
				    last_stack.ip[k] < (uintptr_t)bs_own_site_hit_deep + 64);
	}
	bs_collect_dark(c);
	assert_int_equal(bs_collect_counts(c, &now), 0);
	assert_int_equal(now.sum.written, sizeof(depths) / sizeof(depths[0]));
	assert_int_equal(now.received, now.sum.written);
	assert_int_equal(now.sum.stacks_lost, 0);
	bs_collect_free(c);
}

#endif

/* A process that is lit by jumps: of the traps only those count that no jump can replace. */
static void test_sets(void **state)
{
	const struct bs_light site = {
		.index = 1,
		.probe_offset = file_offset((uintptr_t)test_site),
		.semaphore_offset = file_offset((uintptr_t)&semaphore),
		.spec = three_registers,
	};

	for (unsigned i = 0; i < 4; i++) {
		enum bs_traps set = i % 2 ? BS_TRAPS_ALWAYS : BS_TRAPS_ALL;
		uint32_t plan = i / 2 ? 7 : BS_TRACED_TRAP;
		struct seen seen = {.c = collect_new(no_multi(state), 0)};
		struct bs_traced list[4];
		struct child child;
		uint64_t hits;

		child_start(&child, "--target", "threads", 500);
		assert_int_equal(bs_collect_traced(seen.c, list, 4), 0);
		assert_int_equal(bs_collect_set_plan(seen.c, child.pid, plan), -ENOENT);
		trace(seen.c, child.pid);
		assert_int_equal(bs_collect_traced(seen.c, list, 4), 1);
		assert_int_equal(list[0].pid, child.pid);
		assert_int_equal(list[0].plan, BS_TRACED_TRAP);
		assert_int_equal(bs_collect_traced(seen.c, list, 0), 0);
		assert_int_equal(bs_collect_set_plan(seen.c, child.pid, plan), 0);
		assert_int_equal(bs_collect_traced(seen.c, list, 4), 1);
		assert_int_equal(list[0].plan, plan);
		light_set(seen.c, set, &site, 1);
		child_go(&child);
		hits = drain_until_said(&seen, &child);
		assert_int_equal(hits, 2000);
		/* Each set goes out alone. */
		bs_collect_dark_traps(seen.c, set == BS_TRAPS_ALL ? BS_TRAPS_ALWAYS : BS_TRAPS_ALL);
		assert_false(child_text_clean(&child));
		bs_collect_dark_traps(seen.c, set);
		assert_true(child_text_clean(&child));
		assert_int_equal(child_semaphore(&child), 0);
		bs_collect_dark(seen.c);
		drain(&seen);
		assert_int_equal(counts(&seen).sum.written, plan && set == BS_TRAPS_ALL ? 0 : hits);
		bs_collect_untrace(seen.c, child.pid);
		assert_int_equal(bs_collect_traced(seen.c, list, 4), 0);
		child_end(&child);
		bs_collect_free(seen.c);
	}
}

static void test_tiny_ring_loses_exactly(void **state)
{
	struct seen seen = {.c = collect_new(no_multi(state), 4096)};
	struct bs_collect_counts now;
	struct child child;
	uint64_t hits;

	child_start(&child, "--target", "threads", 5000);
	trace(seen.c, child.pid);
	light(seen.c);
	child_go(&child);
	/* Not read at all while it runs: what is over the ring's size must be lost. */
	assert_int_equal(read(child.from, &hits, sizeof(hits)), sizeof(hits));
	bs_collect_dark(seen.c);
	drain(&seen);
	now = counts(&seen);
	assert_int_equal(hits, 20000);
	assert_int_equal(now.sum.written, hits);
	/* An eighth is kept for who comes and goes; each of 4 may ask before others take. */
	assert_in_range(now.received, 4096 / 8 * 7 / 56 - 1, 4096 / 8 * 7 / 56 + 1 + 4);
	assert_int_equal(now.sum.lost_ring, hits - now.received);
	child_end(&child);
	bs_collect_free(seen.c);
}

static void test_registers_and_constants(void **state)
{
	for (int reg = 0; reg <= NREGS; reg++) {
		struct seen seen = {.c = collect_new(no_multi(state), 0)};
		struct bs_light site = {.index = 9};
		struct child child;
		uint64_t sp;

		site.probe_offset = file_offset((uintptr_t)test_registers_probe);
		site.spec.where[0] = BS_ARG_REG;
		site.spec.reg[0] = (uint16_t)(reg * 8);
		site.spec.where[1] = BS_ARG_CONST;
		site.spec.value[1] = 0xfedcba9876543210u;
		if (reg == NREGS)
			site.spec.reg[0] = REG_SP;
		child_start(&child, "--target", "registers", 0);
		trace(seen.c, child.pid);
		light_all(seen.c, &site, 1);
		child_go(&child);
		sp = drain_until_said(&seen, &child);
		drain(&seen);
		assert_int_equal(seen.marks, 1);
		assert_int_equal(seen.last.site, 9);
		assert_int_equal(seen.last.args[0], reg == NREGS ? sp : 1000u + (unsigned int)reg);
		assert_int_equal(seen.last.args[1], 0xfedcba9876543210u);
		assert_int_equal(seen.last.args[2], 0);
		assert_int_equal(seen.last.tid, child.pid);
		assert_true(seen.last.ts_ns > 0);
		child_end(&child);
		bs_collect_free(seen.c);
		if (no_multi(state))
			break; /* the program is the same; one is enough for the way in */
	}
}

static size_t pid_slot(const struct seen *seen, pid_t pid)
{
	for (size_t i = 0; i < MAX_PIDS; i++)
		if (seen->pids[i].pid == pid)
			return i;
	fail_msg("pid %d was not seen", (int)pid);
	return 0;
}

static void test_fork_followed(void **state)
{
	struct seen seen = {.c = collect_new(no_multi(state), 0)};
	struct child child;
	size_t i;

	child_start(&child, "--target", "fork", 1000);
	trace(seen.c, child.pid);
	light(seen.c);
	child_go(&child);
	drain_until_said(&seen, &child);
	drain(&seen);
	assert_int_equal(seen.forks, 3);
	assert_int_equal(seen.exits, 3);
	assert_int_equal(seen.pids[pid_slot(&seen, child.pid)].marks, 1000);
	assert_true(bs_collect_traces(seen.c, child.pid));
	i = pid_slot(&seen, seen.children[0]);
	assert_int_equal(seen.pids[i].marks, 1001);
	assert_int_equal(seen.pids[i].exit_code, 7 << 8);
	i = pid_slot(&seen, seen.children[1]);
	assert_int_equal(seen.pids[i].marks, 1002);
	assert_int_equal(seen.pids[i].exit_code, SIGKILL);
	i = pid_slot(&seen, seen.children[2]);
	assert_int_equal(seen.pids[i].marks, 1);
	assert_int_equal(seen.pids[i].exit_code, 3 << 8);
	for (i = 0; i < 3; i++)
		assert_false(bs_collect_traces(seen.c, seen.children[i]));
	assert_int_equal(counts(&seen).sum.written, 1000 + 1001 + 1002 + 1);
	assert_int_equal(counts(&seen).sum.life_lost, 0);
	child_end(&child);
	bs_collect_free(seen.c);
}

static void test_exec_followed(void **state)
{
	struct seen seen = {.c = collect_new(no_multi(state), 0)};
	struct child child;
	size_t i;

	child_start(&child, "--target", "exec", 300);
	trace(seen.c, child.pid);
	light(seen.c);
	child_go(&child);
	assert_int_equal(child_end(&child), 5 << 8);
	drain(&seen);
	i = pid_slot(&seen, child.pid);
	assert_int_equal(seen.execs, 1);
	assert_int_equal(seen.exits, 1);
	assert_int_equal(seen.pids[i].marks, 300 + 305);
	assert_int_equal(seen.pids[i].exit_code, 5 << 8);
	assert_int_equal(counts(&seen).sum.written, 605);
	assert_false(bs_collect_traces(seen.c, child.pid));
	bs_collect_free(seen.c);
}

static void test_dead_first_thread(void **state)
{
	struct seen seen = {.c = collect_new(no_multi(state), 0)};
	struct child child;

	child_start(&child, "--target", "dead", 700);
	trace(seen.c, child.pid);
	light(seen.c);
	child_go(&child);
	assert_int_equal(drain_until_said(&seen, &child), 700);
	drain(&seen);
	assert_int_equal(seen.marks, 700);
	assert_int_equal(seen.exits, 0);
	assert_int_equal(counts(&seen).sum.written, 700);
	child_end(&child);
	drain(&seen);
	assert_int_equal(seen.exits, 1);
	assert_int_equal(seen.pids[0].exit_code, 98 << 8);
	bs_collect_free(seen.c);
}

/* Uprobe events in tracefs that carry the number of a tool. */
static unsigned int definitions_of(pid_t pid)
{
	int fs = fsopen("tracefs", FSOPEN_CLOEXEC), root, fd;
	char want[32], line[512];
	unsigned int n = 0;
	FILE *file;

	assert_true(fs >= 0);
	assert_int_equal(fsconfig(fs, FSCONFIG_CMD_CREATE, NULL, NULL, 0), 0);
	root = fsmount(fs, FSMOUNT_CLOEXEC, 0);
	fd = openat(root, "uprobe_events", O_RDONLY | O_CLOEXEC);
	assert_true(fd >= 0);
	file = fdopen(fd, "r");
	snprintf(want, sizeof(want), "p:bscope_%d/", (int)pid);
	while (fgets(line, sizeof(line), file))
		n += !strncmp(line, want, strlen(want));
	fclose(file);
	close(root);
	close(fs);
	return n;
}

static void test_tool_killed(void **state)
{
	struct child child, tool;

	child_start(&child, "--target", "threads", 100);
	child_start(&tool, "--tool", no_multi(state) ? "perf" : "multi", (unsigned long)child.pid);
	assert_false(child_text_clean(&child));
	assert_int_equal(child_semaphore(&child), 1);
	assert_int_equal(kill(tool.pid, SIGKILL), 0);
	assert_int_equal(child_end(&tool), SIGKILL);
	assert_true(child_text_clean(&child));
	assert_int_equal(child_semaphore(&child), 0);
	child_end(&child);

	/* Definitions may stay behind, until the next tool starts. */
	bs_collect_free(collect_new(no_multi(state), 0));
	if (no_multi(state))
		assert_int_equal(definitions_of(tool.pid), 0);
}

/* A 16-bit semaphore that 33,000 sites would raise. */
static void test_many_sites_one_semaphore(void **state)
{
	struct bs_light *sites = calloc(MANY, sizeof(*sites));
	struct seen seen = {.c = collect_new(false, 0)};
	struct child child;

	(void)state;
	assert_non_null(sites);
	for (uint32_t i = 0; i < MANY; i++) {
		sites[i].index = i + 1;
		sites[i].probe_offset = file_offset((uintptr_t)test_many) + i;
		sites[i].semaphore_offset = file_offset((uintptr_t)&semaphore);
		sites[i].spec = three_registers;
	}
	child_start(&child, "--target", "many", 0);
	trace(seen.c, child.pid);
	light_all(seen.c, sites, MANY);
	assert_int_not_equal(child_semaphore(&child), 0);
	child_go(&child);
	assert_int_equal(drain_until_said(&seen, &child), MANY);
	bs_collect_dark(seen.c);
	drain(&seen);
	assert_int_equal(seen.marks, MANY);
	for (int i = 0; i < 4; i++)
		assert_int_equal(seen.by_site[i], MANY / 4);
	assert_int_equal(counts(&seen).sum.written, MANY);
	assert_int_equal(child_semaphore(&child), 0);
	child_end(&child);
	bs_collect_free(seen.c);
	free(sites);
}

static void on_alarm(int sig)
{
	(void)sig;
}

static void test_poll_stops(void **state)
{
	struct seen seen = {.c = collect_new(no_multi(state), 0), .stop_after = 10};
	struct itimerval soon = {.it_value.tv_usec = 20000};
	struct sigaction action = {.sa_handler = on_alarm}, old;
	uint64_t before = 0, hits, begun, written;
	struct child child;

	child_start(&child, "--target", "threads", 50);
	trace(seen.c, child.pid);
	light(seen.c);
	begun = bs_collect_written(seen.c);
	child_go(&child);
	assert_int_equal(read(child.from, &hits, sizeof(hits)), sizeof(hits));
	written = bs_collect_written(seen.c);
	assert_true(written >= begun + 200 * sizeof(struct bs_ring_event));
	assert_false(bs_collect_passed(seen.c, written));
	assert_int_equal(bs_collect_poll(seen.c, 0, on_record, &seen, &before), -1234);
	assert_int_equal(seen.marks, 10);
	assert_true(bs_collect_passed(seen.c, begun));
	assert_false(bs_collect_passed(seen.c, written));
	assert_true(before >= seen.last.ts_ns);
	/* What is left comes with the next call, without waiting for a wake-up. */
	assert_int_equal(bs_collect_poll(seen.c, 1000, on_record, &seen, &before), 190);
	assert_true(bs_collect_passed(seen.c, written));
	assert_int_equal(counts(&seen).received, 200);
	assert_int_equal(bs_collect_poll(seen.c, 1, on_record, &seen, &before), 0);

	assert_int_equal(sigaction(SIGALRM, &action, &old), 0);
	assert_int_equal(setitimer(ITIMER_REAL, &soon, NULL), 0);
	assert_int_equal(bs_collect_poll(seen.c, 60000, on_record, &seen, NULL), -EINTR);
	sigaction(SIGALRM, &old, NULL);
	child_end(&child);
	bs_collect_free(seen.c);
}

static void test_refuses(void **state)
{
	struct bs_collect *c = collect_new(no_multi(state), 0);
	int fd = open("/proc/self/exe", O_RDONLY | O_CLOEXEC),
	    dir = open("/", O_RDONLY | O_CLOEXEC);
	struct bs_light good = {.index = 1, .spec = three_registers}, bad[2];
	struct bs_error err = {0};
	struct child child;
	pid_t pid;

	good.probe_offset = file_offset((uintptr_t)test_site);
	child_start(&child, "--target", "threads", 1);
	assert_int_equal(bs_collect_trace(c, 0, &err), -ESRCH);
	/* a zombie */
	pid = fork();
	if (!pid)
		_exit(0);
	assert_int_equal(waitid(P_PID, (id_t)pid, &(siginfo_t){0}, WEXITED | WNOWAIT), 0);
	assert_int_equal(bs_collect_trace(c, pid, &err), -ESRCH);
	assert_false(bs_collect_traces(c, pid));
	waitpid(pid, NULL, 0);
	assert_int_equal(bs_collect_trace(c, pid, &err), -ESRCH);

	bad[0] = bad[1] = good;
	bad[1].index = 0;
	assert_int_equal(bs_collect_light(c, fd, "name", BS_TRAPS_ALL, bad, 2, &err), -EINVAL);
	bad[1].index = 65537;
	assert_int_equal(bs_collect_light(c, fd, "name", BS_TRAPS_ALL, bad, 2, &err), -EINVAL);
	bad[1].index = 2;
	bad[1].spec.reg[2] = 21 * 16;
	assert_int_equal(bs_collect_light(c, fd, "name", BS_TRAPS_ALL, bad, 2, &err), -EINVAL);
	bad[1].spec.reg[2] = 4;
	assert_int_equal(bs_collect_light(c, fd, "name", BS_TRAPS_ALL, bad, 2, &err), -EINVAL);
	bad[1] = good;
	bad[1].probe_offset = (uint64_t)1 << 40;
	assert_true(bs_collect_light(c, fd, "name", BS_TRAPS_ALL, bad, 2, &err) < 0);
	assert_non_null(strstr(err.text, "name"));
	assert_true(bs_collect_light(c, dir, "root", BS_TRAPS_ALL, &good, 1, &err) < 0);
	assert_non_null(strstr(err.text, "root"));
	/* None of them, not even the good one. */
	assert_true(child_text_clean(&child));
	close(fd);
	close(dir);
	child_end(&child);
	bs_collect_free(c);
}

/* In a child, without what root has: 0 if new fails with code and says word. */
static int new_fails(int code, const char *word)
{
	struct bs_collect_opts opts = {0};
	struct bs_error err = {0};
	struct bs_collect *c;
	int ret = bs_collect_new(&opts, &c, &err);

	if (ret == code && err.code == code && strstr(err.text, word))
		return 0;
	dprintf(2, "bs_collect_new: %d: %s\n", ret, err.text);
	return 1;
}

static int in_child(int (*fn)(void))
{
	int status;
	pid_t pid = fork();

	assert_true(pid >= 0);
	if (!pid)
		_exit(fn());
	assert_int_equal(waitpid(pid, &status, 0), pid);
	return status;
}

static int as_nobody(void)
{
	if (setgid(65534) || setuid(65534))
		return 2;
	return new_fails(-EPERM, "CAP_BPF and CAP_PERFMON are missing");
}

#ifndef __SANITIZE_THREAD__
static int as_user_ns_root(void)
{
	/* The kernel gives none in a chroot: out of it first, by the way over a root below. */
	if (unshare(CLONE_NEWUSER)) {
		if (chdir("/") || chroot("tmp"))
			return 2;
		for (int i = 0; i < 64; i++)
			if (chdir(".."))
				return 2;
		if (chroot(".") || unshare(CLONE_NEWUSER))
			return 2;
	}
	return new_fails(-EPERM, "user namespace");
}
#endif

static int in_pid_ns(void)
{
	int status;
	pid_t pid;

	if (unshare(CLONE_NEWPID))
		return 2;
	pid = fork();
	if (!pid)
		_exit(new_fails(-ENOSYS, "pid namespace"));
	return waitpid(pid, &status, 0) == pid ? status != 0 : 3;
}

static int with_huge_ring(void)
{
	struct bs_collect_opts opts = {.ring_bytes = (size_t)1 << 40};
	struct bs_error err = {0};
	struct bs_collect *c;

	return bs_collect_new(&opts, &c, &err) != -EINVAL || c;
}

static void test_says_what_is_missing(void **state)
{
	(void)state;
	assert_int_equal(in_child(as_nobody), 0);
#ifndef __SANITIZE_THREAD__ /* it has a thread of its own, and a process with threads gets none */
	assert_int_equal(in_child(as_user_ns_root), 0);
#endif
	assert_int_equal(in_child(in_pid_ns), 0);
	assert_int_equal(in_child(with_huge_ring), 0);
}

static unsigned int logged;

static void on_line(const char *line)
{
	assert_null(strchr(line, '\n'));
	logged++;
}

static void test_log(void **state)
{
	struct bs_collect_opts opts = {.log = on_line};
	struct bs_collect *c;

	(void)state;
	assert_int_equal(bs_collect_new(&opts, &c, NULL), 0);
	assert_true(logged > 0);
	bs_collect_free(c);
	bs_collect_free(NULL);
}

static void test_leaves_no_definitions(void **state)
{
	bs_collect_free(collect_new(no_multi(state), 0));
	assert_int_equal(definitions_of(getpid()), 0);
}

/* --- main ------------------------------------------------------------------------------------ */

/* A tool that lights a process and is then killed. */
static int tool(const char *method, pid_t pid)
{
	struct bs_collect *c = collect_new(!strcmp(method, "perf"), 0);

	trace(c, pid);
	light(c);
	say_hello();
	wait_go();
	return 0;
}

static bool multi_state = false, perf_state = true;

#define MULTI(test)                                                     \
	{                                                               \
#test " (uprobe_multi)", test, NULL, NULL, &multi_state \
	}
#define PERF(test)                                                    \
	{                                                             \
#test " (perf events)", test, NULL, NULL, &perf_state \
	}

/*
 * Perf events are for kernels without uprobe_multi, and go through the kernel's trace events: they
 * are tried by "test_collect perf", which tests/e2e/collect.bats runs.
 */
int main(int argc, char **argv)
{
	const struct CMUnitTest tests[] = {
		MULTI(test_nothing_yet),
		MULTI(test_threads_exact),
		MULTI(test_sets),
		MULTI(test_tiny_ring_loses_exactly),
		MULTI(test_registers_and_constants),
		MULTI(test_fork_followed),
		MULTI(test_exec_followed),
		MULTI(test_dead_first_thread),
		MULTI(test_tool_killed),
		MULTI(test_poll_stops),
		MULTI(test_refuses),
#if defined(__x86_64__)
		MULTI(test_stacks),
#endif
		cmocka_unit_test(test_many_sites_one_semaphore),
		cmocka_unit_test(test_says_what_is_missing),
		cmocka_unit_test(test_log),
	};
	const struct CMUnitTest perf_tests[] = {
		PERF(test_nothing_yet),
		PERF(test_threads_exact),
		PERF(test_sets),
		PERF(test_tiny_ring_loses_exactly),
		PERF(test_registers_and_constants),
		PERF(test_fork_followed),
		PERF(test_exec_followed),
		PERF(test_dead_first_thread),
		PERF(test_tool_killed),
		PERF(test_poll_stops),
		PERF(test_refuses),
#if defined(__x86_64__)
		PERF(test_stacks),
#endif
		PERF(test_leaves_no_definitions),
	};

	if (argc == 4 && !strcmp(argv[1], "--target"))
		return target(argv[2], strtoul(argv[3], NULL, 10));
	if (argc == 4 && !strcmp(argv[1], "--tool"))
		return tool(argv[2], (pid_t)strtoul(argv[3], NULL, 10));
	if (argc == 2 && !strcmp(argv[1], "perf"))
		return cmocka_run_group_tests_name("collect perf", perf_tests, NULL, NULL);
	return cmocka_run_group_tests_name("collect", tests, NULL, NULL);
}
