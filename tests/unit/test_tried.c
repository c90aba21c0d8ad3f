// SPDX-License-Identifier: GPL-2.0-only
/*
 * test_tried.c - drops that are tried: found to be a second one only when nothing was there, when
 * the first was seen, and when the caller does not sweep.
 */
#include "verdict_check.h"

enum { OPEN = 10, CLOSE, VAIN };

static void mark(uint32_t tid, unsigned kind, uint64_t id, uint32_t place, uint32_t code)
{
	struct bs_event ev = {
		.ts_ns = now += 2 * US,
		.pid = PID,
		.tid = tid,
		.type = BS_EVENT_MARK,
		.kind = (uint8_t)kind,
		.klass_id = CONN,
		.id = id,
		.place = place,
		.code = code,
		.has = BS_EVENT_HAS_CALLER,
	};

	if (kind == BSCOPE_KIND_DROP) {
		ev.has |= BS_EVENT_TRIES;
		ev.arg = place == VAIN;
	}
	assert_int_equal(bs_model_event(m, &ev), 0);
}

static void opens(uint32_t tid, uint64_t id)
{
	mark(tid, BSCOPE_KIND_NEW, id, OPEN, 7);
}

/* From a caller. */
static void closes(uint32_t tid, uint64_t id, uint32_t code)
{
	mark(tid, BSCOPE_KIND_DROP, id, CLOSE, code);
}

static void vain(uint32_t tid, uint64_t id, uint32_t code)
{
	mark(tid, BSCOPE_KIND_DROP, id, CLOSE, code);
	mark(tid, BSCOPE_KIND_DROP, id, VAIN, code);
}

/* Double drops, and what is undecided. */
static void end(uint64_t found, uint64_t undecided)
{
	struct bs_verdict_row *rows;
	uint64_t sum = 0;
	size_t n;

	assert_int_equal(bs_model_end(m), 0);
	assert_int_equal(bs_model_verdicts(m, &rows, &n), 0);
	for (size_t i = 0; i < n; i++) {
		assert_int_equal(rows[i].verdict, BS_VERDICT_DOUBLE_DROP);
		assert_int_equal(rows[i].at, VAIN);
		assert_int_equal(rows[i].since, CLOSE);
		assert_true(rows[i].at_code && rows[i].since_code);
		sum += rows[i].count;
	}
	free(rows);
	assert_int_equal(sum, found);
	assert_int_equal(bs_model_undecided(m), undecided);
	bs_model_free(m);
}

static void twice(void **state)
{
	struct bs_verdict_row *rows;
	size_t n;

	(void)state;
	model_new();
	opens(1, 5);
	closes(1, 5, 1);
	vain(2, 5, 2);
	assert_int_equal(bs_model_end(m), 0);
	assert_int_equal(bs_model_verdicts(m, &rows, &n), 0);
	assert_int_equal(n, 1);
	assert_int_equal(rows[0].at_code, 2);
	assert_int_equal(rows[0].since_code, 1);
	assert_int_equal(rows[0].tid, 2);
	assert_int_equal(rows[0].since_tid, 1);
	free(rows);
	/* By other callers they are other findings; a third time is not one more. */
	opens(1, 5);
	closes(1, 5, 1);
	vain(2, 5, 3);
	vain(2, 5, 3);
	end(2, 0);
}

static void not_proven(void **state)
{
	(void)state;
	/* It may have come back unseen, and gone again. */
	model_new();
	opens(1, 5);
	closes(1, 5, 1);
	closes(1, 5, 2);
	closes(1, 5, 3);
	opens(1, 5);
	closes(1, 5, 1);
	end(0, 0);
	/* Its beginning was not seen. */
	model_new();
	closes(1, 5, 1);
	vain(1, 5, 2);
	end(0, 0);
	/* It went unseen. */
	model_new();
	opens(1, 5);
	vain(1, 5, 2);
	end(0, 0);
	/* The one tried before, by the same thread, was another life's. */
	model_new();
	opens(1, 5);
	closes(1, 5, 1);
	closes(1, 5, 2);
	opens(1, 5);
	vain(1, 5, 3);
	end(0, 0);
	/* Another thread's came in between. */
	model_new();
	opens(1, 5);
	closes(1, 5, 1);
	closes(2, 5, 2);
	opens(1, 5);
	mark(2, BSCOPE_KIND_DROP, 5, VAIN, 2);
	closes(1, 5, 1);
	end(1, 0);
	/* A loss. */
	model_new();
	opens(1, 5);
	closes(1, 5, 1);
	bs_model_loss(m, now += US, 1);
	vain(1, 5, 2);
	end(0, 1);
}

static void sweeps(void **state)
{
	(void)state;
	/* Among them one that never was. */
	model_new();
	for (uint64_t id = 3; id < 6; id++)
		opens(1, id), closes(1, id, 1);
	vain(1, 3, 9);
	mark(1, BSCOPE_KIND_DROP, 100, VAIN, 9);
	end(0, 1);
	/* Neighbours, upwards and downwards. */
	for (unsigned down = 0; down < 2; down++) {
		model_new();
		for (uint64_t id = 3; id < 8; id++)
			opens(1, id), closes(1, id, 1);
		for (unsigned i = 0; i < 5; i++)
			vain(1, down ? 7 - i : 3 + i, 9);
		end(0, 5);
	}
	/* The fault of another caller remains one. */
	model_new();
	for (uint64_t id = 3; id < 8; id++)
		opens(1, id), closes(1, id, 1);
	for (unsigned i = 0; i < 4; i++)
		vain(1, 3 + i, 9);
	vain(1, 7, 8);
	end(1, 4);
	/* So do ones that are no neighbours, or of two threads. */
	model_new();
	for (uint64_t id = 3; id < 8; id++)
		opens(1, id), closes(1, id, 1);
	vain(1, 3, 9);
	vain(1, 5, 9);
	vain(2, 6, 9);
	end(3, 0);
}

/* More threads at once than are remembered: less is found, nothing is made up. */
static void many(void **state)
{
	(void)state;
	model_new();
	for (uint64_t id = 100; id < 500; id++)
		opens(1, id), closes(1, id, 1);
	for (uint32_t t = 0; t < 200; t++)
		closes(10 + t, 100 + 2 * t, 2);
	for (uint32_t t = 200; t-- > 0;)
		mark(10 + t, BSCOPE_KIND_DROP, 100 + 2 * t, VAIN, 2);
	end(64, 0);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(twice),
		cmocka_unit_test(not_proven),
		cmocka_unit_test(sweeps),
		cmocka_unit_test(many),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
