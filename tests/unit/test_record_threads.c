/* SPDX-License-Identifier: GPL-2.0-only */
/*
 * test_record_threads.c - the record path of the runtime: threads and forked children have
 * their own buffers, if there are enough of them.
 */
#define _GNU_SOURCE
#include <stdarg.h>
#include <stddef.h>
#include <setjmp.h>
#include <stdint.h>
#include <cmocka.h>

#include <bscope/bscope.h>

#if defined(__x86_64__)

#include <pthread.h>
#include <sched.h>
#include <sys/time.h>

#include "record_check.h"

/* --- threads -----------------------------------------------------------------------------------
 */

struct worker {
	pthread_t thread;
	uint64_t number, events;
	struct bscope_buffer *buffer;
};

static pthread_barrier_t barrier;
static bool check_each; /* no signals: each event is found where it must be */

static volatile sig_atomic_t alarms;
static __thread volatile uint64_t alarm_events;

static void on_alarm(int sig)
{
	/* Now and then more than a half. */
	unsigned n = ++alarms % 64 ? (unsigned)alarms % 40 : BATCH;

	(void)sig;
	for (unsigned i = 0; i < n; i++)
		record(event_of(1ull << 60 | i, 1 + i % 3));
	alarm_events += n;
}

static void alarm_each(long us)
{
	const struct itimerval every = {{0, us}, {0, us}};
	struct sigaction act = {.sa_handler = on_alarm, .sa_flags = SA_RESTART};

	if (us)
		must(!sigaction(SIGALRM, &act, NULL));
	must(!setitimer(ITIMER_REAL, &every, NULL));
	if (!us)
		signal(SIGALRM, SIG_IGN);
}

static void alarms_block(bool block)
{
	sigset_t set;

	sigemptyset(&set);
	sigaddset(&set, SIGALRM);
	must(!pthread_sigmask(block ? SIG_BLOCK : SIG_UNBLOCK, &set, NULL));
}

static void *work(void *arg)
{
	struct worker *w = arg;
	uint64_t start = 0, extra = 0;
	struct bscope_buffer *b;

	alarms_block(true);
	record(event_of(w->number << 40, 1));
	b = w->buffer = mine();
	pthread_barrier_wait(&barrier);
	if (b) {
		start = b->next - 1;
		extra = b->extra;
	}
	alarm_events = 0;
	alarms_block(false);
	for (uint64_t i = 1; i < w->events; i++) {
		struct event e = event_of(w->number << 40 | i, 1 + i % 3);
		uint64_t pads, at = b ? place(b->next, e.nargs, &pads) : 0, from = tsc();

		record(e);
		if (b && check_each)
			check_event(b, at, e, from, tsc());
	}
	alarms_block(true);
	if (b) {
		must(b->next - start - (b->extra - extra) == w->events + alarm_events);
		must(b->owner == thread_pointer());
	}
	/* Nobody ends before all have been looked at: an address may come twice. */
	pthread_barrier_wait(&barrier);
	return NULL;
}

static void workers_run(struct worker *w, unsigned n, uint64_t events)
{
	must(!pthread_barrier_init(&barrier, NULL, n));
	for (unsigned i = 0; i < n; i++) {
		w[i] = (struct worker){.number = i + 1, .events = events};
		must(!pthread_create(&w[i].thread, NULL, work, &w[i]));
	}
	for (unsigned i = 0; i < n; i++)
		must(!pthread_join(w[i].thread, NULL));
	pthread_barrier_destroy(&barrier);
}

static void test_threads(void **state)
{
	static struct worker w[16];

	(void)state;
	check_each = true;
	workers_run(w, ARRAY(w), 20000);
	for (size_t i = 0; i < ARRAY(w); i++) {
		must(w[i].buffer);
		for (size_t k = 0; k < i; k++)
			must(w[i].buffer != w[k].buffer);
	}
}

static void test_threads_and_alarms(void **state)
{
	static struct worker w[4];

	(void)state;
	check_each = false;
	alarms = 0;
	alarm_each(100);
	while (alarms < 200) {
		workers_run(w, ARRAY(w), 50000);
		wipe(NULL);
	}
	alarm_each(0);
}

/*
 * Threads one after another, whose stacks the C library uses again and with them their thread
 * pointers: they use one buffer, which goes on counting.
 */
static void *one_event(void *arg)
{
	record(event_of(9, 1));
	*(struct bscope_buffer **)arg = mine();
	return NULL;
}

static struct bscope_buffer *by_thread(void)
{
	struct bscope_buffer *seen = NULL;
	pthread_t thread;

	must(!pthread_create(&thread, NULL, one_event, &seen) && !pthread_join(thread, NULL));
	must(seen);
	return seen;
}

static void test_reuse(void **state)
{
	struct bscope_buffer *b, *other;
	uint64_t owner, next;

	(void)state;
	b = by_thread();
	owner = b->owner;
	next = b->next;
	for (unsigned i = 0; i < 100; i++) {
		other = by_thread();
		if (other->owner == owner) {
			must(other == b && b->next == next + 1);
			check_event(b, next, event_of(9, 1), 0, TIME40);
			next++;
		}
	}
	/* Somebody else's, dead or alive, is left alone; */
	b->owner = 0x1000;
	other = by_thread();
	must(other != b && b->owner == 0x1000 && b->next == next);
	/* that of a thread that is known to be dead is anybody's, */
	other->owner = 0x2000;
	b->owner = 0x1000 | BSCOPE_OWNER_DEAD;
	other = by_thread();
	if (other->owner == owner) {
		must(other == b && b->next == next + 1);
		check_event(b, next, event_of(9, 1), 0, TIME40);
		next++;
	}
	/* and one's own, whatever was said of whoever had it before. */
	for (uint64_t flags = 0; flags < 4; flags++) {
		b->owner = owner | flags;
		other = by_thread();
		if (other->owner == owner) {
			must(other == b && b->next == next + 1);
			next++;
		}
	}
}

/* A thread that lives loses its buffer to nobody who has another thread pointer. */
static void test_each_its_own(void **state)
{
	struct bscope_buffer *b, *other;

	(void)state;
	record(event_of(1, 1));
	b = mine();
	for (unsigned i = 0; i < 100; i++) {
		other = by_thread();
		must(other != b && b->owner == thread_pointer());
		record(event_of(1, 1));
		must(mine() == b);
	}
	must(b->next == FIRST + 101);
}

/* More threads than buffers: those that get none are told apart exactly. */
static void test_no_buffer(void **state)
{
	static struct worker w[12];
	uint64_t before = pool()->no_buffer, unrecorded = control()->unrecorded;
	unsigned without = 0;

	(void)state;
	for (uint64_t i = 5; i < control()->buffers; i++)
		pool()->buffers[i].owner = 0x1000;
	check_each = true;
	workers_run(w, ARRAY(w), 5000);
	for (size_t i = 0; i < ARRAY(w); i++)
		without += !w[i].buffer;
	assert_int_equal(without, ARRAY(w) - 5);
	assert_int_equal(pool()->no_buffer, before + without * 5000);
	assert_int_equal(control()->unrecorded, unrecorded);
	assert_int_not_equal(pool()->full_at, 0);
	/* One that becomes free is found; not at once, so the test shortens the wait. */
	pool()->buffers[3].owner = 0;
	pool()->full_at = 0;
	record(event_of(1, 1));
	must(mine() == &pool()->buffers[3]);
	assert_int_equal(pool()->no_buffer, before + without * 5000);
}

/* What a tool asks of a thread: to announce itself; it does so with its next event, once. */
static void test_renew(void **state)
{
	struct bscope_buffer *b = go_to(5);
	uint64_t unrecorded = control()->unrecorded, next;

	(void)state;
	for (unsigned nargs = 1; nargs <= 3; nargs++) {
		uint64_t used = pool()->used;

		next = b->next;
		b->owner |= BSCOPE_OWNER_RENEW;
		record(event_of(3, nargs));
		must(b->owner == thread_pointer());
		check_event(b, next, event_of(3, nargs), 0, TIME40);
		must(pool()->used == used);
		next = b->next;
		record(event_of(3, nargs));
		must(b->owner == thread_pointer());
		check_event(b, next, event_of(3, nargs), 0, TIME40);
	}
	/* Whoever asked is not there any more: nobody listens, and the next one asks again. */
	next = b->next;
	b->owner |= BSCOPE_OWNER_RENEW;
	listen_from_now(false);
	record(event_of(3, 1));
	must(b->next == next + 1 || control()->unrecorded == unrecorded + 1);
	unrecorded = control()->unrecorded;
	next = b->next;
	listen_from_now(true);
	record(event_of(3, 1));
	must(b->next == next + 1 && b->owner == thread_pointer());
	must(control()->unrecorded == unrecorded);
	/* Threads that have one need no free one, and lose nothing while there is none. */
	for (uint64_t i = 0; i < control()->buffers; i++)
		if (&pool()->buffers[i] != b)
			pool()->buffers[i].owner = 0x1000;
	pool()->full_at = tsc();
	next = b->next;
	b->owner |= BSCOPE_OWNER_RENEW;
	record(event_of(3, 1));
	must(b->next == next + 1 && b->owner == thread_pointer());
	must(pool()->no_buffer == 0);
	/* Not asked of this thread. */
	wipe(NULL);
	b = go_to(5);
	b->owner = 0x1000 | BSCOPE_OWNER_RENEW;
	record(event_of(3, 1));
	must(mine() != b && b->owner == (0x1000 | BSCOPE_OWNER_RENEW));
}

/* --- fork --------------------------------------------------------------------------------------
 */

static unsigned begun;

static void *child_thread(void *arg)
{
	struct bscope_buffer **mine_is = arg;

	record(event_of(1, 2));
	__atomic_fetch_add(&begun, 1, __ATOMIC_SEQ_CST);
	for (uint64_t i = 2; i <= 3000; i++)
		record(event_of(i, 1 + i % 3));
	*mine_is = mine();
	must(*mine_is);
	must((*mine_is)->next - FIRST - (*mine_is)->extra == 3000);
	pthread_barrier_wait(&barrier);
	return NULL;
}

/* The thread that forked still points to its parent's buffer, and is not the first to take one. */
static void forked_with_threads(void)
{
	struct bscope_buffer *theirs[3], *own;
	pthread_t thread[3];

	must(!pool()->used && !pool()->no_buffer);
	for (uint64_t i = 0; i < 16; i++)
		must(!pool()->buffers[i].owner && !pool()->buffers[i].next &&
		     !pool()->buffers[i].extra && !pool()->buffers[i].slots[5].head);
	must(!pthread_barrier_init(&barrier, NULL, 4));
	for (size_t i = 0; i < 3; i++)
		must(!pthread_create(&thread[i], NULL, child_thread, &theirs[i]));
	while (__atomic_load_n(&begun, __ATOMIC_SEQ_CST) < 3)
		sched_yield();
	for (uint64_t i = 1; i <= 3000; i++)
		record(event_of(i, 1 + i % 3));
	own = mine();
	must(own && own->next - FIRST - own->extra == 3000);
	pthread_barrier_wait(&barrier);
	for (size_t i = 0; i < 3; i++) {
		must(!pthread_join(thread[i], NULL));
		must(theirs[i] != own);
		for (size_t k = 0; k < i; k++)
			must(theirs[i] != theirs[k]);
	}
}

static void forked_alone(void)
{
	struct bscope_buffer *b;
	uint64_t from = tsc();

	must(!pool()->used && !mine());
	record(event_of(11, 3));
	b = mine();
	must(b && b->next == FIRST + 2 && b->extra == 1);
	check_event(b, FIRST, event_of(11, 3), from, tsc());
	for (uint64_t i = 2; i <= 10000; i++)
		record(event_of(i, 1 + i % 3));
	must(b->next - FIRST - b->extra == 10000);
}

static void forked_not_listening(void)
{
	uint64_t before = control()->unrecorded;

	control()->semaphore = 0;
	record(event_of(11, 3));
	bscope_flush();
	must(control()->unrecorded == before + 1);
	must(!pool()->used && !mine());
}

static void test_fork(void **state)
{
	static struct bscope_buffer copy;
	struct bscope_buffer *b = go_to(100);

	(void)state;
	memcpy(&copy, b, sizeof(copy));
	for (int how = BY_FORK; how <= BY_RAW_CLONE; how++) {
		in_child(how, forked_alone);
		in_child(how, forked_not_listening);
	}
#ifndef __SANITIZE_THREAD__ /* which has no threads in forked children */
	in_child(BY_FORK, forked_with_threads);
#endif
	assert_memory_equal(&copy, b, sizeof(copy));
	assert_int_equal(b->owner, thread_pointer());
	record(event_of(12, 3));
	check_event(b, copy.next, event_of(12, 3), 0, TIME40);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test_setup(test_threads, wipe),
#ifndef __SANITIZE_THREAD__ /* which has handlers run later */
		cmocka_unit_test_setup(test_threads_and_alarms, wipe),
#endif
		cmocka_unit_test_setup(test_reuse, wipe),
		cmocka_unit_test_setup(test_each_its_own, wipe),
		cmocka_unit_test_setup(test_no_buffer, wipe),
		cmocka_unit_test_setup(test_renew, wipe),
		cmocka_unit_test_setup(test_fork, wipe),
	};

	test_pid = getpid();
	return cmocka_run_group_tests(tests, NULL, NULL);
}

#else
#include "no_entries.h"
#endif
