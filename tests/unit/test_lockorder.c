// SPDX-License-Identifier: GPL-2.0-only
/*
 * test_lockorder.c - which orders of locks are found to be a possible deadlock, which are not, and
 * that random histories are judged as a plain reference judges them.
 */
#include <stdarg.h>
#include <stddef.h>
#include <setjmp.h>
#include <stdint.h>
#include <cmocka.h>

#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "bscope/abi.h"
#include "model/model.h"

#define PID 100u
#define US  1000ull

enum { MUTEX = 1, RWLOCK, BLOCK, CLASSES = BLOCK };
enum { A = 0x10000, B = 0x20000, C = 0x30000, D = 0x40000, G = 0x50000 };

static struct bs_model *m;
static uint64_t now;
static bool all_last; /* what the model is told of any address */

static bool lasting(void *ctx, uint32_t pid, uint64_t addr)
{
	(void)ctx;
	assert_int_equal(pid, PID);
	assert_true(addr);
	return all_last;
}

static void begin(void)
{
	struct bs_model_opts opts = {.start_ns = 1000, .lasting = lasting};

	m = bs_model_new(&opts);
	assert_non_null(m);
	now = 10000;
	all_last = true;
	for (uint32_t k = 1; k <= CLASSES; k++)
		assert_int_equal(bs_model_class(m, k, true, 0), 0);
	assert_int_equal(bs_model_locks(m, MUTEX), 0);
	assert_int_equal(bs_model_locks(m, RWLOCK), 0);
}

static void mark(uint32_t tid, unsigned kind, uint32_t klass, uint64_t id, uint32_t place,
		 bool waits)
{
	struct bs_event ev = {
		.ts_ns = now += 2 * US,
		.pid = PID,
		.tid = tid,
		.type = BS_EVENT_MARK,
		.kind = (uint8_t)kind,
		.klass_id = klass,
		.id = id,
		.place = place,
	};

	if (kind == BSCOPE_KIND_BORROW || kind == BSCOPE_KIND_BORROW_MUT ||
	    kind == BSCOPE_KIND_UNBORROW) {
		ev.arg = 0x7f0000000000 + tid;
		ev.has = BS_EVENT_HAS_OTHER | (waits ? BS_EVENT_WAITS : 0);
	}
	assert_int_equal(bs_model_event(m, &ev), 0);
}

static void lock(uint32_t tid, uint64_t id, uint32_t place)
{
	mark(tid, BSCOPE_KIND_BORROW_MUT, MUTEX, id, place, true);
}

static void trylock(uint32_t tid, uint64_t id, uint32_t place)
{
	mark(tid, BSCOPE_KIND_BORROW_MUT, MUTEX, id, place, false);
}

static void unlock(uint32_t tid, uint64_t id)
{
	mark(tid, BSCOPE_KIND_UNBORROW, MUTEX, id, 99, false);
}

static void rdlock(uint32_t tid, uint64_t id, uint32_t place)
{
	mark(tid, BSCOPE_KIND_BORROW, RWLOCK, id, place, true);
}

static void wrlock(uint32_t tid, uint64_t id, uint32_t place)
{
	mark(tid, BSCOPE_KIND_BORROW_MUT, RWLOCK, id, place, true);
}

static void rwunlock(uint32_t tid, uint64_t id)
{
	mark(tid, BSCOPE_KIND_UNBORROW, RWLOCK, id, 98, false);
}

/* Takes two mutexes one inside the other; places are 10 * tid + 1, 2. */
static void nest(uint32_t tid, uint64_t outer, uint64_t inner)
{
	lock(tid, outer, 10 * tid + 1);
	lock(tid, inner, 10 * tid + 2);
	unlock(tid, inner);
	unlock(tid, outer);
}

static size_t cycles(void)
{
	struct bs_cycle_row *rows;
	size_t n;

	assert_int_equal(bs_model_cycles(m, &rows, &n), 0);
	free(rows);
	return n;
}

/* So many cycles and undecided marks, no verdict; and that was all. */
static void end(size_t found, uint64_t undecided)
{
	struct bs_verdict_row *rows;
	size_t n;

	assert_int_equal(bs_model_end(m), 0);
	assert_int_equal(cycles(), found);
	assert_int_equal(bs_model_undecided(m), undecided);
	assert_int_equal(bs_model_verdicts(m, &rows, &n), 0);
	assert_int_equal(n, 0);
	free(rows);
	bs_model_free(m);
}

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
		struct bs_event block = {.ts_ns = 11000,
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

static uint64_t seed;

static uint32_t below(uint32_t n)
{
	seed ^= seed << 13;
	seed ^= seed >> 7;
	seed ^= seed << 17;
	return (uint32_t)((seed * 0x2545f4914f6cdd1dull) >> 33) % n;
}

/* --- a correct program, seen through clocks that differ --------------------------------------- */

enum { C_THREADS = 4, C_MARKS = 2000 };

/* Under the gate A and B in any order, else C before D. */
struct worker {
	uint64_t want[3]; /* what it takes, one in the other */
	unsigned nwant, nheld;
	bool back; /* it gives them back */
};

static int stamp_cmp(const void *x, const void *y)
{
	const struct bs_event *a = x, *b = y;

	/* Equal stamps: in the order in which they came; `code` is no caller here. */
	if (a->ts_ns != b->ts_ns)
		return a->ts_ns < b->ts_ns ? -1 : 1;
	return (a->code > b->code) - (a->code < b->code);
}

static void correct_round(void)
{
	static struct bs_event v[C_MARKS];
	struct worker w[C_THREADS] = {0};
	uint64_t last[C_THREADS] = {0}, t = 1000000;
	bool taken[G / A + 1] = {false};
	size_t n = 0;

	while (n < C_MARKS) {
		unsigned thread = below(C_THREADS);
		struct worker *x = &w[thread];
		uint64_t lock;

		if (!x->nheld) {
			bool gate = below(2), swap = below(2);

			*x = (struct worker){.nwant = gate ? 3 : 2};
			x->want[0] = gate ? G : C;
			x->want[1] = gate ? (swap ? B : A) : D;
			x->want[2] = swap ? A : B;
		}
		/* The gate is given back first, sometimes. */
		if (x->back && x->nheld == 3 && below(2)) {
			lock = x->want[0];
			x->want[0] = x->want[2];
		} else {
			lock = x->want[x->back ? x->nheld - 1 : x->nheld];
		}
		if (!x->back && taken[lock / A])
			continue;
		taken[lock / A] = !x->back;
		t += 50 + below(250);
		v[n] = (struct bs_event){
			.ts_ns = t + below(501) - 250,
			.pid = PID,
			.tid = thread + 1,
			.type = BS_EVENT_MARK,
			.kind = x->back ? BSCOPE_KIND_UNBORROW : BSCOPE_KIND_BORROW_MUT,
			.klass_id = MUTEX,
			.id = lock,
			.place = (uint32_t)(1 + lock / A),
			.arg = 0x7f0000000000 + thread,
			.code = (uint32_t)n,
			.has = BS_EVENT_HAS_OTHER | (x->back ? 0 : BS_EVENT_WAITS),
		};
		if (v[n].ts_ns < last[thread])
			v[n].ts_ns = last[thread];
		last[thread] = v[n++].ts_ns;
		x->nheld += x->back ? -1u : 1u;
		if (x->nheld == x->nwant)
			x->back = true;
	}
	qsort(v, n, sizeof(*v), stamp_cmp);
	begin();
	for (size_t i = 0; i < n; i++) {
		v[i].code = 0;
		assert_int_equal(bs_model_event(m, &v[i]), 0);
	}
	now = t;
	end(0, bs_model_undecided(m));
}

static void correct_under_gates(void **state)
{
	(void)state;
	for (unsigned round = 0; round < 2000; round++) {
		seed = round * 0x9e3779b97f4a7c15ull + 3;
		correct_round();
	}
}

/* --- random histories against a plain reference ----------------------------------------------- */

enum { THREADS = 4, LOCKS = 4, STEPS = 300, ORDERS = 4000 };

/* What one thread did: all of it is kept. */
struct order {
	unsigned tid, from, to;
	unsigned held[LOCKS]; /* 0: no, 1: for reading, 2: exclusively */
	unsigned wanted;
	bool valid;
};
static struct order orders[ORDERS];
static unsigned norders;

static unsigned place_of(unsigned tid, unsigned l, unsigned how)
{
	return 1 + (tid * LOCKS + l) * 3 + how;
}

struct key {
	unsigned v[2 * BS_CYCLE_MAX];
};
static struct key found[20000];
static unsigned nfound;

static int key_cmp(const void *x, const void *y)
{
	return memcmp(x, y, sizeof(struct key));
}

/* From the edge with the least places on. */
static struct key key_of(const unsigned (*places)[2], unsigned n)
{
	struct key k = {{0}};
	unsigned first = 0;

	for (unsigned i = 1; i < n; i++)
		if (places[i][0] != places[first][0] ? places[i][0] < places[first][0]
						     : places[i][1] < places[first][1])
			first = i;
	for (unsigned i = 0; i < n; i++) {
		k.v[2 * i] = places[(first + i) % n][0];
		k.v[2 * i + 1] = places[(first + i) % n][1];
	}
	return k;
}

static bool excluded(const struct order *a, const struct order *b)
{
	if (a->tid == b->tid)
		return true;
	for (unsigned l = 0; l < LOCKS; l++)
		if (a->held[l] && b->held[l] && (a->held[l] == 2 || b->held[l] == 2))
			return true;
	return false;
}

static void found_add(const struct order *const *path, unsigned n)
{
	unsigned places[BS_CYCLE_MAX][2];
	struct key k;

	for (unsigned i = 0; i < n; i++) {
		places[i][0] = place_of(path[i]->tid, path[i]->from, path[i]->held[path[i]->from]);
		places[i][1] = place_of(path[i]->tid, path[i]->to, path[i]->wanted);
	}
	k = key_of(places, n);
	for (unsigned i = 0; i < nfound; i++)
		if (!key_cmp(&found[i], &k))
			return;
	assert_true(nfound < sizeof(found) / sizeof(found[0]));
	found[nfound++] = k;
}

static void extend(const struct order **path, unsigned n)
{
	const struct order *last = path[n - 1];

	if (last->to == path[0]->from) {
		if (n > 1 && (last->wanted == 2 || path[0]->held[path[0]->from] == 2))
			found_add(path, n);
		return;
	}
	if (n == BS_CYCLE_MAX)
		return;
	for (unsigned i = 0; i < norders; i++) {
		const struct order *o = &orders[i];
		bool fits = o->valid && o->from == last->to &&
			    (last->wanted == 2 || o->held[o->from] == 2);

		for (unsigned k = 0; k < n && fits; k++)
			fits = !excluded(path[k], o) && o->to != path[k]->to;
		if (!fits)
			continue;
		path[n] = o;
		extend(path, n + 1);
	}
}

static void same_as_found(void)
{
	struct bs_cycle_row *rows;
	struct key *keys;
	size_t n;

	assert_int_equal(bs_model_cycles(m, &rows, &n), 0);
	keys = calloc(n + 1, sizeof(*keys));
	assert_non_null(keys);
	for (size_t i = 0; i < n; i++) {
		unsigned places[BS_CYCLE_MAX][2];

		assert_true(rows[i].count);
		for (unsigned k = 0; k < rows[i].n; k++) {
			const struct bs_cycle_edge *e = &rows[i].edges[k];

			/* What it waits for is what the next one holds. */
			assert_int_equal(e->id, rows[i].edges[(k + 1) % rows[i].n].held_id);
			places[k][0] = e->held_place;
			places[k][1] = e->place;
		}
		keys[i] = key_of(places, rows[i].n);
	}
	qsort(keys, n, sizeof(*keys), key_cmp);
	qsort(found, nfound, sizeof(found[0]), key_cmp);
	assert_int_equal(n, nfound);
	assert_memory_equal(keys, found, n * sizeof(*keys));
	free(keys);
	free(rows);
}

static void history(uint64_t start, bool lives)
{
	unsigned held[THREADS][LOCKS] = {{0}}, levels[THREADS][LOCKS] = {{0}};

	seed = start * 0x9e3779b97f4a7c15ull + 1;
	begin();
	norders = nfound = 0;
	for (unsigned step = 0; step < STEPS; step++) {
		unsigned t = below(THREADS), l = below(LOCKS), how = 1 + below(2), readers = 0,
			 writers = 0;
		uint64_t id = 0x10000 * (l + 1);
		bool waits = below(4);
		struct order o = {.tid = t, .to = l, .wanted = how, .valid = true};

		for (unsigned i = 0; i < THREADS; i++) {
			readers += i != t && held[i][l] == 1;
			writers += i != t && held[i][l] == 2;
		}
		if (lives && !readers && !writers && !held[t][l] && !below(40)) {
			mark(t + 1, below(2) ? BSCOPE_KIND_NEW : BSCOPE_KIND_DROP, RWLOCK, id, 900,
			     false);
			for (unsigned i = 0; i < norders; i++)
				if (orders[i].from == l || orders[i].to == l)
					orders[i].valid = false;
			continue;
		}
		if (held[t][l] && below(3)) {
			mark(t + 1, BSCOPE_KIND_UNBORROW, RWLOCK, id, 901, false);
			if (!--levels[t][l])
				held[t][l] = 0;
			continue;
		}
		/* Again only as it is held: a reader that becomes a writer would wait for itself.
		 */
		if (writers || (how == 2 && readers) || (held[t][l] && held[t][l] != how))
			continue;
		mark(t + 1, how == 2 ? BSCOPE_KIND_BORROW_MUT : BSCOPE_KIND_BORROW, RWLOCK, id,
		     place_of(t, l, how), waits);
		for (unsigned from = 0; from < LOCKS && waits && !held[t][l]; from++) {
			const struct order *path[BS_CYCLE_MAX];

			if (!held[t][from])
				continue;
			memcpy(o.held, held[t], sizeof(o.held));
			o.from = from;
			assert_true(norders < ORDERS);
			orders[norders++] = o;
			path[0] = &orders[norders - 1];
			extend(path, 1);
		}
		held[t][l] = how;
		levels[t][l]++;
	}
	same_as_found();
	end(nfound, 0);
}

static void as_the_reference(void **state)
{
	unsigned with = 0, sum = 0;

	(void)state;
	for (unsigned i = 0; i < 400; i++) {
		history(i, i % 2);
		with += nfound > 0;
		sum += nfound;
	}
	/* The comparison is of something, and not always of everything. */
	assert_in_range(with, 100, 400);
	assert_true(sum > 1000);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(two_orders),
		cmocka_unit_test(one_order),
		cmocka_unit_test(three_threads),
		cmocka_unit_test(gates),
		cmocka_unit_test(gates_unseen),
		cmocka_unit_test(readers),
		cmocka_unit_test(trying),
		cmocka_unit_test(nesting),
		cmocka_unit_test(other_lives),
		cmocka_unit_test(unseen),
		cmocka_unit_test(handed_over),
		cmocka_unit_test(gate_taken_early),
		cmocka_unit_test(static_locks),
		cmocka_unit_test(dropped_held),
		cmocka_unit_test(processes),
		cmocka_unit_test(held_times),
		cmocka_unit_test(many),
		cmocka_unit_test(correct_under_gates),
		cmocka_unit_test(as_the_reference),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
