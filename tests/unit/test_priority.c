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

/* Some other thread changes it, sooner or later. */
static void await(int policy)
{
	for (int i = 0; i < 10000 && sched_getscheduler(0) != policy; i++)
		usleep(1000);
	expect(policy);
}

static void low_and_back(void **state)
{
	struct bs_priority *p = bs_priority_new(ring);

	(void)state;
	assert_non_null(p);
	expect(SCHED_OTHER);
	for (int i = 0; i < 1000; i++) {
		bs_priority_low(p);
		bs_priority_low(p);
		bs_priority_normal(p);
		expect(SCHED_OTHER);
		bs_priority_normal(p);
	}
	bs_priority_free(p);
	p = bs_priority_new(ring);
	assert_non_null(p);
	bs_priority_low(p);
	expect(SCHED_IDLE);
	bs_priority_free(p);
	expect(SCHED_OTHER);
}

static void a_long_spell_is_lifted(void **state)
{
	struct bs_priority *p = bs_priority_new(ring);

	(void)state;
	assert_non_null(p);
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
	p = bs_priority_new(ring);
	assert_non_null(p);
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
	p = bs_priority_new(ring);
	assert_non_null(p);
	bs_priority_low(p);
	bs_priority_normal(p);
	expect(SCHED_OTHER);
	assert_int_equal(getpriority(PRIO_PROCESS, 0), 7);
	bs_priority_free(p);
	assert_int_equal(setpriority(PRIO_PROCESS, 0, before), 0);
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

	assert_int_equal(sched_setscheduler(0, SCHED_RR, &rr), 0);
	assert_null(bs_priority_new(ring));
	expect(SCHED_RR);
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
		cmocka_unit_test_setup_teardown(nice_stays, ring_new, ring_end),
		cmocka_unit_test_setup_teardown(not_for_all, ring_new, ring_end),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
