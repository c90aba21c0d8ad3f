/* SPDX-License-Identifier: GPL-2.0-only */
/* lockorder_check.h - what the tests of the order of locks share: a model, marks, what was found.
 */
#ifndef LOCKORDER_CHECK_H
#define LOCKORDER_CHECK_H

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

static inline void begin(void)
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

static inline void mark(uint32_t tid, unsigned kind, uint32_t klass, uint64_t id, uint32_t place,
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

static inline void lock(uint32_t tid, uint64_t id, uint32_t place)
{
	mark(tid, BSCOPE_KIND_BORROW_MUT, MUTEX, id, place, true);
}

static inline void trylock(uint32_t tid, uint64_t id, uint32_t place)
{
	mark(tid, BSCOPE_KIND_BORROW_MUT, MUTEX, id, place, false);
}

static inline void unlock(uint32_t tid, uint64_t id)
{
	mark(tid, BSCOPE_KIND_UNBORROW, MUTEX, id, 99, false);
}

static inline void rdlock(uint32_t tid, uint64_t id, uint32_t place)
{
	mark(tid, BSCOPE_KIND_BORROW, RWLOCK, id, place, true);
}

static inline void wrlock(uint32_t tid, uint64_t id, uint32_t place)
{
	mark(tid, BSCOPE_KIND_BORROW_MUT, RWLOCK, id, place, true);
}

static inline void rwunlock(uint32_t tid, uint64_t id)
{
	mark(tid, BSCOPE_KIND_UNBORROW, RWLOCK, id, 98, false);
}

/* Takes two mutexes one inside the other; places are 10 * tid + 1, 2. */
static inline void nest(uint32_t tid, uint64_t outer, uint64_t inner)
{
	lock(tid, outer, 10 * tid + 1);
	lock(tid, inner, 10 * tid + 2);
	unlock(tid, inner);
	unlock(tid, outer);
}

static inline size_t cycles(void)
{
	struct bs_cycle_row *rows;
	size_t n;

	assert_int_equal(bs_model_cycles(m, &rows, &n), 0);
	free(rows);
	return n;
}

/* So many cycles and undecided marks, no verdict; and that was all. */
static inline void end(size_t found, uint64_t undecided)
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

#endif
