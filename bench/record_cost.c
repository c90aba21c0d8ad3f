// SPDX-License-Identifier: GPL-2.0-only
/*
 * record_cost.c - what an event costs that is recorded by a jump, against the least it can cost.
 *
 *	record_cost [ROUNDS]
 *
 * One thread, full fidelity, with all that is behind a site: the sites are this program's own, lit
 * by writing their jumps; full buffers go by the runtime's probe and the BPF program into the ring;
 * a second thread takes them out, as the tool does, and in the end each event must have been
 * received or be known to be lost.
 *
 * The floor is what nobody can do without: reading the time stamp counter and storing 16 bytes, in
 * a ring as large as a thread's buffer.  All loops are the same but for what stands in the middle,
 * aligned to 64 bytes.  Each round runs each of them once, in rotated order, and gives one ratio
 *for each kind of site:
 *
 *	(loop with the lit site - empty loop) / (loop with the floor - empty loop)
 *
 * in CPU time of the thread, so that others may use the machine, too.
 */
#define _GNU_SOURCE
#include <fcntl.h>
#include <pthread.h>
#include <stdatomic.h>
#include <stdbool.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>
#include <unistd.h>

#include <bscope/bscope.h>
#include <bscope/control.h>
#include <bscope/follow.h>

#include "base/error.h"
#include "collect/buffers.h"
#include "collect/collect.h"
#include "decode/tsc.h"
#include "target/module.h"

/* Of each loop and round: whole batches, so that each round pays for all it writes. */
#define EVENTS (64 * BSCOPE_BATCH_SLOTS)
/* A round is begun when no more slots than this are on their way: a third of the ring. */
#define WAITING_MAX (640 * BSCOPE_BATCH_SLOTS)

#define AIM_ONE 1.35
#define AIM_TWO 1.6
/* Of events of a life that is not followed: 4 ns where the floor is 9.6. */
#define AIM_UNFOLLOWED (4.0 / 9.6)

extern struct bscope_site __start_bscope_sites[], __stop_bscope_sites[];

static struct bscope_slot ring[BSCOPE_BUFFER_SLOTS] __attribute__((aligned(64)));

#define LOOP(name, ...)                                                                   \
	static __attribute__((noinline, aligned(64))) void name(uint64_t id, uint64_t n,  \
								uint64_t a1, uint64_t a2) \
	{                                                                                 \
		for (uint64_t end = id + n; id < end; id++) {                             \
			__VA_ARGS__;                                                      \
			__asm__ volatile("" ::"r"(id), "r"(a1), "r"(a2));                 \
		}                                                                         \
	}

static inline void store(uint64_t id)
{
	struct bscope_slot *slot = &ring[id % BSCOPE_BUFFER_SLOTS];
	uint32_t low, high;

	__asm__ volatile("rdtsc" : "=a"(low), "=d"(high));
	*(volatile uint64_t *)&slot->value = id;
	*(volatile uint64_t *)&slot->head = (uint64_t)high << 32 | low;
}

LOOP(empty, )
LOOP(floor_, store(id))
LOOP(one, BSCOPE_DROP(bench_one, id))
LOOP(two, BSCOPE_MOVE(bench_two, id, a1))
LOOP(three, BSCOPE_SITE3(BSCOPE_KIND_NEW, "new", BSCOPE_SITE_SIZED | BSCOPE_SITE_CALLER,
			 "bench_three", "id", id, a1, a2))
LOOP(dark, BSCOPE_MOVE(bench_dark, id, a1))
/* Marks of lives that are not followed, in one process with 1,024 ids. */
LOOP(unfollowed_new, BSCOPE_SITE3(BSCOPE_KIND_NEW, "new", BSCOPE_SITE_SIZED | BSCOPE_SITE_CALLER,
				  "bench_unfollowed_new", "id", id & 0x3ff0, a1, a2))
LOOP(unfollowed_block, BSCOPE_SITE3(BSCOPE_KIND_NEW, "new", BSCOPE_SITE_SIZED | BSCOPE_SITE_CALLER,
				    "bench_unfollowed_block", "id", id & 0x3ff0, a1, a2))
LOOP(unfollowed_use, BSCOPE_USE(bench_unfollowed_use, id & 0x3ff0, a1))
LOOP(unfollowed_resize, BSCOPE_RESIZE_BEGIN(bench_unfollowed_resize, id & 0x3ff0))
LOOP(unfollowed_drop, BSCOPE_DROP(bench_unfollowed_drop, id & 0x3ff0))

/* With coarse stamps. */
LOOP(coarse_one, BSCOPE_DROP(bench_coarse_one, id))
LOOP(coarse_two, BSCOPE_MOVE(bench_coarse_two, id, a1))

enum loop {
	EMPTY,
	FLOOR,
	ONE,
	TWO,
	THREE,
	DARK,
	COARSE_ONE,
	COARSE_TWO,
	SKIP_NEW,
	SKIP_BLOCK,
	SKIP_USE,
	SKIP_RESIZE,
	SKIP_DROP,
	LOOPS
};

static const struct {
	const char *name, *klass;
	void (*run)(uint64_t id, uint64_t n, uint64_t a1, uint64_t a2);
	double aim;
} loops[LOOPS] = {
	[EMPTY] = {"empty loop", NULL, empty, 0},
	[FLOOR] = {"floor", NULL, floor_, 0},
	[ONE] = {"one slot (drop)", "bench_one", one, AIM_ONE},
	[TWO] = {"two slots (move)", "bench_two", two, AIM_TWO},
	[THREE] = {"two slots (new, caller)", "bench_three", three, AIM_TWO},
	[DARK] = {"dark site", "bench_dark", dark, 0},
	[COARSE_ONE] = {"coarse: one slot", "bench_coarse_one", coarse_one, 0},
	[COARSE_TWO] = {"coarse: two slots", "bench_coarse_two", coarse_two, 0},
	[SKIP_NEW] = {"not followed: new, gaps", "bench_unfollowed_new", unfollowed_new,
		      AIM_UNFOLLOWED},
	[SKIP_BLOCK] = {"not followed: new, blocks", "bench_unfollowed_block", unfollowed_block,
			AIM_UNFOLLOWED},
	[SKIP_USE] = {"not followed: use", "bench_unfollowed_use", unfollowed_use, AIM_UNFOLLOWED},
	[SKIP_RESIZE] = {"not followed: resize", "bench_unfollowed_resize", unfollowed_resize,
			 AIM_UNFOLLOWED},
	[SKIP_DROP] = {"not followed: drop", "bench_unfollowed_drop", unfollowed_drop,
		       AIM_UNFOLLOWED},
};

struct bench {
	struct bs_collect *c;
	struct bs_buffers *buffers;
	uint64_t received[LOOPS];
	_Atomic uint64_t slots; /* of these, and those of further operands */
	int ret;
	int rounds;
	double *ns[LOOPS], *ratio[LOOPS];
};

static atomic_bool stop;

static double cpu_ns(void)
{
	struct timespec now;

	clock_gettime(CLOCK_THREAD_CPUTIME_ID, &now);
	return (double)now.tv_sec * 1e9 + (double)now.tv_nsec;
}

/* --- the reading side: one thread at a time ------------------------------------------------- */

static int on_slots(void *ctx, uint32_t pid, uint32_t tid, uint32_t buffer,
		    const struct bscope_slot *slots, size_t n)
{
	struct bench *b = ctx;

	(void)buffer;
	(void)pid;
	(void)tid;
	for (size_t i = 0; i < n; i++) {
		uint32_t index = (uint32_t)slots[i].head & BSCOPE_SLOT_INDEX_MASK;

		if (!(slots[i].head & BSCOPE_SLOT_EXTRA) && index < LOOPS)
			b->received[index]++;
	}
	atomic_fetch_add_explicit(&b->slots, n, memory_order_relaxed);
	return 0;
}

static int on_record(void *ctx, const void *data, size_t size)
{
	struct bench *b = ctx;

	return bs_buffers_record(b->buffers, data, size);
}

static void *reader(void *arg)
{
	struct bench *b = arg;

	while (!atomic_load(&stop) && b->ret >= 0)
		b->ret = bs_collect_poll(b->c, 50, on_record, b, NULL);
	return NULL;
}

/* What is still in the ring, and then in the buffers. */
static int read_rest(struct bench *b)
{
	uint64_t tsc, hold = UINT64_MAX;
	size_t waiting;
	int ret = bs_buffers_read(b->buffers, false, &tsc);

	while (!ret && (ret = bs_collect_poll(b->c, 0, on_record, b, NULL)) > 0)
		ret = 0;
	return ret ? ret : bs_buffers_take(b->buffers, true, tsc, &hold, &waiting);
}

/* --- sites ------------------------------------------------------------------------------------ */

static struct bscope_site *site_find(const char *klass)
{
	for (struct bscope_site *s = __start_bscope_sites; s < __stop_bscope_sites; s++)
		if (!strcmp((const char *)&s->klass + s->klass, klass))
			return s;
	return NULL;
}

/* Nobody executes them now. */
static int switches_write(bool light)
{
	int mem = open("/proc/self/mem", O_RDWR | O_CLOEXEC), ret = mem < 0 ? -1 : 0;

	for (int i = 0; i < LOOPS && !ret; i++) {
		struct bscope_site *site = loops[i].klass ? site_find(loops[i].klass) : NULL;
		uint8_t bytes[5] = {0x66, 0x0f, 0x1f, 0x44, 0};
		uintptr_t at, stub;
		int32_t rel;

		if (!site || i == DARK)
			continue;
		at = (uintptr_t)&site->probe + (uintptr_t)(intptr_t)site->probe + 1;
		stub = (uintptr_t)&site->stub + (uintptr_t)(intptr_t)site->stub;
		rel = (int32_t)(stub - at - 5);
		if (light) {
			bytes[0] = 0xe9;
			memcpy(bytes + 1, &rel, sizeof(rel));
		}
		site->index = BSCOPE_INDEX(i, i, site->kind);
		ret = pwrite(mem, bytes, 5, (off_t)at) == 5 ? 0 : -1;
	}
	if (mem >= 0)
		close(mem);
	return ret;
}

static int listen_to_self(struct bench *b, struct bs_error *err)
{
	const struct bscope_control *control = bscope_control();
	struct bs_module *m = NULL;
	struct bs_listen probes;
	int ret = bs_module_read(open("/proc/self/exe", O_RDONLY | O_CLOEXEC), "record_cost", &m,
				 err);

	if (ret)
		return ret;
	probes = (struct bs_listen){m->runtime.batch_offset, m->runtime.buffer_offset,
				    m->runtime.semaphore_offset, 0};
	ret = bs_collect_trace(b->c, getpid(), err);
	if (!ret)
		ret = bs_collect_listen(b->c, m->fd, m->path, &probes, err);
	bs_module_free(m);
	return ret ? ret : bs_buffers_add(b->buffers, getpid(), control->pool, control->buffers);
}

/* --- rounds ----------------------------------------------------------------------------------- */

/* As a tool asks for it; gaps and blocks so large that nobody is followed, or hardly anybody. */
static void how(uint32_t what, uint32_t flags)
{
	struct bscope_control *control = (struct bscope_control *)(uintptr_t)bscope_control();

	control->follow_gap = 1ull << 62;
	control->follow_block = BSCOPE_FOLLOW_BLOCK_MAX;
	control->follow_flags = flags;
	control->follow_epoch = 1;
	control->follow = what;
}

static double run(enum loop which)
{
	static uint64_t id = 1ull << 46;
	double start, ns;

	id += EVENTS;
	how(which >= SKIP_NEW	  ? BSCOPE_FOLLOW_CHOSEN
	    : which >= COARSE_ONE ? BSCOPE_STAMP_COARSE
				  : 0,
	    which == SKIP_BLOCK ? BSCOPE_FOLLOW_BLOCKS : 0);
	start = cpu_ns();
	loops[which].run(id, EVENTS, (uintptr_t)&ring, (uintptr_t)__builtin_return_address(0));
	ns = (cpu_ns() - start) / EVENTS;
	how(0, 0);
	return ns;
}

/* Lets the reader catch up, unless it was overtaken already: what is lost never comes. */
static void reader_wait(struct bench *b, int round)
{
	uint64_t made = (uint64_t)(round + 1) * 8 * EVENTS;

	for (int ms = 0; ms < 100 && made - atomic_load(&b->slots) > WAITING_MAX; ms++)
		usleep(1000);
}

static void rounds_run(struct bench *b)
{
	for (int i = 0; i < LOOPS; i++)
		run(i);
	for (int r = 0; r < b->rounds; r++) {
		double floor;

		reader_wait(b, r);

		for (int i = 0; i < LOOPS; i++) {
			enum loop which = (enum loop)((i + r) % LOOPS);

			b->ns[which][r] = run(which);
		}
		floor = b->ns[FLOOR][r] - b->ns[EMPTY][r];
		for (int i = FLOOR; i < LOOPS; i++) {
			b->ns[i][r] -= b->ns[EMPTY][r];
			b->ratio[i][r] = b->ns[i][r] / floor;
		}
	}
}

static int compare(const void *a, const void *b)
{
	double x = *(const double *)a, y = *(const double *)b;

	return (x > y) - (x < y);
}

static void print(const struct bench *b)
{
	int n = b->rounds;

	printf("ns per event, less the empty loop; ratio to the floor; median (quartiles) of %d "
	       "rounds of %u\n",
	       n, EVENTS);
	for (int i = 0; i < LOOPS; i++) {
		double *ns = b->ns[i], *ratio = b->ratio[i];

		qsort(ns, (size_t)n, sizeof(*ns), compare);
		printf("  %-24s %6.2f (%6.2f %6.2f)", loops[i].name, ns[n / 2], ns[n / 4],
		       ns[n * 3 / 4]);
		if (i != EMPTY) {
			qsort(ratio, (size_t)n, sizeof(*ratio), compare);
			printf("  ratio %6.3f (%6.3f %6.3f)", ratio[n / 2], ratio[n / 4],
			       ratio[n * 3 / 4]);
		}
		if (loops[i].aim)
			printf("  aim at most %.2f: %s", loops[i].aim,
			       ratio[n / 2] <= loops[i].aim ? "met" : "MISSED");
		printf("\n");
	}
}

/* What this program knows it wrote, what its buffers say, and what arrived. */
static int check(const struct bench *b)
{
	const struct bscope_control *control = bscope_control();
	const struct bscope_pool *pool = (const void *)(uintptr_t)control->pool;
	uint64_t written = pool->no_buffer, received = 0, made = 0;
	uint64_t each = (uint64_t)(b->rounds + 1) * EVENTS;
	struct bs_buffers_counts counts;
	struct bs_collect_counts ring_counts;
	bool complete;

	for (uint32_t i = 0; i < pool->used; i++) {
		const struct bscope_buffer *buffer = &pool->buffers[i];

		if (buffer->next >= BSCOPE_BUFFER_FIRST) /* taken once */
			written += buffer->next - BSCOPE_BUFFER_FIRST - buffer->extra;
	}
	for (int i = ONE; i <= COARSE_TWO; i++) {
		if (i == DARK)
			continue;
		received += b->received[i];
		made += each;
	}
	bs_buffers_counts(b->buffers, &counts);
	bs_collect_counts(b->c, &ring_counts);
	complete = written == made && counts.written == written && counts.received == received;
	printf("made %llu, written %llu = received %llu + lost %llu (batches that did not fit into "
	       "the ring: %llu): %s\n",
	       (unsigned long long)made, (unsigned long long)written, (unsigned long long)received,
	       (unsigned long long)(counts.written - received),
	       (unsigned long long)ring_counts.sum.batch_lost, complete ? "right" : "WRONG");
	if (counts.written != received)
		printf("events were lost: what is lost is cheaper, so run it again\n");
	return complete ? 0 : 1;
}

int main(int argc, char **argv)
{
	struct bench b = {.rounds = argc > 1 ? (int)strtol(argv[1], NULL, 10) : 301};
	struct bs_error err = {0};
	pthread_t thread;
	int ret = 1;

	if (b.rounds < 1 || b.rounds > 100000) {
		fprintf(stderr, "usage: record_cost [ROUNDS]\n");
		return 64;
	}
	for (int i = 0; i < LOOPS; i++) {
		b.ns[i] = calloc(2 * (size_t)b.rounds, sizeof(double));
		if (!b.ns[i])
			return 1;
		b.ratio[i] = b.ns[i] + b.rounds;
	}
	b.buffers = bs_buffers_new(&(struct bs_buffers_ops){.take = on_slots, .ctx = &b});
	if (!b.buffers || bs_collect_new(&(struct bs_collect_opts){0}, &b.c, &err) ||
	    listen_to_self(&b, &err) || pthread_create(&thread, NULL, reader, &b)) {
		fprintf(stderr, "record_cost: %s\n", err.code ? err.text : "out of memory");
		goto out;
	}
	ret = switches_write(true);
	if (!ret) {
		rounds_run(&b);
		ret = switches_write(false);
	}
	atomic_store(&stop, true);
	pthread_join(thread, NULL);
	if (!ret)
		ret = b.ret < 0 ? b.ret : read_rest(&b);
	if (ret) {
		fprintf(stderr, "record_cost: cannot write its own text, or read what it wrote\n");
		goto out;
	}
	print(&b);
	ret = check(&b);
out:
	if (b.c)
		bs_collect_dark(b.c);
	bs_collect_free(b.c);
	bs_buffers_free(b.buffers);
	for (int i = 0; i < LOOPS; i++)
		free(b.ns[i]);
	return ret ? 1 : 0;
}
