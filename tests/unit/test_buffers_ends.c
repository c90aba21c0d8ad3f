/* SPDX-License-Identifier: GPL-2.0-only */
/*
 * test_buffers_ends.c - whose the buffers are, threads and processes that end, and programs that
 * lie.
 */
#define _GNU_SOURCE
#include <stdarg.h>
#include <stddef.h>
#include <setjmp.h>
#include <stdint.h>
#include <cmocka.h>

#if defined(__x86_64__)

#include <errno.h>
#include <pthread.h>
#include <stdlib.h>

#include "buffers_check.h"

/* --- whose they are ----------------------------------------------------------------------------
 */

static void test_owner_asked(void **state)
{
	struct bscope_buffer *b = taken(4);

	(void)state;
	add();
	/* Nobody knows: tid 0. */
	write_events(b, 1, 5);
	must(!look());
	expect_ids(1, 5, 0);
	assert_true(owner_asked > 0);
	/* Whoever loaded the BPF programs knows, and is asked once. */
	owner_is = 99;
	write_events(b, 6, 9);
	must(!look());
	expect_ids(6, 9, 99);
	owner_asked = 0;
	write_events(b, 10, 12);
	must(!look());
	expect_ids(10, 12, 99);
	assert_int_equal(owner_asked, 0);
	/* Told to the process, for the next tool. */
	bs_buffers_settle(buffers);
	assert_int_equal(b->tid, 99);
}

/* The record that announced it was lost: the next look finds it, not one in a second. */
static void test_announcement_lost(void **state)
{
	uint64_t hold = UINT64_MAX, at;

	(void)state;
	add();
	must(!look());
	write_events(taken(4), 1, 5);
	must(!bs_buffers_read(buffers, false, &at));
	take(false, &hold);
	expect_none();
	lost_are++;
	must(!bs_buffers_read(buffers, false, &at));
	must(!take(false, &hold));
	expect_ids(1, 5, 0);
	write_events(taken(5), 6, 9);
	must(!bs_buffers_read(buffers, false, &at));
	must(!take(false, &hold));
	expect_none();
}

static void test_announced(void **state)
{
	struct bscope_buffer *b = taken(0);

	(void)state;
	add();
	record_short(b, BS_RING_BUFFER, 1234);
	write_events(b, 1, 5);
	must(!look());
	expect_ids(1, 5, 1234);
	assert_int_equal(b->tid, 0);
	bs_buffers_settle(buffers);
	assert_int_equal(b->tid, 1234);
	assert_int_equal(owner_asked, 0);
	/* The next tool reads it. */
	bs_buffers_free(buffers);
	buffers = bs_buffers_new(&sink_ops);
	sink.n = sink_seen = 0;
	b->tid = (uint64_t)gettid(); /* of a thread that lives */
	add();
	assert_int_equal(b->owner, OWNER | BSCOPE_OWNER_RENEW);
	/* Until the thread has renewed it may be of a thread that has ended. */
	must(!look());
	b->owner = OWNER;
	write_events(b, 6, 8);
	must(!look());
	expect_ids(6, 8, (uint32_t)gettid());
}

/* Asked to announce itself, once; and a buffer whose owner is known to be dead is freed. */
static void test_baseline(void **state)
{
	struct bscope_buffer *fresh = taken(0), *dead = taken(1), *asked = taken(2),
			     *old = taken(3);
	struct bscope_buffer *none = taken(4), *known_dead = taken(5);

	(void)state;
	dead->tid = 1; /* no thread of ours */
	asked->owner |= BSCOPE_OWNER_RENEW;
	old->tid = (uint64_t)gettid();
	none->owner = 0;
	known_dead->owner |= BSCOPE_OWNER_DEAD;
	write_events(dead, 1, 100);
	add();
	assert_int_equal(fresh->owner, OWNER | BSCOPE_OWNER_RENEW);
	assert_true(!dead->owner || dead->owner & BSCOPE_OWNER_DEAD); /* anybody's */
	assert_int_equal(known_dead->owner, (OWNER + 80) | BSCOPE_OWNER_DEAD);
	assert_int_equal(asked->owner, (OWNER + 32) | BSCOPE_OWNER_RENEW);
	assert_int_equal(old->owner, (OWNER + 48) | BSCOPE_OWNER_RENEW);
	assert_int_equal(none->owner, 0);
	must(!look());
	expect_none();
	/* Its next owner is not the thread whose number was left there. */
	taken(1);
	write_events(dead, 101, 105);
	must(!look());
	expect_ids(101, 105, 0);
}

/*
 * Threads one after another in one buffer, as the runtime has it for those with the same thread
 * pointer: each ends by its last batch, the next one announces itself, and the buffer counts on.
 */
static void one_after_another(bool settled)
{
	struct bscope_buffer *b = taken(0);
	uint64_t id = 1;

	add();
	for (uint32_t tid = 1; tid < 300; tid++) {
		struct bs_ring_batch batch;

		record_short(b, BS_RING_BUFFER, tid);
		write_events(b, id, id + 20);
		/* A half that is full is sent by itself. */
		if (tid % 2)
			look();
		write_events(b, id + 21, id + 30);
		if (b->next % BATCH < 60 && b->next > FIRST + BATCH) {
			batch = batch_of(b, b->next / BATCH * BATCH, 0);
			batch.tid = tid;
			must(!bs_buffers_record(buffers, &batch, sizeof(batch)));
		}
		batch = batch_of(b, 0, BS_BATCH_LAST);
		batch.tid = tid;
		must(!bs_buffers_record(buffers, &batch, sizeof(batch)));
		expect_ids(id, id + 30, tid);
		if (settled)
			bs_buffers_settle(buffers);
		id += 31;
	}
	expect_counts(id - 1, id - 1);
	/* There are plenty of buffers: nobody else is let in. */
	assert_int_equal(b->owner & BSCOPE_OWNER_DEAD, 0);
	bs_buffers_gone(buffers, getpid());
	expect_counts(id - 1, id - 1);
	assert_int_equal(counts().at_most, 0);
}

static void test_one_after_another(void **state)
{
	(void)state;
	one_after_another(true);
}

/* Before the tool comes to it. */
static void test_one_right_after_another(void **state)
{
	(void)state;
	one_after_another(false);
}

/* More looks than it takes until threads are looked for. */
#define MANY_LOOKS 40

static void settle_often(void)
{
	for (unsigned i = 0; i < MANY_LOOKS; i++) {
		look();
		bs_buffers_settle(buffers);
	}
}

/* Its last batch did not fit into the ring: what it wrote is read from memory. */
static void test_ended_unseen(void **state)
{
	struct bscope_buffer *b = taken(0);

	(void)state;
	add();
	record_short(b, BS_RING_BUFFER, 1); /* no thread of ours */
	write_events(b, 1, 50);
	settle_often();
	expect_ids(1, 50, 1);
	assert_int_equal(b->owner & BSCOPE_OWNER_DEAD, 0);
	/* Its end is no secret: nothing of it can be missing. */
	bs_buffers_gone(buffers, getpid());
	expect_counts(50, 50);
	assert_int_equal(counts().at_most, 0);
}

/* Where there are few buffers left, those of dead threads are for anybody; of others, not. */
static void test_few_left(void **state)
{
	struct bscope_buffer *told = taken(0), *untold = taken(1), *lives = taken(2);
	struct bscope_buffer *unknown = taken(3);

	(void)state;
	add();
	record_short(untold, BS_RING_BUFFER, 1); /* no thread of ours */
	record_short(lives, BS_RING_BUFFER, (uint32_t)gettid());
	write_events(told, 1, 10);
	record_batch(told, 0, BS_BATCH_LAST);
	settle_often();
	for (unsigned i = 0; i < 4; i++)
		assert_int_equal(made->buffers[i].owner & BSCOPE_OWNER_DEAD, 0);
	for (unsigned i = 4; i < NBUFFERS; i++) {
		taken(i);
		record_short(&made->buffers[i], BS_RING_BUFFER, (uint32_t)gettid());
	}
	settle_often();
	assert_true(told->owner & BSCOPE_OWNER_DEAD);
	assert_true(untold->owner & BSCOPE_OWNER_DEAD);
	for (unsigned i = 2; i < NBUFFERS; i++)
		assert_int_equal(made->buffers[i].owner & BSCOPE_OWNER_DEAD, 0);
	(void)lives;
	(void)unknown;
	/* Taken by somebody else, and by whoever has the same thread pointer. */
	told->owner = 0x9000;
	untold->owner = OWNER + 16;
	record_short(told, BS_RING_BUFFER, (uint32_t)gettid());
	record_short(untold, BS_RING_BUFFER, (uint32_t)gettid());
	write_events(told, 11, 20);
	settle_often();
	assert_int_equal(told->owner, 0x9000);
	assert_int_equal(untold->owner, OWNER + 16);
	expect_counts(20, 20);
}

/* The same, but it ends after the look has read its buffer: what it wrote last is its own, too. */
static pthread_barrier_t barrier;
static volatile pid_t thread_tid;

static void *live_until_told(void *arg)
{
	(void)arg;
	thread_tid = gettid();
	pthread_barrier_wait(&barrier);
	pthread_barrier_wait(&barrier);
	return NULL;
}

static void thread_begin(pthread_t *thread)
{
	must(!pthread_barrier_init(&barrier, NULL, 2));
	must(!pthread_create(thread, NULL, live_until_told, NULL));
	pthread_barrier_wait(&barrier);
}

static void thread_end(pthread_t thread)
{
	char path[64];

	pthread_barrier_wait(&barrier);
	must(!pthread_join(thread, NULL));
	pthread_barrier_destroy(&barrier);
	/* It leaves /proc a little later than its thread's join. */
	snprintf(path, sizeof(path), "/proc/self/task/%d", (int)thread_tid);
	while (!access(path, F_OK))
		usleep(100);
}

static void test_ended_after_the_look(void **state)
{
	struct bscope_buffer *b;
	uint64_t id = 1;

	(void)state;
	b = taken(0);
	add();
	/* Whichever of the looks it is after which threads are looked for. */
	for (unsigned looks = 0; looks < MANY_LOOKS / 2; looks++) {
		uint64_t first = id;
		pthread_t thread;
		uint32_t tid;

		thread_begin(&thread);
		tid = (uint32_t)thread_tid;
		taken(0);
		record_short(b, BS_RING_BUFFER, tid);
		for (unsigned i = 0; i <= looks; i++, id += 10) {
			write_events(b, id, id + 9);
			must(!look());
			if (i < looks)
				bs_buffers_settle(buffers);
		}
		write_events(b, id, id + 9);
		id += 10;
		thread_end(thread);
		bs_buffers_settle(buffers);
		must(!look());
		expect_ids(first, id - 1, tid);
	}
	expect_counts(id - 1, id - 1);
}

/* --- processes that go -------------------------------------------------------------------------
 */

static void test_gone(void **state)
{
	struct bscope_buffer *sent = taken(0), *unsent = taken(1), *looked = taken(2);
	struct bs_buffers_counts c;

	(void)state;
	taken(3);
	add();
	for (unsigned i = 0; i < 3; i++)
		record_short(&made->buffers[i], BS_RING_BUFFER, 100 + i);
	write_singles(sent, 1, 10);
	write_singles(unsent, 11, 20);
	write_singles(looked, 21, 30);
	must(!look());
	must(sink.n == 30);
	/* Nobody sees what comes now, but for the last batch of one and a look at all. */
	write_singles(looked, 31, 35);
	read_now();
	write_singles(unsent, 36, 40);
	write_singles(looked, 41, 45);
	write_singles(sent, 46, 50);
	record_batch(sent, 0, BS_BATCH_LAST);
	assert_int_equal(bs_buffers_gone(buffers, getpid()), 0);
	c = counts();
	assert_int_equal(c.received, 40);
	assert_int_equal(c.written, 40);
	/* For two threads nobody has said what they had at last: less than half a buffer each. */
	assert_int_equal(c.at_most, 2 * BATCH);
	assert_true(c.at_most >= 10);
	/* It is no more. */
	write_singles(sent, 51, 60);
	record_batch(sent, 0, 0);
	must(!look());
	assert_int_equal(counts().written, 40);
	/* The number comes round. */
	memset(made, 0, POOL_BYTES);
	write_singles(taken(0), 61, 70);
	add();
	write_singles(taken(0), 71, 80);
	must(!look());
	expect_counts(50, 50);
}

static void test_gone_all_sent(void **state)
{
	struct bscope_buffer *a = taken(0), *b = taken(1);

	(void)state;
	taken(2)->owner = 0; /* nobody's */
	add();
	write_singles(a, 1, 10);
	write_singles(b, 11, 20);
	record_batch(a, 0, BS_BATCH_LAST);
	record_batch(b, 0, BS_BATCH_LAST);
	bs_buffers_gone(buffers, getpid());
	expect_counts(20, 20);
	assert_int_equal(counts().at_most, 0);
}

/* The kernel's programs know with what counts threads ended, whatever fitted into the ring. */
static void test_gone_counts_known(void **state)
{
	struct bscope_buffer *b = taken(0);

	(void)state;
	add();
	record_short(b, BS_RING_BUFFER, TID);
	write_events(b, 1, 100);
	must(!look());
	write_events(b, 101, 700);
	end_of = b;
	end_next = b->next;
	end_extra = b->extra;
	end_ts = ++clock_ns;
	bs_buffers_gone(buffers, getpid());
	expect_counts(700, 100);
	assert_int_equal(counts().at_most, 0);
	assert_true(counts().skipped > 0);
}

/* What they know may be of a thread before: its own memory could not be read any more. */
static void test_gone_counts_old(void **state)
{
	struct bscope_buffer *b = taken(0);

	(void)state;
	add();
	record_short(b, BS_RING_BUFFER, TID);
	write_events(b, 1, 100);
	end_of = b;
	end_next = b->next;
	end_extra = b->extra;
	end_ts = ++clock_ns;
	record_batch(b, 0, BS_BATCH_LAST);
	bs_buffers_settle(buffers);
	record_short(b, BS_RING_BUFFER, TID + 1);
	write_events(b, 101, 200);
	must(!look());
	write_events(b, 201, 300);
	bs_buffers_gone(buffers, getpid());
	assert_int_equal(counts().written, 200);
	assert_true(counts().at_most >= 100);
}

/* A count of the kernel's that goes beyond all measure is the program's lie. */
static void test_gone_counts_odd(void **state)
{
	static const uint64_t odd[][2] = {
		{0, 0}, {UINT64_MAX, 0}, {FIRST + 20, UINT64_MAX}, {1ull << 60, 5}, {FIRST, 40}};

	(void)state;
	for (size_t i = 0; i < ARRAY(odd); i++) {
		struct bscope_buffer *b;

		memset(made, 0, POOL_BYTES);
		b = taken(0);
		add();
		write_singles(b, 1, 10);
		must(!look());
		end_of = b;
		end_next = odd[i][0];
		end_extra = odd[i][1];
		bs_buffers_gone(buffers, getpid());
		expect_counts(10 * (i + 1), 10 * (i + 1));
	}
}

/* The record that announced the thread was lost as well: it may have written all the same. */
static void test_gone_not_announced(void **state)
{
	struct bscope_buffer *b = taken(0);

	(void)state;
	add();
	write_singles(b, 1, 10);
	must(!look());
	write_singles(b, 11, 400);
	bs_buffers_gone(buffers, getpid());
	assert_int_equal(counts().written, 10);
	assert_true(counts().at_most >= 390);
}

/* In the middle of an event. */
static void test_gone_in_the_middle(void **state)
{
	struct bscope_buffer *b = taken(0);

	(void)state;
	add();
	write_singles(b, 1, 10);
	reserve(b, 1);
	record_batch(b, 0, BS_BATCH_LAST);
	bs_buffers_gone(buffers, getpid());
	expect_counts(11, 10);
	assert_int_equal(counts().abandoned, 1);
	assert_int_equal(counts().at_most, 0);
}

static void record_left(const struct bscope_buffer *b)
{
	struct bs_ring_event event = short_of(b, BS_RING_LEFT, TID);

	event.args[1] = b->next;
	event.args[2] = b->extra;
	event.ts_ns = ++clock_ns;
	must(!bs_buffers_record(buffers, &event, sizeof(event)));
}

/* A thread that ends when all that it has recorded was sent, or that has recorded nothing. */
static void test_left(void **state)
{
	struct bscope_buffer *none = taken(0), *sent = taken(1), *lost = taken(2);

	(void)state;
	add();
	record_short(none, BS_RING_BUFFER, TID);
	record_left(none);
	write_singles(sent, 1, BATCH);
	record_batch(sent, FIRST + BATCH, 0);
	record_left(sent);
	/* Of this one the half did not fit into the ring. */
	write_singles(lost, 1, BATCH);
	record_left(lost);
	bs_buffers_gone(buffers, getpid());
	expect_counts(2 * BATCH, BATCH);
	assert_int_equal(counts().at_most, 0);
	/* It is of nobody. */
	record_left(none);
}

/* Where memory could not be read no batch comes; a record of no known type is none either. */
static void test_gone_unread(void **state)
{
	struct bscope_buffer *b = taken(0);
	struct bs_ring_event event = short_of(b, BS_RING_BUFFER + 1, TID);

	(void)state;
	event.site = BS_BATCH_LAST;
	add();
	write_singles(b, 1, BATCH);
	record_batch(b, FIRST + BATCH, 0);
	must(!bs_buffers_record(buffers, &event, sizeof(event)));
	bs_buffers_gone(buffers, getpid());
	expect_counts(BATCH, BATCH);
	assert_int_equal(counts().at_most, BATCH);
}

/*
 * A process whose main thread has ended, the others have not: as much a process as any.
 */
static void *others_go_on(void *arg)
{
	int *fds = arg;
	char c;

	/* What the parent waits for: the main thread is gone. */
	for (char state = 0; state != 'Z';) {
		char path[64], line[512];
		FILE *f;

		snprintf(path, sizeof(path), "/proc/self/task/%d/stat", (int)getpid());
		f = fopen(path, "r");
		if (!f)
			break;
		if (!fgets(line, sizeof(line), f))
			line[0] = '\0';
		fclose(f);
		state = strrchr(line, ')') ? strrchr(line, ')')[2] : 'Z';
	}
	must(write(fds[1], "", 1) == 1);
	must(read(fds[0], &c, 1) == 1);
	write_events(taken(0), 11, 20);
	must(write(fds[1], "", 1) == 1);
	must(read(fds[0], &c, 1) == 1);
	_exit(0);
}

static int sink_any_pid(void *ctx, uint32_t pid, uint32_t tid, uint32_t buffer,
			const struct bscope_slot *slots, size_t n)
{
	(void)pid;
	return sink_take(ctx, (uint32_t)getpid(), tid, buffer, slots, n);
}

static void test_main_thread_ended(void **state)
{
	int to[2], from[2], fds[2];
	pthread_t thread;
	uint64_t hold = UINT64_MAX;
	size_t waiting;
	pid_t child;
	char c;

	(void)state;
	must(!pipe(to) && !pipe(from));
	taken(0);
	child = fork();
	must(child >= 0);
	if (!child) {
		fds[0] = to[0];
		fds[1] = from[1];
		write_events(taken(0), 1, 10);
		must(!pthread_create(&thread, NULL, others_go_on, fds));
		pthread_exit(NULL);
	}
	bs_buffers_free(buffers);
	buffers = bs_buffers_new(&(struct bs_buffers_ops){.take = sink_any_pid, .ctx = &sink});
	must(read(from[0], &c, 1) == 1);
	/* All of this is undone before anything can fail: the child is not to stay behind. */
	{
		int ret = bs_buffers_add(buffers, child, (uintptr_t)made, NBUFFERS);
		uint64_t at;

		must(write(to[1], "", 1) == 1 && read(from[0], &c, 1) == 1);
		must(!bs_buffers_read(buffers, true, &at));
		must(!bs_buffers_take(buffers, false, REFERENCE + 1000, &hold, &waiting));
		bs_buffers_settle(buffers);
		must(write(to[1], "", 1) == 1);
		reap(child);
		close(to[0]);
		close(to[1]);
		close(from[0]);
		close(from[1]);
		assert_int_equal(ret, 0);
	}
	expect_ids(11, 20, 0);
}

/* --- hostile memory ----------------------------------------------------------------------------
 */

static int sink_anything(void *ctx, uint32_t pid, uint32_t tid, uint32_t buffer,
			 const struct bscope_slot *slots, size_t n)
{
	uint64_t sum = 0;

	(void)buffer;
	must(ctx == &sink && pid == (uint32_t)getpid());
	must(n > 0 && n <= SLOTS);
	/* All of it can be read (ASan). */
	for (size_t i = 0; i < n; i++) {
		sum += slots[i].head ^ slots[i].value;
		must(slots[i].head);
		sink.n += !(slots[i].head & BSCOPE_SLOT_EXTRA) &&
			  slots[i].head & BSCOPE_SLOT_INDEX_MASK;
	}
	(void)tid;
	return sum == 0x1234567 ? 1 : 0;
}

static uint64_t odd_number(uint64_t near)
{
	switch (rng() % 10) {
	case 0:
		return rng();
	case 1:
		return rng() % 10;
	case 2:
		return UINT64_MAX - rng() % 5000;
	case 3:
		return near - rng() % 5000;
	case 4:
		return 1ull << rng() % 64;
	case 5:
		return near + (1ull << rng() % 50);
	default:
		return near + rng() % 3000;
	}
}

static void scribble(void)
{
	for (unsigned i = 0; i < NBUFFERS; i++) {
		struct bscope_buffer *b = &made->buffers[i];

		if (rng() % 2 == 0)
			b->next = rng() % 32 ? b->next + rng() % 1500 : odd_number(b->next);
		if (rng() % 32 == 0)
			b->extra = odd_number(b->extra);
		if (rng() % 4 == 0)
			b->owner = odd_number(b->owner);
		if (rng() % 4 == 0)
			b->tid = odd_number(b->tid);
		for (uint64_t k = 0, n = rng() % 300; k < n; k++) {
			struct bscope_slot *s = &b->slots[rng() % SLOTS];

			s->value = rng();
			s->head = rng() % 8 ? (rng() & ~(uint64_t)BSCOPE_SLOT_LAP_MASK) |
						      BSCOPE_SLOT_LAP(b->next - rng() % 3000)
					    : rng() % 2;
		}
	}
	if (rng() % 2)
		made->used = (uint32_t)odd_number(NBUFFERS);
	if (rng() % 2)
		made->no_buffer = odd_number(made->no_buffer);
}

static void random_record(void)
{
	static struct bs_ring_batch batch;
	struct bscope_buffer *b = &made->buffers[rng() % (NBUFFERS + 1)];
	uint64_t at = (uintptr_t)b + (rng() % 8 ? 0 : odd_number(0));
	size_t size = rng() % 8 ? sizeof(batch) : rng() % sizeof(batch);
	struct bs_ring_batch *exact;

	batch.pid = (uint32_t)getpid() + (rng() % 8 == 0);
	batch.tid = (uint32_t)odd_number(TID);
	batch.type = rng() % 4 ? BS_RING_BATCH : (uint32_t)(rng() % 9);
	batch.flags = (uint32_t)rng() % 4;
	batch.buffer = at; /* lies where args[0] of the short ones does */
	batch.next = b < &made->buffers[NBUFFERS] ? odd_number(b->next) : rng();
	batch.end = odd_number(batch.next);
	batch.extra = odd_number(batch.extra);
	for (unsigned i = 0; i < 200; i++)
		batch.slots[rng() % BATCH] = (struct bscope_slot){
			(rng() & ~(uint64_t)BSCOPE_SLOT_LAP_MASK) | BSCOPE_SLOT_LAP(batch.end),
			rng()};
	/* Nothing lies behind it. */
	exact = malloc(size ? size : 1);
	must(exact);
	memcpy(exact, &batch, size);
	must(!bs_buffers_record(buffers, exact, size));
	free(exact);
}

static void test_hostile(void **state)
{
	(void)state;
	bs_buffers_free(buffers);
	buffers = bs_buffers_new(
		&(struct bs_buffers_ops){.take = sink_anything, .owner = sink_owner, .ctx = &sink});
	add();
	for (unsigned round = 0; round < 3000; round++) {
		uint64_t hold = UINT64_MAX;
		struct bs_buffers_counts c;

		scribble();
		if (rng() % 2)
			random_record();
		read_now();
		scribble();
		for (uint64_t i = rng() % 4; i; i--)
			random_record();
		take(rng() % 16 == 0, &hold);
		if (rng() % 2)
			bs_buffers_settle(buffers);
		bs_buffers_counts(buffers, &c);
		/* Whatever is said, no more came than came; the other counts are the program's. */
		must(c.received == sink.n);
		if (rng() % 16 == 0) {
			if (rng() % 2)
				read_now();
			must(!bs_buffers_gone(buffers, getpid()));
			for (unsigned i = 0; i < NBUFFERS && rng() % 2; i++)
				made->buffers[i].next = made->buffers[i].extra = 0;
			add();
		}
	}
	assert_true(sink.n > 100000);
}

/* Numbers of buffers that nobody could have. */
static void test_hostile_pool(void **state)
{
	uint64_t from, to;

	(void)state;
	made->used = UINT32_MAX;
	must(!bs_buffers_add(buffers, getpid(), (uintptr_t)made, NBUFFERS));
	must(!look());
	bs_buffers_gone(buffers, getpid());
	/* More than lie there: an error, and no trace of it. */
	assert_int_equal(bs_buffers_add(buffers, getpid(), (uintptr_t)made, UINT64_MAX), -EFAULT);
	made->used = 1;
	must(!bs_buffers_add(buffers, getpid(), (uintptr_t)made, UINT64_MAX));
	write_events(taken(0), 1, 10);
	from = tsc();
	must(!look());
	expect_ids(1, 10, 0);
	to = tsc();
	made->used = UINT32_MAX;
	write_events(taken(0), 11, 20);
	look_in_vain(from, to);
	expect_counts(10, 10);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		BUFFERS_TEST(test_owner_asked),
		BUFFERS_TEST(test_left),
		BUFFERS_TEST(test_announcement_lost),
		BUFFERS_TEST(test_announced),
		BUFFERS_TEST(test_baseline),
		BUFFERS_TEST(test_one_after_another),
		BUFFERS_TEST(test_one_right_after_another),
		BUFFERS_TEST(test_few_left),
		BUFFERS_TEST(test_ended_unseen),
		BUFFERS_TEST(test_ended_after_the_look),
		BUFFERS_TEST(test_gone),
		BUFFERS_TEST(test_gone_all_sent),
		BUFFERS_TEST(test_gone_counts_known),
		BUFFERS_TEST(test_gone_counts_old),
		BUFFERS_TEST(test_gone_counts_odd),
		BUFFERS_TEST(test_gone_not_announced),
		BUFFERS_TEST(test_gone_in_the_middle),
		BUFFERS_TEST(test_gone_unread),
		BUFFERS_TEST(test_main_thread_ended),
		BUFFERS_TEST(test_hostile),
		BUFFERS_TEST(test_hostile_pool),
	};

	test_pid = getpid();
	return cmocka_run_group_tests(tests, NULL, NULL);
}

#else /* no buffers on this architecture */

#include "collect/buffers.h"

static void test_free(void **state)
{
	(void)state;
	bs_buffers_free(NULL);
}

int main(void)
{
	const struct CMUnitTest tests[] = {cmocka_unit_test(test_free)};

	return cmocka_run_group_tests(tests, NULL, NULL);
}

#endif
