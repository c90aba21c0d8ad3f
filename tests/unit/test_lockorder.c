// SPDX-License-Identifier: GPL-2.0-only
/* test_lockorder.c - which orders of locks are a possible deadlock, and which are not, by example.
 */
#include "lockorder_check.h"

#include "base/sample.h"

static void two_orders(void **state)
{
	struct bs_cycle_row *rows;
	size_t n;

	(void)state;
	begin();
	nest(1, A, B);
	nest(2, B, A);
	nest(1, A, B);
	assert_int_equal(bs_model_cycles(m, &rows, &n), 0);
	assert_int_equal(n, 1);
	assert_int_equal(rows[0].pid, PID);
	assert_int_equal(rows[0].n, 2);
	assert_int_equal(rows[0].count, 1);
	for (unsigned i = 0; i < 2; i++) {
		const struct bs_cycle_edge *e = &rows[0].edges[i];

		assert_int_equal(e->tid, i + 1);
		assert_int_equal(e->held_klass, MUTEX);
		assert_int_equal(e->klass, MUTEX);
		assert_int_equal(e->held_id, i ? B : A);
		assert_int_equal(e->id, i ? A : B);
		assert_int_equal(e->held_place, 10 * (i + 1) + 1);
		assert_int_equal(e->place, 10 * (i + 1) + 2);
		assert_int_equal(e->held_code, 0);
		assert_int_equal(e->ns - e->held_ns, 2 * US);
	}
	assert_int_equal(rows[0].edges[0].held_ns, 12000);
	free(rows);
	/* Another one at the same places is counted there. */
	nest(1, C, D);
	nest(2, D, C);
	assert_int_equal(bs_model_cycles(m, &rows, &n), 0);
	assert_int_equal(n, 1);
	assert_int_equal(rows[0].count, 2);
	assert_int_equal(rows[0].edges[0].held_id, A);
	free(rows);
	end(1, 0);
}

static void one_order(void **state)
{
	(void)state;
	begin();
	for (uint32_t t = 1; t < 9; t++)
		nest(t, A, B);
	end(0, 0);
	/* One thread does not wait for itself. */
	begin();
	nest(1, A, B);
	nest(1, B, A);
	end(0, 0);
	/* Others of the same class are others. */
	begin();
	nest(1, A, B);
	nest(2, D, C);
	nest(3, B, C);
	nest(4, A, C);
	end(0, 0);
	/* One after the other is no order. */
	begin();
	lock(1, A, 1), unlock(1, A), lock(1, B, 2), unlock(1, B);
	lock(2, B, 1), unlock(2, B), lock(2, A, 2), unlock(2, A);
	end(0, 0);
}

static void three_threads(void **state)
{
	(void)state;
	begin();
	nest(1, A, B);
	nest(2, B, C);
	nest(3, C, A);
	end(1, 0);
	/* Two of the three orders by one thread, which is at one place at a time. */
	begin();
	nest(1, A, B);
	nest(1, B, C);
	nest(3, C, A);
	end(0, 0);
	begin();
	nest(1, A, B);
	nest(2, B, C);
	nest(3, C, D);
	nest(4, D, A);
	end(1, 0);
	/* Longer ones are not looked for. */
	begin();
	nest(1, A, B);
	nest(2, B, C);
	nest(3, C, D);
	nest(4, D, G);
	nest(5, G, A);
	end(0, 0);
}

static void gates(void **state)
{
	(void)state;
	begin();
	for (uint32_t t = 1; t < 3; t++) {
		lock(t, G, 5);
		nest(t, t == 1 ? A : B, t == 1 ? B : A);
		unlock(t, G);
	}
	end(0, 0);
	/* Under it once, and once not. */
	begin();
	lock(1, G, 5);
	nest(1, A, B);
	unlock(1, G);
	nest(2, B, A);
	end(1, 0);
	/* Each under one of its own; then the witness without is found. */
	begin();
	lock(1, G, 5);
	nest(1, A, B);
	unlock(1, G);
	lock(2, G, 5);
	nest(2, B, A);
	unlock(2, G);
	assert_int_equal(cycles(), 0);
	nest(1, A, B);
	assert_int_equal(cycles(), 1);
	end(1, 0);
	/* Readers do not keep each other out. */
	begin();
	for (uint32_t t = 1; t < 3; t++) {
		rdlock(t, G, 5);
		nest(t, t == 1 ? A : B, t == 1 ? B : A);
		rwunlock(t, G);
	}
	end(1, 0);
	begin();
	for (uint32_t t = 1; t < 3; t++) {
		if (t == 1)
			rdlock(t, G, 5);
		else
			wrlock(t, G, 6);
		nest(t, t == 1 ? A : B, t == 1 ? B : A);
		rwunlock(t, G);
	}
	end(0, 0);
}

/* Taken before anybody looked, or when something was lost: seen only when it is given back. */
static void gates_unseen(void **state)
{
	(void)state;
	for (int lost = 0; lost < 2; lost++) {
		begin();
		if (lost) {
			nest(1, C, D);
			bs_model_loss(m, now += US, 1);
		}
		nest(1, A, B);
		unlock(1, G);
		lock(2, G, 5);
		nest(2, B, A);
		unlock(2, G);
		end(0, 0);
	}
	/* From then on all is seen. */
	begin();
	nest(1, A, B);
	unlock(1, G);
	nest(2, B, A);
	assert_int_equal(cycles(), 0);
	nest(1, A, B);
	end(1, 0);
	/* One that another thread gives back was held by that one, and was none. */
	begin();
	lock(1, G, 5);
	unlock(2, G);
	nest(2, B, A);
	lock(1, G, 5);
	unlock(2, G);
	nest(1, A, B);
	end(1, 0);
}

/* Of another class of locks than those in the cycle, not lit at all or for a while: unseen. */
static void gates_not_lit(void **state)
{
	const struct bs_sample sample = {BS_SAMPLE_OBJECTS, 2, 0};

	(void)state;
	begin();
	assert_int_equal(bs_model_class(m, RWLOCK, true, UINT64_MAX), 0);
	nest(1, A, B);
	nest(2, B, A);
	end(0, 1);

	begin();
	assert_int_equal(bs_model_class_dark(m, RWLOCK), 0);
	nest(1, A, B);
	bs_model_class_lit(m, RWLOCK, now += US);
	nest(2, B, A);
	assert_int_equal(cycles(), 0);
	/* From then on it would show. */
	now += 2000000 * US;
	nest(1, A, B);
	nest(2, B, A);
	end(1, 0);

	/* Not followed. */
	begin();
	assert_int_equal(bs_model_sample(m, 1000, &sample), 0);
	mark(1, BSCOPE_KIND_NEW, MUTEX, A, 1, false);
	mark(1, BSCOPE_KIND_NEW, MUTEX, B, 1, false);
	nest(1, A, B);
	nest(2, B, A);
	end(0, 1);

	/* What is no lock keeps nobody apart. */
	begin();
	assert_int_equal(bs_model_class(m, BLOCK, true, UINT64_MAX), 0);
	nest(1, A, B);
	nest(2, B, A);
	end(1, 0);
}

static void readers(void **state)
{
	(void)state;
	/* Both only read. */
	begin();
	rdlock(1, A, 1), rdlock(1, B, 2), rwunlock(1, B), rwunlock(1, A);
	rdlock(2, B, 3), rdlock(2, A, 4), rwunlock(2, A), rwunlock(2, B);
	end(0, 0);
	/* One of the two is never waited for. */
	begin();
	rdlock(1, A, 1), wrlock(1, B, 2), rwunlock(1, B), rwunlock(1, A);
	rdlock(2, B, 3), rdlock(2, A, 4), rwunlock(2, A), rwunlock(2, B);
	end(0, 0);
	/* Each writes what the other reads. */
	begin();
	rdlock(1, A, 1), wrlock(1, B, 2), rwunlock(1, B), rwunlock(1, A);
	rdlock(2, B, 3), wrlock(2, A, 4), rwunlock(2, A), rwunlock(2, B);
	end(1, 0);
	/* A mutex and a rwlock at addresses that are the same are two locks. */
	begin();
	wrlock(1, A, 1), lock(1, B, 2), unlock(1, B), rwunlock(1, A);
	lock(2, B, 3), lock(2, A, 4), unlock(2, A), unlock(2, B);
	end(0, 0);
}

static void trying(void **state)
{
	(void)state;
	/* Who only tries does not wait. */
	begin();
	lock(1, A, 1), trylock(1, B, 2), unlock(1, B), unlock(1, A);
	nest(2, B, A);
	end(0, 0);
	/* But it holds what it got. */
	begin();
	trylock(1, A, 1), lock(1, B, 2), unlock(1, B), unlock(1, A);
	nest(2, B, A);
	end(1, 0);
}

static void nesting(void **state)
{
	(void)state;
	/* Taken again by who has it: no wait. */
	begin();
	lock(1, A, 1), lock(1, B, 2), lock(1, A, 3), unlock(1, A), unlock(1, B), unlock(1, A);
	nest(2, A, B);
	end(0, 0);
	/* Given up once of twice: held still. */
	begin();
	lock(1, A, 1), lock(1, A, 1), unlock(1, A), lock(1, B, 2), unlock(1, B), unlock(1, A);
	lock(1, C, 3), lock(1, D, 4), unlock(1, D), unlock(1, C);
	nest(2, B, A);
	nest(3, D, A);
	end(1, 0);
}

static void other_lives(void **state)
{
	(void)state;
	/* Its life is known; or it has no end; or it is in a block that was there; or nothing. */
	for (unsigned known = 0; known < 4; known++) {
		struct bs_event block = {.ts_ns = 9000,
					 .pid = PID,
					 .tid = 7,
					 .type = BS_EVENT_MARK,
					 .kind = BSCOPE_KIND_NEW,
					 .klass_id = BLOCK,
					 .id = A - 64,
					 .arg = B - A + 128,
					 .has = BS_EVENT_HAS_BYTES,
					 .place = 60};

		begin();
		all_last = known == 1;
		if (known == 0) {
			mark(1, BSCOPE_KIND_NEW, MUTEX, A, 50, false);
			mark(1, BSCOPE_KIND_NEW, MUTEX, B, 50, false);
		} else if (known == 2) {
			assert_int_equal(bs_model_event(m, &block), 0);
		}
		nest(1, A, B);
		nest(2, B, A);
		nest(2, B, A);
		end(known < 3, known == 3);
	}
	/* Another lock, at the same address, before and after. */
	for (unsigned kind = 0; kind < 3; kind++) {
		begin();
		nest(1, A, B);
		if (kind != 1)
			mark(1, BSCOPE_KIND_DROP, MUTEX, A, 51, false);
		if (kind != 2)
			mark(1, BSCOPE_KIND_NEW, MUTEX, A, 50, false);
		nest(2, B, A);
		assert_int_equal(cycles(), 0);
		nest(1, A, B);
		end(1, 0);
	}
	/* Blocks that begin in between: of nobody knows which lock. */
	begin();
	all_last = false;
	mark(1, BSCOPE_KIND_NEW, MUTEX, B, 50, false);
	nest(1, A, B);
	{
		struct bs_event block = {.ts_ns = now += US,
					 .pid = PID,
					 .tid = 7,
					 .type = BS_EVENT_MARK,
					 .kind = BSCOPE_KIND_NEW,
					 .klass_id = BLOCK,
					 .id = A,
					 .arg = 64,
					 .has = BS_EVENT_HAS_BYTES,
					 .place = 60};

		assert_int_equal(bs_model_event(m, &block), 0);
	}
	nest(2, B, A);
	end(0, 1);
}

static void block(unsigned kind, uint64_t id, uint64_t bytes)
{
	const struct bs_event ev = {.ts_ns = now += 10 * US,
				    .pid = PID,
				    .tid = 7,
				    .type = BS_EVENT_MARK,
				    .kind = (uint8_t)kind,
				    .klass_id = BLOCK,
				    .id = id,
				    .arg = bytes,
				    .has = bytes ? BS_EVENT_HAS_BYTES : 0,
				    .place = 60};

	assert_int_equal(bs_model_event(m, &ev), 0);
}

/* A block that is older than the order of its locks has come to lie there since. */
static void blocks_that_are_resized(void **state)
{
	const uint64_t old = A - 0x100, size = 0x200;

	(void)state;
	for (unsigned moves = 0; moves < 2; moves++) {
		uint64_t from = moves ? 0x90000 : old - 0x100;

		begin();
		all_last = false;
		mark(1, BSCOPE_KIND_NEW, MUTEX, B, 50, false);
		block(BSCOPE_KIND_NEW, from, 0x80);
		block(BSCOPE_KIND_NEW, old, size);
		nest(1, A, B);
		block(BSCOPE_KIND_DROP, old, 0);
		block(BSCOPE_KIND_RESIZE_BEGIN, from, 0);
		block(BSCOPE_KIND_RESIZE_END, moves ? old : from, 2 * size);
		nest(2, B, A);
		end(0, 1);
	}
}

static void unseen(void **state)
{
	(void)state;
	/* The loss may have been an unlock. */
	begin();
	lock(1, A, 11);
	bs_model_loss(m, now += US, 1);
	lock(1, B, 12);
	unlock(1, B), unlock(1, A);
	nest(2, B, A);
	end(0, 0);
	/* Or a destroy and an init. */
	begin();
	nest(1, A, B);
	bs_model_loss(m, now += US, 1);
	nest(2, B, A);
	assert_int_equal(cycles(), 0);
	/* What is seen again after it counts. */
	nest(1, A, B);
	end(1, 0);
	/* A site that is not lit. */
	begin();
	assert_int_equal(bs_model_class(m, MUTEX, false, UINT64_MAX), 0);
	nest(1, A, B);
	nest(2, B, A);
	end(0, 0);
	/* One that was lit in between. */
	begin();
	lock(1, A, 11);
	assert_int_equal(bs_model_class(m, MUTEX, false, now + US), 0);
	lock(1, B, 12);
	unlock(1, B), unlock(1, A);
	nest(2, B, A);
	end(0, 0);
	/* Not a lock class: nothing is remembered. */
	begin();
	for (uint32_t t = 1; t < 3; t++) {
		mark(t, BSCOPE_KIND_BORROW_MUT, BLOCK, t == 1 ? A : B, 1, false);
		mark(t, BSCOPE_KIND_BORROW_MUT, BLOCK, t == 1 ? B : A, 2, false);
		mark(t, BSCOPE_KIND_UNBORROW, BLOCK, t == 1 ? B : A, 3, false);
		mark(t, BSCOPE_KIND_UNBORROW, BLOCK, t == 1 ? A : B, 3, false);
	}
	end(0, 0);
}

/* What somebody else unlocks, or gets, is held no longer. */
static void handed_over(void **state)
{
	(void)state;
	begin();
	lock(1, A, 1);
	unlock(2, A);
	lock(1, B, 2), unlock(1, B);
	nest(3, B, A);
	end(0, 0);
	begin();
	lock(1, A, 1);
	unlock(2, A);
	lock(2, A, 2), unlock(2, A);
	lock(3, A, 2), unlock(3, A);
	end(0, 0);
	/* An unlock by who never had it, of what nobody has. */
	begin();
	unlock(1, A);
	nest(1, A, B);
	nest(2, B, A);
	end(1, 0);
}

/*
 * The next one has the gate, by a clock that is ahead, before the one who has it waits for its
 * second lock and gives the gate back: it holds it still.
 */
static void gate_taken_early(void **state)
{
	(void)state;
	begin();
	lock(1, G, 1);
	lock(1, A, 1);
	lock(2, G, 2);
	now -= 1500;
	lock(1, B, 3);
	now -= 1500;
	unlock(1, G);
	unlock(1, B), unlock(1, A);
	lock(2, B, 4);
	lock(2, A, 5);
	unlock(2, A), unlock(2, B), unlock(2, G);
	/* That both had it at one time is as little decided. */
	end(0, 1);
	/* Much later it does not hold any more what another one has given back. */
	begin();
	lock(1, G, 1);
	lock(1, A, 1);
	unlock(2, G);
	now += 10 * US;
	lock(1, B, 3);
	unlock(1, B), unlock(1, A);
	lock(2, G, 2);
	lock(2, B, 4);
	lock(2, A, 5);
	end(1, 0);
}

/* What was known of others before a loss is no reason to take what is seen now for anything else.
 */
static void stale_holds(void **state)
{
	(void)state;
	/* The gate was the other one's until then; who gives it back has had it since. */
	begin();
	lock(3, G, 1);
	bs_model_loss(m, now += US, 1);
	nest(1, A, B);
	unlock(1, G);
	lock(2, G, 2);
	nest(2, B, A);
	unlock(2, G);
	end(0, 0);
	/* A reader's exclusive level of before does not let another reader take the gate away. */
	begin();
	wrlock(3, G, 1);
	bs_model_loss(m, now += US, 1);
	rdlock(2, G, 2), rwunlock(2, G);
	now += 10 * US;
	rdlock(3, G, 3);
	now += 10 * US;
	rdlock(2, G, 2), rwunlock(2, G);
	now += 10 * US;
	nest(3, A, B);
	rwunlock(3, G);
	wrlock(2, G, 4);
	nest(2, B, A);
	rwunlock(2, G);
	end(0, bs_model_undecided(m));
	/* Who had it for reading may have got it as a writer since. */
	begin();
	rdlock(1, G, 1);
	bs_model_loss(m, now += US, 1);
	nest(1, A, B);
	rwunlock(1, G);
	rdlock(2, G, 2);
	nest(2, B, A);
	rwunlock(2, G);
	end(0, bs_model_undecided(m));
}

/* Of a lock that is taken again by who has it, which another one takes behind all of that. */
static void levels_and_early_stamps(void **state)
{
	(void)state;
	begin();
	lock(1, A, 1);
	lock(1, B, 2);
	now += 10 * US;
	lock(2, A, 3);
	now -= 1500;
	lock(1, A, 4); /* no wait */
	now -= 1500;
	unlock(1, A);
	now -= 1500;
	unlock(1, A);
	unlock(1, B);
	unlock(2, A);
	now += 10 * US;
	nest(3, A, B);
	end(0, bs_model_undecided(m));
	/* It is held all that time, and keeps others away. */
	begin();
	lock(3, G, 6);
	nest(3, B, A);
	unlock(3, G);
	now += 10 * US;
	lock(1, G, 1);
	now += 10 * US;
	lock(2, G, 2);
	now -= 1500;
	lock(1, G, 3);
	now -= 1900;
	unlock(1, G);
	now -= 1900;
	lock(1, A, 4);
	now -= 1900;
	lock(1, B, 5);
	now -= 1900;
	unlock(1, B);
	now -= 1900;
	unlock(1, A);
	now -= 1900;
	unlock(1, G);
	unlock(2, G);
	end(0, bs_model_undecided(m));
	/* Its first level was not seen, so the last unlock says that there was no wait. */
	begin();
	lock(1, B, 1);
	lock(1, A, 2); /* no wait */
	now += 10 * US;
	lock(2, A, 3);
	now -= 1500;
	unlock(1, A);
	now -= 1500;
	unlock(1, A);
	unlock(1, B);
	lock(2, B, 4), unlock(2, B), unlock(2, A);
	end(0, bs_model_undecided(m));
}

/* Threads that end with a lock, or whose unlock nobody sees: the oldest are forgotten. */
static void threads_that_stay(void **state)
{
	(void)state;
	begin();
	lock(2, G, 3);
	nest(2, B, A);
	unlock(2, G);
	lock(1, G, 1);
	for (uint32_t i = 0; i < 40000; i++)
		lock(1000 + i, 0x1000000 + 64 * i, 2);
	/* Under a gate that is not known any more; and when it is given back, who knows. */
	nest(1, A, B);
	assert_int_equal(cycles(), 0);
	unlock(1, G);
	nest(1, A, B);
	assert_int_equal(cycles(), 0);
	/* Of others all is known. */
	nest(900, A, B);
	end(1, 0);
}

/* A wait for the next lock at that address, stamped before the end of the one before. */
static void early_for_the_next(void **state)
{
	(void)state;
	for (int early = 0; early < 2; early++) {
		begin();
		nest(1, A, B);
		now += 10 * US;
		lock(2, B, 3);
		lock(2, A, 4);
		now += early ? -1500 : 1500;
		mark(3, BSCOPE_KIND_DROP, MUTEX, A, 5, false);
		now -= 1900;
		mark(3, BSCOPE_KIND_NEW, MUTEX, A, 6, false);
		unlock(2, A), unlock(2, B);
		assert_int_equal(cycles(), !early);
		bs_model_free(m);
	}
}

/* Two wait for it so, which is found twice. */
static void early_for_the_next_twice(void **state)
{
	(void)state;
	begin();
	lock(1, A, 1);
	wrlock(1, G, 2);
	rwunlock(1, G), unlock(1, A);
	rdlock(2, G, 3);
	rdlock(3, G, 3);
	for (uint32_t tid = 2; tid <= 3; tid++) {
		now -= 1900;
		lock(tid, A, 4);
		now -= 1900;
		unlock(tid, A);
	}
	assert_int_equal(cycles(), 1);
	now -= 1500;
	mark(4, BSCOPE_KIND_DROP, MUTEX, A, 5, false);
	mark(4, BSCOPE_KIND_NEW, MUTEX, A, 6, false);
	rwunlock(2, G), rwunlock(3, G);
	end(0, 1);
}

/* What was done with the one before, stamped behind the begin of the next. */
static void late_for_the_last(void **state)
{
	(void)state;
	for (int late = 0; late < 2; late++)
		for (int held = 0; held < 2; held++) {
			begin();
			all_last = false;
			mark(3, BSCOPE_KIND_NEW, MUTEX, G, 7, false);
			mark(3, BSCOPE_KIND_NEW, MUTEX, A, 7, false);
			now += 10 * US;
			mark(3, BSCOPE_KIND_DROP, MUTEX, A, 5, false);
			now -= 1900;
			mark(3, BSCOPE_KIND_NEW, MUTEX, A, 6, false);
			now += late ? -1500 : 1500;
			for (int i = 0; i < 2; i++) {
				lock(1, (i == 0) == held ? A : G, 1 + i);
				now -= 1900;
			}
			unlock(1, A);
			unlock(1, G);
			now += 10 * US;
			nest(2, held ? G : A, held ? A : G);
			assert_int_equal(cycles(), !late);
			bs_model_free(m);
		}
}

/* Likewise where no lock is made, but the memory in which it is. */
static void late_for_the_last_block(void **state)
{
	struct bs_event block = {
		.pid = PID,
		.tid = 3,
		.type = BS_EVENT_MARK,
		.kind = BSCOPE_KIND_NEW,
		.klass_id = BLOCK,
		.id = A - 16,
		.arg = 64,
		.has = BS_EVENT_HAS_BYTES,
		.place = 7,
	};

	(void)state;
	for (int late = 0; late < 2; late++) {
		begin();
		all_last = false;
		mark(3, BSCOPE_KIND_NEW, MUTEX, G, 7, false);
		block.ts_ns = now += 10 * US;
		assert_int_equal(bs_model_event(m, &block), 0);
		now += 10 * US;
		mark(3, BSCOPE_KIND_DROP, BLOCK, A - 16, 5, false);
		block.ts_ns = now += 100;
		assert_int_equal(bs_model_event(m, &block), 0);
		now += late ? -1500 : 1500;
		nest(1, G, A);
		now += 10 * US;
		nest(2, A, G);
		end(!late, late);
	}
}

/* Locks that begin without a new, at addresses where others were. */
static void static_locks(void **state)
{
	struct bs_model_totals t;

	(void)state;
	begin();
	mark(1, BSCOPE_KIND_NEW, MUTEX, A, 50, false);
	mark(1, BSCOPE_KIND_DROP, MUTEX, A, 51, false);
	for (uint32_t i = 1; i < 4; i++)
		lock(i, A, 1), unlock(i, A);
	mark(1, BSCOPE_KIND_DROP, MUTEX, A, 51, false);
	mark(1, BSCOPE_KIND_DROP, MUTEX, A, 51, false);
	mark(1, BSCOPE_KIND_NEW, MUTEX, A, 50, false);
	lock(1, A, 1), unlock(1, A);
	bs_model_totals(m, &t);
	assert_int_equal(t.created, 2);
	assert_int_equal(t.live, 1);
	/* The drops of what nobody made; borrows are no riddle. */
	assert_int_equal(t.unknown, 2);
	end(0, 0);
}

/* Destroyed while somebody has it: that is an error, of locks as well. */
static void dropped_held(void **state)
{
	struct bs_verdict_row *rows;
	size_t n;

	(void)state;
	begin();
	mark(1, BSCOPE_KIND_NEW, MUTEX, A, 50, false);
	lock(1, A, 1);
	now += 5 * US;
	mark(2, BSCOPE_KIND_DROP, MUTEX, A, 51, false);
	now += 5 * US;
	unlock(1, A);
	assert_int_equal(bs_model_end(m), 0);
	assert_int_equal(bs_model_verdicts(m, &rows, &n), 0);
	assert_int_equal(n, 1);
	assert_int_equal(rows[0].verdict, BS_VERDICT_DROP_WHILE_BORROWED);
	free(rows);
	bs_model_free(m);
}

static void processes(void **state)
{
	struct bs_event ev = {.pid = PID, .tid = 1, .type = BS_EVENT_EXEC};

	(void)state;
	begin();
	nest(1, A, B);
	lock(1, C, 5);
	ev.ts_ns = now += US;
	assert_int_equal(bs_model_event(m, &ev), 0);
	nest(2, B, A);
	lock(1, D, 6), unlock(1, D);
	nest(2, D, C);
	end(0, 0);
}

static void held_times(void **state)
{
	struct bs_lock_row *rows;
	size_t n;

	(void)state;
	begin();
	for (unsigned i = 0; i < 100; i++) {
		lock(1, A, 1);
		now += i * US;
		unlock(1, A);
		rdlock(1, A, 2), rwunlock(1, A); /* not exclusive */
	}
	wrlock(2, C, 3);
	now += 500 * US;
	rwunlock(2, C);
	lock(2, A, 4);
	bs_model_loss(m, now += US, 1); /* it may have been two */
	unlock(2, A);
	assert_int_equal(bs_model_lock_uses(m, &rows, &n), 0);
	assert_int_equal(n, 2);
	assert_int_equal(rows[0].klass_id, RWLOCK);
	assert_int_equal(rows[0].place, 3);
	assert_int_equal(rows[0].held.count, 1);
	assert_int_equal(rows[0].held.max_ns, 502 * US);
	assert_int_equal(rows[1].klass_id, MUTEX);
	assert_int_equal(rows[1].place, 1);
	assert_int_equal(rows[1].code, 0);
	assert_int_equal(rows[1].held.count, 100);
	assert_int_equal(rows[1].held.max_ns, 101 * US);
	assert_in_range(rows[1].held.p50_ns, 51 * US, 53 * US);
	free(rows);
	end(0, 0);
}

/* A great many locks, threads and orders: bounded, and the end is as good as the beginning. */
static void many(void **state)
{
	(void)state;
	begin();
	for (uint32_t i = 0; i < 200000; i++)
		nest(1000 + i % 3000, G, 0x100000 + 64ull * i);
	for (uint32_t t = 1; t < 5000; t++)
		nest(10000 + t, A, B);
	nest(1, C, D);
	nest(2, D, C);
	assert_int_equal(cycles(), 1);
	/* More locks at once than are remembered: nothing is concluded. */
	for (uint32_t i = 0; i < 40; i++)
		lock(3, 0x10000000 + 64ull * i, 7);
	lock(3, A, 8);
	for (uint32_t i = 40; i-- > 0;)
		unlock(3, 0x10000000 + 64ull * i);
	unlock(3, A);
	lock(4, A, 7), lock(4, 0x10000000 + 64 * 39, 8);
	unlock(4, 0x10000000 + 64 * 39), unlock(4, A);
	end(1, 0);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(two_orders),
		cmocka_unit_test(one_order),
		cmocka_unit_test(three_threads),
		cmocka_unit_test(gates),
		cmocka_unit_test(gates_unseen),
		cmocka_unit_test(gates_not_lit),
		cmocka_unit_test(readers),
		cmocka_unit_test(trying),
		cmocka_unit_test(nesting),
		cmocka_unit_test(other_lives),
		cmocka_unit_test(blocks_that_are_resized),
		cmocka_unit_test(unseen),
		cmocka_unit_test(handed_over),
		cmocka_unit_test(gate_taken_early),
		cmocka_unit_test(static_locks),
		cmocka_unit_test(stale_holds),
		cmocka_unit_test(levels_and_early_stamps),
		cmocka_unit_test(early_for_the_next),
		cmocka_unit_test(early_for_the_next_twice),
		cmocka_unit_test(late_for_the_last),
		cmocka_unit_test(late_for_the_last_block),
		cmocka_unit_test(threads_that_stay),
		cmocka_unit_test(dropped_held),
		cmocka_unit_test(processes),
		cmocka_unit_test(held_times),
		cmocka_unit_test(many),

	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
