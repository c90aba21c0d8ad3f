// SPDX-License-Identifier: GPL-2.0-only
/* test_guardian.c - who lights, who darkens, and who is killed meanwhile: target/guardian*.c. */
#define _GNU_SOURCE
#include <dirent.h>
#include <poll.h>
#include <pthread.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <sys/ptrace.h>
#include <sys/syscall.h>

#include <cmocka.h>

#include "base/error.h"
#include "patch_target.h"
#include "target/guardian.h"
#include "target/stop.h"

#define PLAN 3

static pid_t target;

/* A child of the process with that name; 0: none. */
static pid_t find_process(const char *name, pid_t parent)
{
	DIR *dir = opendir("/proc");
	struct dirent *d;
	pid_t found = 0;

	while (dir && (d = readdir(dir))) {
		char path[300], buf[512], *s;
		FILE *file;
		int ppid;
		char state;

		snprintf(path, sizeof(path), "/proc/%s/stat", d->d_name);
		file = atoi(d->d_name) > 0 ? fopen(path, "r") : NULL;
		if (!file)
			continue;
		buf[fread(buf, 1, sizeof(buf) - 1, file)] = '\0';
		fclose(file);
		s = strrchr(buf, ')');
		if (!s || !strstr(buf, name) || sscanf(s + 1, " %c %d", &state, &ppid) != 2)
			continue;
		if (state != 'Z' && state != 'X' && ppid == parent)
			found = atoi(d->d_name);
	}
	if (dir)
		closedir(dir);
	return found;
}

static bool is_gone(pid_t pid)
{
	char state = state_of_process(pid);

	return state == '-' || state == 'Z' || state == 'X';
}

/* The guardian of a tool, once it has its name. */
static pid_t guardian_of(pid_t tool)
{
	pid_t pid = 0;

	assert_true(WAIT_FOR((pid = find_process("bscope-guardian", tool)) > 0));
	return pid;
}

static size_t traced(void *ctx, struct bs_guarded *out, size_t max)
{
	size_t n = 0;

	(void)ctx;
	for (int i = 0; i < 4 && n < max; i++)
		if (shared->pid[i])
			out[n++] = (struct bs_guarded){.pid = shared->pid[i], .plan = PLAN};
	return n;
}

static void lit(void *ctx, pid_t pid, uint32_t plan)
{
	(void)ctx;
	if (pid == target && plan == PLAN && all_lit(pid))
		shared->sent++;
}

static const struct bs_guard_ops ops = {.traced = traced};

static struct bs_guard *guard_new(const struct bs_guard_ops *with)
{
	struct bs_guard *g = NULL;
	struct bs_error err = {0};
	int ret = bs_guard_new(with, &g, &err);

	if (ret)
		print_message("# %s\n", err.text);
	assert_int_equal(ret, 0);
	assert_non_null(g);
	return g;
}

/* As a tool would: what was only unlucky is tried again. */
static int light(struct bs_guard *g, pid_t pid)
{
	int ret = 1;

	for (int i = 0; i < 300; i++) {
		ret = bs_guard_light(g, PLAN, pid, 0, shared->v, SITES, false, &shared->result);
		assert_int_equal(ret, shared->result.code);
		if (ret != -ETIMEDOUT && ret != -EAGAIN)
			break;
		nap(5);
	}
	if (ret)
		print_message("# light: %d %s\n", ret, shared->result.why);
	return ret;
}

static struct bs_dark_result dark_once(struct bs_guard *g)
{
	struct pollfd p = {.fd = bs_guard_fd(g), .events = POLLIN};
	struct bs_dark_result result = {.stuck = 99};

	assert_int_equal(bs_guard_dark(g), 0);
	assert_int_equal(poll(&p, 1, 10000), 1);
	assert_int_equal(bs_guard_dark_wait(g, &result), 0);
	return result;
}

/* Where nobody is stuck for good. */
static struct bs_dark_result dark(struct bs_guard *g)
{
	struct bs_dark_result result = dark_once(g);
	uint32_t processes = result.processes;

	for (int i = 0; i < 10 && result.stuck; i++) {
		print_message("# dark: %s\n", result.why);
		result = dark_once(g);
		processes += result.processes;
	}
	result.processes = processes;
	return result;
}

static void steppers(void)
{
	pthread_t t;

	pthread_create(&t, NULL, step_forever, NULL);
	step_forever(NULL);
}

static int setup(void **state)
{
	(void)state;
	shared_new();
	bs_stop_test_hook = NULL;
	target = child_of(steppers);
	return !WAIT_FOR(shared->steppers == 2 && shared->rounds >= 4);
}

static int teardown(void **state)
{
	(void)state;
	bs_stop_test_hook = NULL;
	end(target);
	/* Nobody is left behind.  (Other tests may have theirs at the same time.) */
	return !WAIT_FOR(!find_process("bscope-guardian", getpid()));
}

static bool runs_on(void)
{
	uint64_t before = shared->rounds;

	return WAIT_FOR(shared->rounds > before + 4) && !shared->wrong;
}

/* --- as intended ------------------------------------------------------------------------------ */

static void test_light_and_dark(void **state)
{
	const struct bs_guard_ops with = {.traced = traced, .lit = lit};
	struct bs_guard *g = guard_new(&with);
	struct bs_dark_result d;
	pid_t pid = guardian_of(getpid());

	(void)state;
	for (uint64_t i = 1; i <= 10; i++) {
		assert_int_equal(light(g, target), 0);
		assert_true(all_lit(target));
		assert_int_equal(shared->sent, i);
		assert_int_equal(shared->result.threads, 2);
		for (size_t k = 0; k < SITES; k++)
			assert_int_equal(shared->v[k].state, BS_PATCH_LIT);
		d = dark(g);
		assert_int_equal(d.stuck, 0);
		assert_int_equal(d.processes, 1);
		assert_true(d.pause_ns > 0 && d.at_ns > 0);
		assert_true(text_intact(target));
	}
	/* Nothing to do is done as well. */
	d = dark(g);
	assert_int_equal(d.processes, 0);
	assert_int_equal(light(g, target), 0);
	assert_true(runs_on());
	bs_guard_free(g);
	assert_true(text_intact(target));
	assert_true(is_gone(pid));
	assert_true(runs_on());
	bs_guard_free(NULL);
}

/* Sees its own text change, and back, and says when. */
static void watch_text(void)
{
	const volatile uint8_t *text =
		(const volatile uint8_t *)(uintptr_t)__start_bs_patch_sites[SITES - 1].addr;
	uint8_t nop = text[1];
	struct timespec ts;

	shared->ready = 1;
	while (text[1] == nop)
		;
	shared->ready = 2;
	while (text[1] != nop)
		;
	clock_gettime(CLOCK_MONOTONIC, &ts);
	shared->told = (uint64_t)ts.tv_sec * 1000000000u + (uint64_t)ts.tv_nsec;
	pause();
}

/* The interval that is reported ends with it: what is marked later is not in it. */
static void test_when_dark(void **state)
{
	struct bs_guard *g = guard_new(&ops);
	uint64_t before;

	(void)state;
	for (int i = 0; i < 20; i++) {
		struct bs_dark_result d;

		end(target);
		shared_new();
		target = child_of(watch_text);
		assert_true(WAIT_FOR(shared->ready));
		assert_int_equal(light(g, target), 0);
		before = shared->result.at_ns;
		assert_true(WAIT_FOR(shared->ready == 2));
		d = dark(g);
		assert_true(WAIT_FOR(shared->told));
		assert_true(d.at_ns > before);
		if (d.at_ns > shared->told)
			fail_msg("said to be dark %u ns after it was",
				 (unsigned)(d.at_ns - shared->told));
	}
	bs_guard_free(g);
}

static uint32_t execs(void *ctx, pid_t pid)
{
	(void)ctx;
	return pid == target ? 2 : 0;
}

/* What the tool knows of is a program that does not run there any more. */
static void test_another_program(void **state)
{
	const struct bs_guard_ops with = {.traced = traced, .lit = lit, .execs = execs};
	struct bs_guard *g = guard_new(&with);
	struct bs_patch_result r;

	(void)state;
	for (int i = 0; i < 10; i++) {
		int ret = bs_guard_light(g, PLAN, target, 0, shared->v, SITES, false, &r);

		assert_true(ret == -EAGAIN || ret == -ETIMEDOUT);
		assert_int_equal(r.written, 0);
		assert_true(text_intact(target));
		assert_int_equal(shared->sent, 0);
	}
	for (int i = 0; i < 300; i++) {
		if (!bs_guard_light(g, PLAN, target, 2, shared->v, SITES, false, &r))
			break;
		nap(5);
	}
	assert_int_equal(r.code, 0);
	assert_true(all_lit(target));
	assert_int_equal(shared->sent, 1);
	assert_int_equal(dark(g).processes, 1);
	bs_guard_free(g);
}

/* In two parts, and the second one twice. */
static void test_plan_grows(void **state)
{
	struct bs_guard *g = guard_new(&ops);
	struct bs_patch_result r;

	(void)state;
	for (int i = 0; i < 300; i++) {
		if (!bs_guard_light(g, PLAN, target, 0, shared->v, 10, false, &r))
			break;
		nap(5);
	}
	assert_int_equal(r.code, 0);
	assert_true(is_lit(target, &shared->v[9]));
	assert_false(is_lit(target, &shared->v[10]));
	assert_int_equal(light(g, target), 0);
	assert_int_equal(light(g, target), 0);
	assert_true(all_lit(target));
	assert_int_equal(dark(g).processes, 1);
	assert_true(text_intact(target));
	bs_guard_free(g);
}

/* As a tool would, of some of what is lit. */
static int darken(struct bs_guard *g, pid_t pid, struct bs_patch *v, size_t n)
{
	struct bs_patch_result r;
	int ret = 1;

	for (int i = 0; i < 300; i++) {
		ret = bs_guard_darken(g, PLAN, pid, v, n, &r);
		assert_int_equal(ret, r.code);
		if (ret != -ETIMEDOUT && ret != -EAGAIN)
			break;
		nap(5);
	}
	if (ret)
		print_message("# darken: %d %s\n", ret, r.why);
	return ret;
}

/* Exactly those from first on, so many, are dark. */
static bool dark_are(pid_t pid, size_t first, size_t n)
{
	for (size_t i = 0; i < SITES; i++)
		if (is_lit(pid, &shared->v[i]) == (i >= first && i < first + n))
			return false;
	return true;
}

/* Some go dark and come back, the others stay. */
static void test_darken(void **state)
{
	struct bs_guard *g = guard_new(&ops);
	struct bs_patch_result r;

	(void)state;
	assert_int_equal(light(g, target), 0);
	for (size_t i = 0; i < 20; i++) {
		size_t first = i * 37 % SITES, n = 1 + i * 11 % (SITES - first);

		assert_int_equal(darken(g, target, &shared->v[first], n), 0);
		for (size_t k = first; k < first + n; k++)
			assert_int_equal(shared->v[k].state, BS_PATCH_DARK);
		assert_true(dark_are(target, first, n));
		/* What is dark stays so. */
		assert_int_equal(darken(g, target, &shared->v[first], n), 0);
		assert_true(dark_are(target, first, n));
		assert_true(runs_on());
		assert_int_equal(light(g, target), 0);
		assert_true(all_lit(target));
	}
	assert_int_equal(darken(g, target, shared->v, SITES), 0);
	assert_true(text_intact(target));
	assert_int_equal(light(g, target), 0);
	assert_int_equal(darken(g, target, &shared->v[10], 50), 0);
	/* The guardian knows the rest. */
	assert_int_equal(dark(g).processes, 1);
	assert_true(text_intact(target));
	/* The plan has them still: its children are put right as well. */
	assert_int_equal(light(g, target), 0);
	assert_int_equal(darken(g, target, &shared->v[3], 1), 0);
	bs_guard_free(g);
	assert_true(text_intact(target));
	assert_true(runs_on());
	/* Nobody is there. */
	g = guard_new(&ops);
	assert_int_equal(light(g, target), 0);
	end(target);
	assert_int_equal(bs_guard_darken(g, PLAN, target, shared->v, SITES, &r), -ESRCH);
	assert_true(r.why[0]);
	bs_guard_free(g);
}

/* The guardian is killed in between, again and again: nothing is forgotten. */
static void test_darken_guardian_killed(void **state)
{
	struct bs_guard *g = guard_new(&ops);
	pid_t killed;

	(void)state;
	for (int i = 0; i < 3; i++) {
		assert_int_equal(light(g, target), 0);
		kill(guardian_of(getpid()), SIGKILL);
		assert_int_equal(darken(g, target, &shared->v[5], 60), 0);
		assert_true(dark_are(target, 5, 60));
		killed = guardian_of(getpid());
		kill(killed, SIGKILL);
		/* Its end of the socket is closed then. */
		assert_true(WAIT_FOR(is_gone(killed)));
		assert_int_equal(bs_guard_check(g), 0);
		assert_true(dark_are(target, 5, 60));
	}
	kill(guardian_of(getpid()), SIGKILL);
	assert_int_equal(dark(g).stuck, 0);
	assert_true(text_intact(target));
	bs_guard_free(g);
	assert_true(runs_on());
}

static void test_errors(void **state)
{
	struct bs_guard *g = guard_new(&ops);
	pid_t gone = child_of(steppers);

	(void)state;
	end(gone);
	assert_int_equal(bs_guard_light(g, PLAN, gone, 0, shared->v, SITES, false, &shared->result),
			 -ESRCH);
	assert_true(shared->result.why[0]);
	assert_int_equal(dark(g).stuck, 0);
	bs_guard_free(g);
}

static void seize_target(void)
{
	if (!ptrace(PTRACE_SEIZE, target, NULL, NULL))
		shared->ready = 1;
	for (;;)
		pause();
}

static void test_debugger(void **state)
{
	struct bs_guard *g = guard_new(&ops);
	pid_t debugger = child_of(seize_target);
	char number[32];

	(void)state;
	assert_true(WAIT_FOR(shared->ready));
	assert_int_equal(
		bs_guard_light(g, PLAN, target, 0, shared->v, SITES, false, &shared->result),
		-EPERM);
	snprintf(number, sizeof(number), "pid %d", debugger);
	assert_non_null(strstr(shared->result.why, number));
	end(debugger);
	assert_int_equal(light(g, target), 0);
	bs_guard_free(g);
	assert_true(text_intact(target));
}

/* --- children --------------------------------------------------------------------------------- */

static void fork_when_told(void)
{
	pid_t pid;

	while (!shared->go)
		patch_steps(7);
	pid = fork();
	if (!pid) {
		prctl(PR_SET_PDEATHSIG, SIGKILL);
		shared->pid[1] = getpid();
	}
	steppers();
}

static void test_forked_child(void **state)
{
	struct bs_guard *g = guard_new(&ops);
	pid_t parent = child_of(fork_when_told);
	struct bs_dark_result d;

	(void)state;
	assert_int_equal(light(g, parent), 0);
	shared->go = 1;
	assert_true(WAIT_FOR(shared->pid[1]));
	assert_true(all_lit(shared->pid[1]));
	d = dark(g);
	assert_int_equal(d.stuck, 0);
	assert_int_equal(d.processes, 2);
	assert_true(text_intact(parent));
	assert_true(text_intact(shared->pid[1]));
	assert_true(runs_on());
	kill(shared->pid[1], SIGKILL);
	end(parent);
	bs_guard_free(g);
}

/* --- deaths ----------------------------------------------------------------------------------- */

static pid_t tool_target;

static void tool(void)
{
	struct bs_guard *g;

	if (bs_guard_new(&ops, &g, NULL))
		_exit(1);
	while (bs_guard_light(g, PLAN, tool_target, 0, shared->v, SITES, false, &shared->result))
		nap(5);
	shared->ready = 1;
	for (;;)
		pause();
}

static void test_tool_killed(void **state)
{
	pid_t pid, guardian, parent;

	(void)state;
	for (int i = 0; i < 5; i++) {
		shared->ready = 0;
		tool_target = target;
		pid = child_of(tool);
		assert_true(WAIT_FOR(shared->ready));
		assert_true(all_lit(target));
		guardian = guardian_of(pid);
		end(pid);
		assert_true(WAIT_FOR(text_intact(target)));
		assert_true(WAIT_FOR(is_gone(guardian)));
		assert_true(runs_on());
	}
	/* With a child that it had forked. */
	shared->ready = 0;
	parent = tool_target = child_of(fork_when_told);
	pid = child_of(tool);
	assert_true(WAIT_FOR(shared->ready));
	shared->go = 1;
	assert_true(WAIT_FOR(shared->pid[1]));
	end(pid);
	assert_true(WAIT_FOR(text_intact(parent)));
	assert_true(WAIT_FOR(text_intact(shared->pid[1])));
	assert_true(runs_on());
	kill(shared->pid[1], SIGKILL);
	end(parent);
}

/* At any moment, also in the middle of lighting and darkening. */
static void busy_tool(void)
{
	struct bs_dark_result d;
	struct bs_guard *g;

	if (bs_guard_new(&ops, &g, NULL))
		_exit(1);
	for (;;) {
		bs_guard_light(g, PLAN, target, 0, shared->v, SITES, false, &shared->result);
		shared->ready++;
		bs_guard_dark(g);
		bs_guard_dark_wait(g, &d);
	}
}

static void test_tool_killed_any_time(void **state)
{
	(void)state;
	for (unsigned i = 0; i < 15; i++) {
		pid_t pid, guardian = 0;

		shared->ready = 0;
		pid = child_of(busy_tool);
		assert_true(WAIT_FOR(shared->ready));
		guardian = guardian_of(pid);
		nap(i % 7);
		end(pid);
		assert_true(WAIT_FOR(is_gone(guardian)));
		assert_true(text_intact(target));
	}
	assert_true(runs_on());
}

/* Some are dark and some lit, or it is just at it. */
static void steering_tool(void)
{
	struct bs_patch_result r;
	struct bs_guard *g;

	if (bs_guard_new(&ops, &g, NULL))
		_exit(1);
	for (size_t i = 0;; i++) {
		size_t first = i * 37 % SITES;

		while (bs_guard_light(g, PLAN, target, 0, shared->v, SITES, false, &shared->result))
			nap(1);
		bs_guard_darken(g, PLAN, target, &shared->v[first], SITES - first, &r);
		shared->ready++;
	}
}

static void test_darkening_tool_killed(void **state)
{
	(void)state;
	for (unsigned i = 0; i < 15; i++) {
		pid_t pid, guardian = 0;

		shared->ready = 0;
		pid = child_of(steering_tool);
		assert_true(WAIT_FOR(shared->ready > i % 4));
		guardian = guardian_of(pid);
		nap(i % 7);
		end(pid);
		assert_true(WAIT_FOR(is_gone(guardian)));
		assert_true(text_intact(target));
	}
	assert_true(runs_on());
}

static void test_guardian_killed(void **state)
{
	struct bs_guard *g = guard_new(&ops);
	int fd = bs_guard_fd(g);
	struct bs_dark_result d;

	(void)state;
	for (int i = 0; i < 3; i++) {
		pid_t pid = guardian_of(getpid());

		kill(pid, SIGKILL);
		assert_int_equal(light(g, target), 0);
		assert_true(all_lit(target));
		assert_true(is_gone(pid));

		pid = guardian_of(getpid());
		kill(pid, SIGKILL);
		d = dark(g);
		assert_int_equal(d.stuck, 0);
		assert_int_equal(d.processes, 1);
		assert_true(text_intact(target));

		/* Nobody asks for anything, but the tool polls. */
		assert_int_equal(bs_guard_check(g), 0);
		pid = guardian_of(getpid());
		kill(pid, SIGKILL);
		assert_true(WAIT_FOR(is_gone(pid)));
		assert_int_equal(bs_guard_check(g), 0);
		assert_true(guardian_of(getpid()) > 0);
		assert_int_equal(bs_guard_fd(g), fd);
	}
	assert_int_equal(light(g, target), 0);
	kill(guardian_of(getpid()), SIGKILL);
	assert_int_equal(bs_guard_check(g), 0);
	bs_guard_free(g);
	assert_true(text_intact(target));
	assert_true(runs_on());
}

/* Does what a guardian's replacement must not keep open stay open? */
static void test_replacement_closes(void **state)
{
	struct bs_guard *g = guard_new(&ops);
	int p[2];
	char byte;

	(void)state;
	assert_int_equal(pipe(p), 0);
	kill(guardian_of(getpid()), SIGKILL);
	assert_int_equal(light(g, target), 0);
	close(p[1]);
	assert_int_equal(read(p[0], &byte, 1), 0);
	close(p[0]);
	bs_guard_free(g);
}

static void stop_surgeon_once(void)
{
	if (!shared->told) {
		shared->told = 1;
		raise(SIGSTOP);
	}
}

static void kill_surgeon_once(void)
{
	if (!shared->told) {
		shared->told = 1;
		raise(SIGKILL);
	}
}

static void kill_guardian_once(void)
{
	if (!shared->told) {
		shared->told = 1;
		kill(getppid(), SIGKILL);
		nap(10);
	}
}

static void test_surgeon_stuck(void **state)
{
	struct bs_guard *g;

	(void)state;
	bs_stop_test_hook = stop_surgeon_once;
	g = guard_new(&ops);
	while (!shared->told)
		bs_guard_light(g, PLAN, target, 0, shared->v, SITES, false, &shared->result);
	assert_int_equal(shared->result.code, -ETIMEDOUT);
	assert_non_null(strstr(shared->result.why, "too long"));
	assert_int_equal(shared->told, 1);
	assert_true(runs_on());
	for (size_t i = 0; i < SITES; i++)
		assert_int_equal(shared->v[i].state, BS_PATCH_DARK);
	assert_int_equal(light(g, target), 0);
	assert_true(all_lit(target));
	shared->told = 0;
	assert_int_equal(dark(g).stuck, 0);
	assert_true(text_intact(target));
	assert_true(runs_on());
	bs_guard_free(g);
}

static void test_surgeon_killed(void **state)
{
	struct bs_guard *g;

	(void)state;
	bs_stop_test_hook = kill_surgeon_once;
	g = guard_new(&ops);
	assert_int_equal(
		bs_guard_light(g, PLAN, target, 0, shared->v, SITES, false, &shared->result),
		-ETIMEDOUT);
	assert_true(runs_on());
	assert_int_equal(light(g, target), 0);
	bs_guard_free(g);
	assert_true(text_intact(target));
}

/* In the middle of a stop: the surgeon ends it, the next guardian waits for that. */
static void test_guardian_killed_in_stop(void **state)
{
	struct bs_guard *g;

	(void)state;
	bs_stop_test_hook = kill_guardian_once;
	g = guard_new(&ops);
	assert_int_equal(light(g, target), 0);
	assert_int_equal(shared->told, 1);
	assert_true(all_lit(target));
	shared->told = 0;
	assert_int_equal(dark(g).stuck, 0);
	assert_int_equal(shared->told, 1);
	assert_true(text_intact(target));
	assert_true(runs_on());
	bs_guard_free(g);
}

static void test_guardian_hangs(void **state)
{
	struct bs_guard *g = guard_new(&ops);
	pid_t pid = guardian_of(getpid());

	(void)state;
	kill(pid, SIGSTOP);
	assert_int_equal(light(g, target), 0);
	assert_true(is_gone(pid));
	assert_true(all_lit(target));
	bs_guard_free(g);
	assert_true(text_intact(target));
}

/* --- who cannot be darkened now --------------------------------------------------------------- */

static void vfork_when_told(void)
{
	pid_t pid;

	while (!shared->go)
		patch_steps(7);
	pid = vfork();
	if (!pid) {
		shared->ready = 1;
		while (!shared->told)
			nap(5);
		_exit(0);
	}
	step_forever(NULL);
}

static void test_stuck(void **state)
{
	struct bs_guard *g = guard_new(&ops);
	pid_t pid = child_of(vfork_when_told), guardian;
	struct bs_dark_result d;

	(void)state;
	assert_int_equal(light(g, pid), 0);
	assert_int_equal(light(g, target), 0);
	shared->go = 1;
	assert_true(WAIT_FOR(shared->ready));
	d = dark_once(g);
	assert_true(d.stuck >= 1);
	assert_true(d.stuck_pid > 0);
	assert_true(d.why[0]);
	assert_false(text_intact(pid));
	guardian = guardian_of(getpid());
	bs_guard_free(g);
	assert_false(text_intact(pid));
	shared->told = 1;
	assert_true(WAIT_FOR(text_intact(pid)));
	assert_true(WAIT_FOR(is_gone(guardian)));
	waitpid(guardian, NULL, WNOHANG);
	assert_true(runs_on());
	end(pid);
}

static void exec_when_told(void)
{
	while (!shared->go)
		patch_steps(7);
	execl("/proc/self/exe", "test_guardian", "--sleep", NULL);
	_exit(9);
}

static void test_exec(void **state)
{
	struct bs_guard *g = guard_new(&ops);
	pid_t pid = child_of(exec_when_told);
	char path[64], exe[4096] = "";
	struct bs_dark_result d;

	(void)state;
	assert_int_equal(light(g, pid), 0);
	shared->go = 1;
	snprintf(path, sizeof(path), "/proc/%d/cmdline", pid);
	assert_true(WAIT_FOR(({
		int fd = open(path, O_RDONLY);
		ssize_t got = fd < 0 ? -1 : read(fd, exe, sizeof(exe) - 1);

		if (fd >= 0)
			close(fd);
		exe[got > 0 ? got : 0] = '\0';
		!strcmp(exe, "test_guardian");
	})));
	d = dark(g);
	assert_int_equal(d.stuck, 0);
	assert_int_equal(d.processes, 0);
	assert_false(is_gone(pid));
	end(pid);
	bs_guard_free(g);
}

int main(int argc, char **argv)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test_setup_teardown(test_another_program, setup, teardown),
		cmocka_unit_test_setup_teardown(test_plan_grows, setup, teardown),
		cmocka_unit_test_setup_teardown(test_darken, setup, teardown),
		cmocka_unit_test_setup_teardown(test_errors, setup, teardown),
		cmocka_unit_test_setup_teardown(test_exec, setup, teardown),
		cmocka_unit_test_setup_teardown(test_light_and_dark, setup, teardown),
		cmocka_unit_test_setup_teardown(test_when_dark, setup, teardown),
		cmocka_unit_test_setup_teardown(test_debugger, setup, teardown),
		cmocka_unit_test_setup_teardown(test_forked_child, setup, teardown),
		cmocka_unit_test_setup_teardown(test_tool_killed, setup, teardown),
		cmocka_unit_test_setup_teardown(test_tool_killed_any_time, setup, teardown),
		cmocka_unit_test_setup_teardown(test_darkening_tool_killed, setup, teardown),
		cmocka_unit_test_setup_teardown(test_darken_guardian_killed, setup, teardown),
		cmocka_unit_test_setup_teardown(test_guardian_killed, setup, teardown),
		cmocka_unit_test_setup_teardown(test_replacement_closes, setup, teardown),
		cmocka_unit_test_setup_teardown(test_surgeon_stuck, setup, teardown),
		cmocka_unit_test_setup_teardown(test_surgeon_killed, setup, teardown),
		cmocka_unit_test_setup_teardown(test_guardian_killed_in_stop, setup, teardown),
		cmocka_unit_test_setup_teardown(test_guardian_hangs, setup, teardown),
		cmocka_unit_test_setup_teardown(test_stuck, setup, teardown),
	};
	/*
	 * ThreadSanitizer has a thread of its own in every process, holds signals back and changes
	 * vfork: with it only these.
	 */
	const struct CMUnitTest few[] = {
		cmocka_unit_test_setup_teardown(test_another_program, setup, teardown),
		cmocka_unit_test_setup_teardown(test_plan_grows, setup, teardown),
		cmocka_unit_test_setup_teardown(test_darken, setup, teardown),
		cmocka_unit_test_setup_teardown(test_errors, setup, teardown),
		cmocka_unit_test_setup_teardown(test_exec, setup, teardown),
	};

	if (argc == 2 && !strcmp(argv[1], "--sleep"))
		for (;;)
			pause();
#ifdef __SANITIZE_THREAD__
	(void)tests;
	return cmocka_run_group_tests_name("guardian", few, NULL, NULL);
#else
	(void)few;
	return cmocka_run_group_tests_name("guardian", tests, NULL, NULL);
#endif
}
