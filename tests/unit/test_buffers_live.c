/* SPDX-License-Identifier: GPL-2.0-only */
/*
 * test_buffers_live.c - the reader of the buffers against the real runtime: threads and children
 * that record as fast as they can, while it looks, loses, is late and is told things twice.
 *
 * The test stands in for the BPF programs: a breakpoint on each of the runtime's own probes, whose
 * handler copies half a buffer in the thread that filled it, as bpf/batch.h does, into a ring in
 * shared memory.
 */
#define _GNU_SOURCE
#include <stdarg.h>
#include <stddef.h>
#include <setjmp.h>
#include <stdint.h>
#include <cmocka.h>

#if defined(__x86_64__)

#include <fcntl.h>
#include <link.h>
#include <pthread.h>
#include <sched.h>
#include <stdatomic.h>
#include <stdlib.h>
#include <sys/time.h>
#include <ucontext.h>

#include "base/error.h"
#include "bpf/event.h"
#include "collect/buffers.h"
#include "decode/tsc.h"
#include "record_check.h"
#include "target/elf.h"
#include "target/module.h"
#include "target/stapsdt.h"

/* --- what all processes of a test share --------------------------------------------------------
 */

#define RING	      256u
#define WRITERS	      400u
#define EVENTS_MAX    (1u << 20)
#define WRITER_SHIFT  32
#define WRITER_OF(id) ((id) >> WRITER_SHIFT)
#define NUMBER_OF(id) ((id) & (EVENTS_MAX - 1))

static struct shared {
	atomic_int lock;
	uint64_t put, got;
	struct bs_ring_batch ring[RING];
	/* How the ring behaves: one record in so many is lost; or it waits for the reader. */
	unsigned drop_one_in;
	bool wait;
	uint64_t dropped, rng;
	/* By writer: events begun, events over, its thread. */
	_Atomic uint64_t begun[WRITERS], over[WRITERS];
	atomic_int tid[WRITERS];
	bool silent[WRITERS];
	atomic_int go;
} * shared;

static void lock(void)
{
	while (atomic_exchange(&shared->lock, 1))
		sched_yield();
}

static void unlock(void)
{
	atomic_store(&shared->lock, 0);
}

/* --- in place of BPF ---------------------------------------------------------------------------
 */

static uintptr_t batch_probe, buffer_probe;
static __thread const struct bscope_buffer *my_buffer; /* as the kernel's programs remember it */

static void ring_put(const struct bscope_buffer *b, uint32_t type, uint64_t end, uint32_t flags)
{
	struct bs_ring_batch *to;

	lock();
	while (shared->wait && shared->put - shared->got == RING) {
		unlock();
		sched_yield();
		lock();
	}
	shared->rng = shared->rng * 6364136223846793005ull + 1442695040888963407ull;
	if (shared->put - shared->got == RING ||
	    (shared->drop_one_in && (shared->rng >> 33) % shared->drop_one_in == 0)) {
		shared->dropped++;
		unlock();
		return;
	}
	to = &shared->ring[shared->put % RING];
	to->pid = (uint32_t)getpid();
	to->tid = (uint32_t)syscall(SYS_gettid);
	to->type = type;
	to->flags = flags;
	to->buffer = (uintptr_t)b; /* args[0] of the short ones */
	if (type == BS_RING_BATCH) {
		to->owner = b->owner;
		to->next = b->next;
		to->extra = b->extra;
		to->end = end ? end : to->next;
		memcpy(to->slots, &b->slots[(to->end - 1) % SLOTS / BATCH * BATCH],
		       sizeof(to->slots));
	}
	shared->put++;
	unlock();
}

static void on_probe(int sig, siginfo_t *info, void *context)
{
	const greg_t *reg = ((ucontext_t *)context)->uc_mcontext.gregs;
	const struct bscope_buffer *b = (void *)(uintptr_t)reg[REG_RDI];
	uintptr_t at = (uintptr_t)reg[REG_RIP] - 1;

	(void)sig;
	(void)info;
	my_buffer = b;
	if (at == batch_probe)
		ring_put(b, BS_RING_BATCH, (uint64_t)reg[REG_RSI], 0);
	else if (at == buffer_probe)
		ring_put(b, BS_RING_BUFFER, 0, 0);
	else
		abort();
}

static int first_object(struct dl_phdr_info *info, size_t size, void *bias)
{
	(void)size;
	*(uintptr_t *)bias = info->dlpi_addr;
	return 1;
}

/* Text has no place in ThreadSanitizer's books. */
__attribute__((no_sanitize("thread"))) static void breakpoint(uintptr_t at)
{
	must(*(uint8_t *)at == 0x90);
	must(!mprotect((void *)(at & ~(uintptr_t)4095), 4096, PROT_READ | PROT_WRITE | PROT_EXEC));
	*(uint8_t *)at = 0xcc;
	must(!mprotect((void *)(at & ~(uintptr_t)4095), 4096, PROT_READ | PROT_EXEC));
}

/* Each probe of the runtime is one place in its code: whoever listens, listens there alone. */
static int count_place(void *counts, const struct bs_stapsdt_note *note)
{
	if (!strcmp(note->provider, BSCOPE_PROVIDER)) {
		((unsigned *)counts)[0] += !strcmp(note->name, "batch");
		((unsigned *)counts)[1] += !strcmp(note->name, "buffer");
	}
	return 0;
}

static void test_places(void **state)
{
	unsigned counts[2] = {0};
	struct bs_error err = {0};
	struct bs_elf elf;
	uint64_t bad;
	int fd = open("/proc/self/exe", O_RDONLY | O_CLOEXEC);

	(void)state;
	assert_int_equal(bs_elf_init(&elf, fd, "this test", &err), 0);
	assert_int_equal(bs_stapsdt_walk(&elf, count_place, counts, &bad), 0);
	bs_elf_fini(&elf);
	close(fd);
	assert_int_equal(counts[0], 1);
	assert_int_equal(counts[1], 1);
}

/* Where the probes are says this program's own file, read as the tool would. */
static int attach(void **state)
{
	struct sigaction act = {.sa_flags = SA_SIGINFO | SA_RESTART};
	int fd = open("/proc/self/exe", O_RDONLY | O_CLOEXEC);
	uint64_t batch_vaddr, buffer_vaddr;
	struct bs_error err = {0};
	struct bs_module *m;
	uintptr_t bias;

	(void)state;
	shared = mmap(NULL, sizeof(*shared), PROT_READ | PROT_WRITE, MAP_SHARED | MAP_ANONYMOUS, -1,
		      0);
	assert_true(shared != MAP_FAILED);
	assert_int_equal(bs_module_read(fd, "this test", &m, &err), 0);
	dl_iterate_phdr(first_object, &bias);
	assert_int_equal(bias + m->runtime.control_vaddr, (uintptr_t)bscope_control());
	assert_true(bs_module_vaddr_find(m, m->runtime.batch_offset, &batch_vaddr));
	assert_true(bs_module_vaddr_find(m, m->runtime.buffer_offset, &buffer_vaddr));
	bs_module_free(m);
	batch_probe = bias + batch_vaddr;
	buffer_probe = bias + buffer_vaddr;
	act.sa_sigaction = on_probe;
	/* It holds a lock. */
	sigemptyset(&act.sa_mask);
	sigaddset(&act.sa_mask, SIGALRM);
	assert_int_equal(sigaction(SIGTRAP, &act, NULL), 0);
	breakpoint(batch_probe);
	breakpoint(buffer_probe);
	return 0;
}

/* --- what comes out ----------------------------------------------------------------------------
 */

static struct {
	uint64_t received[WRITERS], last[WRITERS];
	uint8_t *once[WRITERS]; /* bits by number */
	uint64_t events, orphans;
	bool unordered;	    /* handlers interrupt: an event may come after later ones */
	bool anybody;	    /* records are lost: nobody may know whose a buffer is */
	uint64_t watermark; /* no event is older, but for what the clock does by itself; 0: none */
} out;

/* Two reads of the counter in one thread may come out of order by so little. */
#define CLOCK_SLACK 1000

static void out_event(uint32_t tid, uint64_t head, uint64_t id)
{
	uint64_t w = WRITER_OF(id), number = NUMBER_OF(id), stamp;

	must(w < WRITERS);
	/* Not invented, not twice, in order. */
	must(number && number <= atomic_load(&shared->begun[w]));
	if (!out.once[w])
		must(out.once[w] = calloc(1, EVENTS_MAX / 8));
	must(!(out.once[w][number / 8] & 1 << number % 8));
	out.once[w][number / 8] |= (uint8_t)(1 << number % 8);
	must(out.unordered || number > out.last[w]);
	out.last[w] = number;
	out.received[w]++;
	out.events++;
	/* Where the record of a thread's end is lost, its last events may pass for the next one's.
	 */
	must(tid == (uint32_t)atomic_load(&shared->tid[w]) || (!tid && out.anybody) ||
	     shared->silent[w]);
	stamp = bs_tsc_widen(head >> BSCOPE_SLOT_TIME_SHIFT, BSCOPE_SLOT_TIME_BITS, bs_tsc_now());
	must(stamp + CLOCK_SLACK >= out.watermark);
}

static int out_take(void *ctx, uint32_t pid, uint32_t tid, uint32_t buffer,
		    const struct bscope_slot *slots, size_t n)
{
	(void)buffer;
	(void)ctx;
	(void)pid;
	must(n && n <= SLOTS);
	for (size_t i = 0; i < n; i++) {
		uint64_t head = slots[i].head, id = slots[i].value;
		struct event e = event_of(id, 1 + id % 3);

		if (head & BSCOPE_SLOT_EXTRA) {
			out.orphans++;
			continue;
		}
		if (!(head & BSCOPE_SLOT_INDEX_MASK))
			continue;
		must((head & BSCOPE_SLOT_INDEX_MASK) == e.index);
		if (e.nargs > 1) {
			must(++i < n);
			must(slots[i].head & BSCOPE_SLOT_EXTRA);
			must(slots[i].value == first_of(id));
			must((slots[i].head >> 24 | (slots[i].head & BSCOPE_SLOT_INDEX_MASK)
							    << 40) ==
			     (e.nargs == 3 ? second_of(id) : 0));
		}
		out_event(tid, head, id);
	}
	return 0;
}

/* --- the reader --------------------------------------------------------------------------------
 */

static struct bs_buffers *buffers;

/* What goes wrong on the way. */
static struct trouble {
	unsigned drop_one_in; /* records that do not fit */
	bool late;	      /* records are left for a later look */
	bool twice;	      /* records come again */
	bool full_speed;      /* the ring does not wait: what does not fit is dropped */
} trouble;

static void drain(bool all)
{
	static struct bs_ring_batch one, again;
	static bool have;

	for (;;) {
		lock();
		if (shared->got == shared->put || (!all && rng() % 8 == 0)) {
			unlock();
			return;
		}
		one = shared->ring[shared->got++ % RING];
		unlock();
		must(!bs_buffers_record(buffers, &one, sizeof(one)));
		/* Not an announcement: a buffer may have another owner by now. */
		if (!trouble.twice || one.type != BS_RING_BATCH || one.flags)
			continue;
		if (rng() % 2)
			must(!bs_buffers_record(buffers, &one, sizeof(one)));
		if (have && again.tid == one.tid && rng() % 2)
			must(!bs_buffers_record(buffers, &again, sizeof(again)));
		have = true;
		if (rng() % 2)
			again = one;
	}
}

static size_t look(bool last)
{
	uint64_t hold;
	size_t waiting;

	must(!bs_buffers_read(buffers, last, &hold));
	drain(!trouble.late || last);
	must(!bs_buffers_take(buffers, last, bs_tsc_now(), &hold, &waiting));
	bs_buffers_settle(buffers);
	if (!trouble.late && !trouble.drop_one_in && !trouble.full_speed && !out.unordered)
		out.watermark = hold;
	return waiting;
}

static void setup(void)
{
	wipe(NULL);
	memset(&trouble, 0, sizeof(trouble));
	for (unsigned w = 0; w < WRITERS; w++)
		free(out.once[w]);
	memset(&out, 0, sizeof(out));
	memset(shared, 0, sizeof(*shared));
	buffers = bs_buffers_new(&(struct bs_buffers_ops){.take = out_take});
	must(buffers);
}

static void begin(struct trouble t)
{
	trouble = t;
	shared->drop_one_in = t.drop_one_in;
	shared->wait = !t.full_speed;
	shared->rng = rng();
	out.anybody = t.drop_one_in || t.full_speed || t.late;
	must(!bs_buffers_add(buffers, getpid(), control()->pool, control()->buffers));
}

/* --- writers -----------------------------------------------------------------------------------
 */

struct writer {
	pthread_t thread;
	unsigned number;
	uint64_t events;
	bool slow;
	bool silent; /* its end is not told */
};

static _Atomic uint64_t running;

static void write_one(unsigned w, uint64_t number)
{
	uint64_t id = (uint64_t)w << WRITER_SHIFT | number;

	atomic_store_explicit(&shared->begun[w], number, memory_order_relaxed);
	record(event_of(id, 1 + id % 3));
	atomic_store_explicit(&shared->over[w], number, memory_order_relaxed);
}

/* A thread that ends: BPF sends what it had not. */
static void tell_end(void)
{
	must(my_buffer);
	ring_put(my_buffer, BS_RING_BATCH, 0, BS_BATCH_LAST);
}

static void *write_all(void *arg)
{
	const struct writer *w = arg;
	uint64_t dice = w->number * 0x9e3779b97f4a7c15ull + 1;

	atomic_store(&shared->tid[w->number], (int)syscall(SYS_gettid));
	for (uint64_t i = 1; i <= w->events; i++) {
		write_one(w->number, i);
		if (!w->slow)
			continue;
		dice = dice * 6364136223846793005ull + 1442695040888963407ull;
		if ((dice >> 33) % 40 == 0)
			usleep((dice >> 40) % 300);
		if ((dice >> 33) % 64 == 1)
			bscope_flush();
	}
	if (!w->silent)
		tell_end();
	atomic_fetch_sub(&running, 1);
	return NULL;
}

static void writer_start(struct writer *w)
{
	shared->silent[w->number] = w->silent;
	atomic_fetch_add(&running, 1);
	must(!pthread_create(&w->thread, NULL, write_all, w));
}

/* All is over: what is still on its way comes, and then the counts are exact. */
static struct bs_buffers_counts finish(uint64_t events)
{
	struct bs_buffers_counts c;

	look(true);
	look(true);
	bs_buffers_counts(buffers, &c);
	must(c.written == events);
	must(c.received == out.events);
	must(c.no_buffer == 0);
	must(c.written >= c.received);
	/* Each event that is lost was jumped over or given up. */
	must(c.written - c.received <= c.skipped + c.abandoned);
	return c;
}

static struct bs_buffers_counts write_with(struct trouble t)
{
	struct writer w[4] = {
		{.number = 0, .events = 400000},
		{.number = 1, .events = 400000, .silent = true},
		{.number = 2, .events = 4000, .slow = true},
		{.number = 3, .events = 4000, .slow = true, .silent = true},
	};
	uint64_t events = 0;

	begin(t);
	for (size_t i = 0; i < ARRAY(w); i++) {
		events += w[i].events;
		writer_start(&w[i]);
	}
	while (atomic_load(&running)) {
		look(false);
		if (rng() % 4 == 0)
			usleep(rng() % 2000);
	}
	for (size_t i = 0; i < ARRAY(w); i++)
		must(!pthread_join(w[i].thread, NULL));
	return finish(events);
}

/* --- tests -------------------------------------------------------------------------------------
 */

/* Nothing goes wrong: nothing is lost, and the watermark holds. */
static void run_all_arrive(void)
{
	struct bs_buffers_counts c = write_with((struct trouble){0});

	must(shared->dropped == 0);
	must(c.received == c.written);
	must(c.skipped + c.abandoned == 0);
	for (unsigned w = 0; w < 4; w++)
		must(out.received[w] == out.last[w]);
}

static void run_twice(void)
{
	struct bs_buffers_counts c = write_with((struct trouble){.twice = true});

	must(c.received == c.written);
}

static void run_dropped(void)
{
	struct bs_buffers_counts c = write_with((struct trouble){.drop_one_in = 5});

	must(shared->dropped > 0);
	must(c.written - c.received <= shared->dropped * BATCH);
	/* What is lost is whole. */
	must(c.received > 200000);
}

static void run_full_speed(void)
{
	struct bs_buffers_counts c = write_with((struct trouble){.full_speed = true});

	must(c.written - c.received <= shared->dropped * BATCH);
}

static void run_late(void)
{
	write_with((struct trouble){.late = true});
}

static void run_all_trouble(void)
{
	write_with((struct trouble){
		.drop_one_in = 3, .late = true, .twice = true, .full_speed = true});
}

/* Threads by the hundred, some at a time; the ends of some are not told. */
static void run_threads_come_and_go(void)
{
	static struct writer w[WRITERS];
	uint64_t events = 0;
	unsigned done = 0;

	begin((struct trouble){0});
	while (done < WRITERS) {
		unsigned n = 1 + (unsigned)(rng() % 12);

		if (n > WRITERS - done)
			n = WRITERS - done;
		for (unsigned i = done; i < done + n; i++) {
			w[i] = (struct writer){.number = i,
					       .events = 1 + rng() % (i % 8 ? 300 : 5000),
					       .silent = i % 16 == 3};
			events += w[i].events;
			writer_start(&w[i]);
		}
		while (atomic_load(&running))
			look(false);
		for (unsigned i = done; i < done + n; i++)
			must(!pthread_join(w[i].thread, NULL));
		done += n;
	}
	{
		struct bs_buffers_counts c = finish(events);

		must(c.received == c.written);
	}
	for (unsigned i = 0; i < WRITERS; i++)
		must(out.received[i] == w[i].events);
	/* They had the buffers of those before them, hardly ever one that nobody had used. */
	{
		unsigned touched = 0;

		for (uint64_t i = 0; i < pool()->used; i++)
			touched += pool()->buffers[i].next > 0;
		must(touched < WRITERS / 4);
	}
}

#ifndef __SANITIZE_THREAD__
/* Signal handlers that record, some more than half a buffer. */
#define HANDLER_WRITER 9

static volatile sig_atomic_t alarms;
static uint64_t handler_number;

static void on_alarm(int sig)
{
	unsigned n = ++alarms % 16 ? (unsigned)alarms % 60 : (unsigned)BATCH;

	(void)sig;
	for (unsigned i = 0; i < n && handler_number + 1 < EVENTS_MAX; i++)
		write_one(HANDLER_WRITER, ++handler_number);
}

static void *write_with_alarms(void *arg)
{
	sigset_t set;

	(void)arg;
	sigemptyset(&set);
	sigaddset(&set, SIGALRM);
	atomic_store(&shared->tid[0], (int)syscall(SYS_gettid));
	atomic_store(&shared->tid[HANDLER_WRITER], (int)syscall(SYS_gettid));
	must(!pthread_sigmask(SIG_UNBLOCK, &set, NULL));
	for (uint64_t i = 1; i < EVENTS_MAX && alarms < 300; i++)
		write_one(0, i);
	must(!pthread_sigmask(SIG_BLOCK, &set, NULL));
	tell_end();
	atomic_fetch_sub(&running, 1);
	return NULL;
}

static void run_alarms(void)
{
	const struct itimerval every = {{0, 200}, {0, 200}}, never = {{0, 0}, {0, 0}};
	struct sigaction act = {.sa_handler = on_alarm, .sa_flags = SA_RESTART};
	struct bs_buffers_counts c;
	pthread_t thread;
	sigset_t set;

	begin((struct trouble){0});
	out.unordered = true;
	alarms = 0;
	handler_number = 0;
	sigemptyset(&set);
	sigaddset(&set, SIGALRM);
	must(!pthread_sigmask(SIG_BLOCK, &set, NULL));
	must(!sigaction(SIGALRM, &act, NULL));
	must(!setitimer(ITIMER_REAL, &every, NULL));
	atomic_fetch_add(&running, 1);
	must(!pthread_create(&thread, NULL, write_with_alarms, NULL));
	while (atomic_load(&running))
		look(false);
	must(!pthread_join(thread, NULL));
	must(!setitimer(ITIMER_REAL, &never, NULL));
	c = finish(atomic_load(&shared->over[0]) + atomic_load(&shared->over[HANDLER_WRITER]));
	/* One event at most is interrupted by each, and may be written too late to be read. */
	must(c.written - c.received <= (uint64_t)alarms);
	must(c.received > 1000);
	signal(SIGALRM, SIG_IGN);
	must(!pthread_sigmask(SIG_UNBLOCK, &set, NULL));
}
#endif

/* --- children ----------------------------------------------------------------------------------
 */

/* Forked by a process that has recorded itself; begins when its parent has been told. */
static pid_t child_writes(unsigned w, uint64_t events, bool told)
{
	pid_t child = fork();

	must(child >= 0);
	if (child)
		return child;
	while (!atomic_load(&shared->go))
		sched_yield();
	atomic_store(&shared->tid[w], (int)getpid());
	for (uint64_t i = 1; i <= events; i++)
		write_one(w, i);
	if (told)
		tell_end();
	_exit(0);
}

static void run_fork(void)
{
	struct bs_buffers_counts c;
	uint64_t events = 0;
	pid_t child;

	begin((struct trouble){0});
	atomic_store(&shared->tid[0], (int)getpid());
	for (uint64_t i = 1; i <= 700; i++)
		write_one(0, i);
	events += 700;
	child = child_writes(1, 200000, true);
	events += 200000;
	must(!bs_buffers_fork(buffers, getpid(), child));
	atomic_store(&shared->go, 1);
	for (uint64_t i = 701; i <= 3000 || atomic_load(&shared->over[1]) < 200000; i++) {
		if (i <= 3000) {
			write_one(0, i);
			events++;
		}
		if (i % 100 == 0)
			look(false);
	}
	look(false);
	reap(child);
	drain(true);
	must(!bs_buffers_gone(buffers, child));
	c = finish(events);
	must(c.received == c.written);
	must(c.at_most == 0);
	must(out.received[0] == 3000);
	must(out.received[1] == 200000);
	must(!bs_buffers_fork(buffers, child, child + 1)); /* nobody knows it */
}

/* Killed, and nobody sends what it had not: what is missing is bounded. */
static void run_killed(void)
{
	begin((struct trouble){0});
	for (unsigned w = 0; w < 20; w++) {
		struct bs_buffers_counts before, c;
		uint64_t over, received;
		pid_t child;

		atomic_store(&shared->go, 1);
		bs_buffers_counts(buffers, &before);
		received = out.events;
		child = child_writes(w, EVENTS_MAX - 1, false);
		must(!bs_buffers_fork(buffers, getpid(), child));
		for (unsigned i = 0; i < 1 + w % 7; i++) {
			while (atomic_load(&shared->over[w]) < 200 * i * w)
				look(false);
			look(false);
		}
		while (!atomic_load(&shared->over[w]))
			look(false);
		/* Not while it holds the lock. */
		lock();
		must(!kill(child, SIGKILL));
		must(waitpid(child, NULL, 0) == child);
		unlock();
		/* It may take a while until the tool comes to hear of it. */
		for (unsigned i = 0; i < w % 4 * 20; i++)
			look(false);
		drain(true);
		must(!bs_buffers_gone(buffers, child));
		bs_buffers_counts(buffers, &c);
		over = atomic_load(&shared->over[w]);
		received = out.events - received;
		must(received == c.received - before.received);
		/* A pair that is under way counts as two until its second slot is told apart. */
		must(c.written - before.written <= over + 2);
		must(received <= c.written - before.written);
		/* All that was sent has come. */
		must(c.written - before.written + c.at_most - before.at_most >= over);
		must(c.at_most - before.at_most <= BATCH);
		out.watermark = 0;
	}
}

/*
 * Each test in a child of its own: what fails leaves threads behind, which go with it.
 */
#define LIVE_TEST(name)                             \
	static void in_child_##name(void)           \
	{                                           \
		setup();                            \
		run_##name();                       \
		bs_buffers_free(buffers);           \
	}                                           \
	static void test_##name(void **state)       \
	{                                           \
		(void)state;                        \
		in_child(BY_FORK, in_child_##name); \
	}
LIVE_TEST(all_arrive)
LIVE_TEST(twice)
LIVE_TEST(dropped)
LIVE_TEST(full_speed)
LIVE_TEST(late)
LIVE_TEST(all_trouble)
LIVE_TEST(threads_come_and_go)
#ifndef __SANITIZE_THREAD__
LIVE_TEST(alarms)
#endif
LIVE_TEST(fork)
LIVE_TEST(killed)

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_places),	    cmocka_unit_test(test_all_arrive),
		cmocka_unit_test(test_twice),	    cmocka_unit_test(test_dropped),
		cmocka_unit_test(test_full_speed),  cmocka_unit_test(test_late),
		cmocka_unit_test(test_all_trouble), cmocka_unit_test(test_threads_come_and_go),

#ifndef __SANITIZE_THREAD__ /* which has handlers run later, and all signals blocked */
		cmocka_unit_test(test_alarms),
#endif
		cmocka_unit_test(test_fork),	    cmocka_unit_test(test_killed),
	};

	test_pid = getpid();
	return cmocka_run_group_tests(tests, attach, NULL);
}

#else /* no buffers on this architecture */

#include "collect/buffers.h"

static void test_free(void **state)
{
	bs_buffers_free(NULL);
}

int main(void)
{
	const struct CMUnitTest tests[] = {cmocka_unit_test(test_free)};

	return cmocka_run_group_tests(tests, NULL, NULL);
}

#endif
