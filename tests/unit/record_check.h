/* SPDX-License-Identifier: GPL-2.0-only */
/*
 * record_check.h - for tests of the runtime's record path, from inside: what a slot must look like,
 * and the events of a test, whose operands follow from a number so that a torn one shows.
 *
 * The test is its own listener: it raises the semaphore itself.  Nothing is attached to the
 * probes, so firing one does nothing.
 *
 * main sets test_pid.
 */
#ifndef RECORD_CHECK_H
#define RECORD_CHECK_H

#include <stdarg.h>
#include <stddef.h>
#include <setjmp.h>
#include <stdint.h>
#include <cmocka.h>

#include <signal.h>
#include <stdbool.h>
#include <stdio.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/syscall.h>
#include <sys/wait.h>
#include <unistd.h>

#include <bscope/bscope.h>
#include <bscope/buffer.h>
#include <bscope/control.h>

/* Not every test needs all of this. */
#pragma GCC diagnostic ignored "-Wunused-function"

#define SLOTS	 ((uint64_t)BSCOPE_BUFFER_SLOTS)
#define BATCH	 ((uint64_t)BSCOPE_BATCH_SLOTS)
#define FIRST	 BSCOPE_BUFFER_FIRST
#define TIME40	 ((1ull << BSCOPE_SLOT_TIME_BITS) - 1)
#define ARRAY(a) (sizeof(a) / sizeof((a)[0]))

/* Works in forked children too, where cmocka's would jump back into the parent's copy of it. */
#define must(truth)                                                                   \
	do {                                                                          \
		if (!(truth)) {                                                       \
			fprintf(stderr, "# %s:%d: %s\n", __FILE__, __LINE__, #truth); \
			must_failed();                                                \
		}                                                                     \
	} while (0)

static pid_t test_pid;

static void must_failed(void)
{
	if (getpid() != test_pid)
		_exit(1);
	fail();
}

/* The runtime, and what it shows to the outside. */
void bscope_record(const struct bscope_site *site, uint64_t id);
void bscope_record2(const struct bscope_site *site, uint64_t id, uint64_t a1);
void bscope_record3(const struct bscope_site *site, uint64_t id, uint64_t a1, uint64_t a2);

static struct bscope_control *control(void)
{
	return (struct bscope_control *)(uintptr_t)bscope_control();
}

static struct bscope_pool *pool(void)
{
	return (struct bscope_pool *)(uintptr_t)control()->pool;
}

static uint64_t thread_pointer(void)
{
	uint64_t tp;

	__asm__("movq %%fs:0,%0" : "=r"(tp));
	return tp;
}

static uint64_t tsc(void)
{
	return __builtin_ia32_rdtsc();
}

static struct bscope_buffer *buffer_of(uint64_t owner)
{
	struct bscope_buffer *found = NULL;

	for (uint64_t i = 0; i < control()->buffers; i++)
		if (pool()->buffers[i].owner == owner) {
			must(!found);
			must(i < pool()->used);
			found = &pool()->buffers[i];
		}
	return found;
}

static struct bscope_buffer *mine(void)
{
	return buffer_of(thread_pointer());
}

static void listen_from_now(bool on)
{
	control()->semaphore = on;
}

/* As after fork: nothing has ever been written. */
static int wipe(void **state)
{
	(void)state;
	must(!madvise(pool(), control()->pool_bytes, MADV_DONTNEED));
	listen_from_now(true);
	return 0;
}

__attribute__((unused)) static uint64_t rng_state = 88172645463325252ull;

static uint64_t rng(void)
{
	rng_state ^= rng_state << 13;
	rng_state ^= rng_state >> 7;
	rng_state ^= rng_state << 17;
	return rng_state;
}

/* Runs fn in a child that was forked by how, and waits for it. */
enum { BY_FORK, BY_RAW_FORK, BY_RAW_CLONE };

static pid_t fork_by(int how)
{
	switch (how) {
	case BY_RAW_FORK:
		return (pid_t)syscall(SYS_fork);
	case BY_RAW_CLONE:
		return (pid_t)syscall(SYS_clone, SIGCHLD, 0, 0, 0, 0);
	default:
		return fork();
	}
}

static void reap(pid_t child)
{
	int status = -1;

	must(child > 0);
	must(waitpid(child, &status, 0) == child);
	must(WIFEXITED(status) && WEXITSTATUS(status) == 0);
}

static void in_child(int how, void (*fn)(void))
{
	pid_t child = fork_by(how);

	if (!child) {
		fn();
		_exit(0);
	}
	reap(child);
}

/* --- what a slot must look like ----------------------------------------------------------------
 */

/* One event of the test: its operands follow from a number, so that a torn one shows. */
struct event {
	uint64_t id;
	uint32_t index;
	unsigned nargs;
};

static uint64_t first_of(uint64_t id)
{
	return id * 0x9e3779b97f4a7c15ull;
}

static uint64_t second_of(uint64_t id)
{
	return (id * 0xbf58476d1ce4e5b9ull) >> 7; /* 57 bits */
}

static uint32_t index_of(uint64_t id, unsigned nargs)
{
	return (uint32_t)((id * 0x94d049bb133111ebull) >> 46) / 3 * 3 % 0xffffc + nargs;
}

static struct event event_of(uint64_t id, unsigned nargs)
{
	return (struct event){id, index_of(id, nargs), nargs};
}

/* Not instrumented: it is single-stepped. */
__attribute__((no_sanitize("thread"))) static void record(struct event e)
{
	struct bscope_site site = {.index = BSCOPE_INDEX(e.index, 0, 0)};

	switch (e.nargs) {
	case 1:
		bscope_record(&site, e.id);
		break;
	case 2:
		bscope_record2(&site, e.id, first_of(e.id));
		break;
	default:
		bscope_record3(&site, e.id, first_of(e.id), second_of(e.id));
	}
}

static const volatile struct bscope_slot *slot(const struct bscope_buffer *b, uint64_t number)
{
	return &b->slots[number % SLOTS];
}

static uint32_t lap(uint64_t number)
{
	return (uint32_t)(number / SLOTS % 8);
}

static bool is_committed(const struct bscope_buffer *b, uint64_t number)
{
	uint64_t head = slot(b, number)->head;

	return head && (head >> 21 & 7) == lap(number);
}

/* Buffer.h, written down once more: where a time is, it is of this interval. */
static void check_event(const struct bscope_buffer *b, uint64_t number, struct event e,
			uint64_t from, uint64_t to)
{
	uint64_t head = slot(b, number)->head, time = head >> 24;

	must((head & 0xfffff) == e.index);
	must((head >> 20 & 1) == 0);
	must((head >> 21 & 7) == lap(number));
	must(((time - from) & TIME40) <= ((to - from) & TIME40));
	must(slot(b, number)->value == e.id);
	if (e.nargs == 1)
		return;
	must(number % BATCH != BATCH - 1);
	head = slot(b, number + 1)->head;
	must((head >> 20 & 1) == 1);
	must((head >> 21 & 7) == lap(number + 1));
	must((head >> 24 | (head & 0xfffff) << 40) == (e.nargs == 3 ? second_of(e.id) : 0));
	must(slot(b, number + 1)->value == first_of(e.id));
}

static void check_empty(const struct bscope_buffer *b, uint64_t number)
{
	uint64_t head = slot(b, number)->head;

	must((head & 0x1fffff) == 0);
	must((head >> 21 & 7) == lap(number));
	must(head >> 24 != 0);
}

/* Where an event goes that is written next, and where the one behind it. */
static uint64_t place(uint64_t next, unsigned nargs, uint64_t *pads)
{
	*pads = nargs > 1 && next % BATCH == BATCH - 1 ? 2 : 0;
	return next + *pads;
}

/* Until the next slot is at this place of a half. */
static struct bscope_buffer *go_to(uint64_t at)
{
	struct bscope_buffer *b;

	record(event_of(1, 1));
	b = mine();
	must(b);
	while (b->next % BATCH != at)
		record(event_of(1, 1));
	return b;
}

#endif
