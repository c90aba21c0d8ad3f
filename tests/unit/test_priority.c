/* SPDX-License-Identifier: GPL-2.0-only */
/* test_priority.c - spells of work with low priority, and that they end. */
#define _GNU_SOURCE
#include <stdarg.h>
#include <stddef.h>
#include <setjmp.h>
#include <stdint.h>
#include <cmocka.h>

#include <errno.h>
#include <sched.h>
#include <signal.h>
#include <stdbool.h>
#include <sys/eventfd.h>
#include <sys/resource.h>
#include <sys/wait.h>
#include <unistd.h>

#include "bscope-trace/priority.h"

static int ring;

static int ring_new(void **state)
{
	(void)state;
	ring = eventfd(0, EFD_CLOEXEC);
	return ring < 0;
}

static int ring_end(void **state)
{
	(void)state;
	return close(ring);
}

static void expect(int policy)
{
	assert_int_equal(sched_getscheduler(0), policy);
}

/* Somebody else changes it, sooner or later. */
static void await(int policy)
{
	for (int i = 0; i < 10000 && sched_getscheduler(0) != policy; i++)
		usleep(1000);
	expect(policy);
}

/* May one who has gone down come up again? */
static bool allowed(void)
{
	const struct sched_param none = {0};
	pid_t child = fork();
	int status;

	if (!child)
		_exit(sched_setscheduler(0, SCHED_IDLE, &none) ||
		      sched_setscheduler(0, SCHED_OTHER, &none));
	assert_true(child > 0);
	assert_int_equal(waitpid(child, &status, 0), child);
	return !status;
}

static struct bs_priority *priority_new(void)
{
	struct bs_priority *p = bs_priority_new(ring);

	assert_int_equal(p != NULL, allowed());
	return p;
}

static void low_and_back(void **state)
{
	struct bs_priority *p = priority_new();

	(void)state;
	if (!p)
		return;
	expect(SCHED_OTHER);
	for (int i = 0; i < 1000; i++) {
		bs_priority_low(p);
		bs_priority_low(p);
		bs_priority_normal(p);
		expect(SCHED_OTHER);
		bs_priority_normal(p);
	}
	bs_priority_free(p);
	p = priority_new();
	bs_priority_low(p);
	expect(SCHED_IDLE);
	bs_priority_free(p);
	expect(SCHED_OTHER);
}

static void a_long_spell_is_lifted(void **state)
{
	struct bs_priority *p = priority_new();

	(void)state;
	if (!p)
		return;
	bs_priority_low(p);
	expect(SCHED_IDLE);
	await(SCHED_OTHER);
	bs_priority_normal(p);
	expect(SCHED_OTHER);
	/* For a while there are none. */
	bs_priority_low(p);
	expect(SCHED_OTHER);
	bs_priority_normal(p);
	bs_priority_free(p);
}

/* The ring is looked at by edges: what was there before does not count, what comes does. */
static void a_full_ring_lifts(void **state)
{
	struct bs_priority *p;

	(void)state;
	p = priority_new();
	if (!p)
		return;
	assert_int_equal(eventfd_write(ring, 1), 0);
	for (int i = 0; i < 10000; i++) {
		bs_priority_low(p);
		if (sched_getscheduler(0) == SCHED_OTHER)
			break;
		bs_priority_normal(p);
		usleep(1000);
	}
	expect(SCHED_OTHER);
	bs_priority_free(p);
}

static void nice_stays(void **state)
{
	struct bs_priority *p;
	int before = getpriority(PRIO_PROCESS, 0);

	(void)state;
	assert_int_equal(setpriority(PRIO_PROCESS, 0, 7), 0);
	p = priority_new();
	if (!p)
		return;
	bs_priority_low(p);
	bs_priority_normal(p);
	expect(SCHED_OTHER);
	assert_int_equal(getpriority(PRIO_PROCESS, 0), 7);
	bs_priority_free(p);
	assert_int_equal(setpriority(PRIO_PROCESS, 0, before), 0);
}

/* Who does nothing for himself any more while he is low does not stay so. */
static void who_hangs_is_lifted(void **state)
{
	int pipes[2], status, policy = SCHED_IDLE;
	pid_t child;

	(void)state;
	if (!allowed())
		return;
	assert_int_equal(pipe(pipes), 0);
	child = fork();
	if (!child) {
		/* Stopped: it does nothing for itself any more. */
		bs_priority_low(bs_priority_new(ring));
		if (write(pipes[1], "", 1) != 1)
			_exit(1);
		raise(SIGSTOP);
		_exit(0);
	}
	assert_true(child > 0);
	assert_int_equal(read(pipes[0], &status, 1), 1);
	assert_int_equal(waitpid(child, &status, WUNTRACED), child);
	for (int i = 0; i < 10000 && policy != SCHED_OTHER; i++) {
		policy = sched_getscheduler(child);
		usleep(1000);
	}
	assert_int_equal(policy, SCHED_OTHER);
	assert_int_equal(kill(child, SIGKILL), 0);
	assert_int_equal(waitpid(child, &status, 0), child);
	close(pipes[0]);
	close(pipes[1]);
}

/* Who could not get back does not go down; nor does who was put somewhere on purpose. */
static void not_for_all(void **state)
{
	const struct sched_param rr = {.sched_priority = 1}, none = {0};
	int status;
	pid_t child = fork();

	(void)state;
	if (!child) {
		const struct rlimit no = {0, 0};

		if (setrlimit(RLIMIT_NICE, &no) || setresuid(65534, 65534, 65534))
			_exit(1);
		_exit(bs_priority_new(ring) || sched_getscheduler(0) != SCHED_OTHER ? 2 : 0);
	}
	assert_true(child > 0);
	assert_int_equal(waitpid(child, &status, 0), child);
	assert_int_equal(status, 0);

	/* Where it may: as root. */
	if (!sched_setscheduler(0, SCHED_RR, &rr)) {
		assert_null(bs_priority_new(ring));
		expect(SCHED_RR);
	}
	if (!allowed())
		return;
	assert_int_equal(sched_setscheduler(0, SCHED_IDLE, &none), 0);
	assert_null(bs_priority_new(ring));
	expect(SCHED_IDLE);
	assert_int_equal(sched_setscheduler(0, SCHED_OTHER, &none), 0);
	bs_priority_low(NULL);
	bs_priority_normal(NULL);
	bs_priority_free(NULL);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test_setup_teardown(low_and_back, ring_new, ring_end),
		cmocka_unit_test_setup_teardown(a_long_spell_is_lifted, ring_new, ring_end),
		cmocka_unit_test_setup_teardown(a_full_ring_lifts, ring_new, ring_end),
		cmocka_unit_test_setup_teardown(who_hangs_is_lifted, ring_new, ring_end),
		cmocka_unit_test_setup_teardown(nice_stays, ring_new, ring_end),
		cmocka_unit_test_setup_teardown(not_for_all, ring_new, ring_end),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
