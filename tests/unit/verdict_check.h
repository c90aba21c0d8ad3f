/* SPDX-License-Identifier: GPL-2.0-only */
/* verdict_check.h - what the tests of verdicts share: a model, and what it found. */
#ifndef VERDICT_CHECK_H
#define VERDICT_CHECK_H

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
#define US  1000ull /* two marks so far apart have an order */

enum { BUF = 1, CONN, REQ, CLASSES = REQ };

static struct bs_model *m;
static uint64_t now;

static inline void model_new(void)
{
	struct bs_model_opts opts = {.start_ns = 1000};

	m = bs_model_new(&opts);
	assert_non_null(m);
	now = 10000;
	for (uint32_t k = 1; k <= CLASSES; k++)
		assert_int_equal(bs_model_class(m, k, true, 0), 0);
}

/* The process begins a program, and is heard from then on. */
static inline void started(void)
{
	struct bs_event ev = {
		.ts_ns = now, .pid = PID, .tid = PID, .type = BS_EVENT_EXEC, .has = BS_EVENT_HEARD};

	assert_int_equal(bs_model_event(m, &ev), 0);
}

struct want {
	enum bs_verdict verdict;
	uint32_t at, since;
};

/* All that was found by now, in the order of time. */
static inline void expect_rows(const struct want *want, size_t n)
{
	struct bs_verdict_row *rows;
	size_t found;

	assert_int_equal(bs_model_end(m), 0);
	assert_int_equal(bs_model_verdicts(m, &rows, &found), 0);
	for (size_t i = 0; i < found && i < n; i++) {
		assert_int_equal(rows[i].verdict, want[i].verdict);
		assert_int_equal(rows[i].at, want[i].at);
		assert_int_equal(rows[i].since, want[i].since);
		assert_int_equal(rows[i].pid, PID);
		assert_int_equal(rows[i].count, 1);
	}
	assert_int_equal(found, n);
	free(rows);
}
#define EXPECT(...)                                                   \
	do {                                                          \
		const struct want want_[] = {__VA_ARGS__};            \
		expect_rows(want_, sizeof(want_) / sizeof(want_[0])); \
	} while (0)
#define NOTHING() expect_rows(NULL, 0)

static inline void exits(void)
{
	struct bs_event ev = {
		.ts_ns = now += 10 * US, .pid = PID, .tid = PID, .type = BS_EVENT_EXIT};

	assert_int_equal(bs_model_event(m, &ev), 0);
}

#endif
