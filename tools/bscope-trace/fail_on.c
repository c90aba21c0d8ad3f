// SPDX-License-Identifier: GPL-2.0-only
/* fail_on.c - the names of verdicts, and --fail-on: which of them make the exit status 2. */
#include "bscope-trace/fail_on.h"

#include <errno.h>
#include <stdio.h>
#include <string.h>

#include "base/error.h"
#include "render/report.h"

/* By bit of a set. */
#define CYCLE BS_VERDICT_END
#define BITS  (BS_VERDICT_END + 1)
static const char *const names[BITS] = {
	[0] = "live-at-exit",
	[BS_VERDICT_DOUBLE_DROP] = "double-drop",
	[BS_VERDICT_USE_AFTER_DROP] = "use-after-drop",
	[BS_VERDICT_USE_AFTER_MOVE] = "use-after-move",
	[BS_VERDICT_DROP_WHILE_BORROWED] = "drop-while-borrowed",
	[BS_VERDICT_CONFLICTING_BORROW] = "conflicting-borrow",
	[BS_VERDICT_UNBALANCED_COUNT] = "unbalanced-count",
	[BS_VERDICT_BORROW_OUTLIVES_OWNER] = "borrow-outlives-owner",
	[BS_VERDICT_LEAK] = "leak",
	[CYCLE] = "lock-cycle",
};

const char *bs_verdict_name(enum bs_verdict v)
{
	return v > 0 && v < BS_VERDICT_END ? names[v] : NULL;
}

/* Bits of one name of n bytes; 0 if there is none. */
static unsigned bits_of(const char *name, size_t n)
{
	if (n == 3 && !memcmp(name, "any", 3))
		return ((1u << BS_VERDICT_END) - 1) & ~BS_FAIL_ON_LIVE_AT_EXIT;
	for (unsigned i = 0; i < BITS; i++)
		if (strlen(names[i]) == n && !memcmp(names[i], name, n))
			return 1u << i;
	return 0;
}

int bs_fail_on_add(unsigned *set, const char *list, struct bs_error *err)
{
	char all[256] = "";
	unsigned bits = 0;

	for (const char *s = list;; s++) {
		size_t n = strcspn(s, ",");
		unsigned one = bits_of(s, n);

		if (!one) {
			for (unsigned i = 1; i < BITS; i++) {
				strcat(all, names[i]);
				strcat(all, ", ");
			}
			return bs_error_set(
				err, -EINVAL, "%.*s%s: use %s%s or any", n < 100 ? (int)n : 100, s,
				n ? ": no such verdict" : "an empty name", all, names[0]);
		}
		bits |= one;
		s += n;
		if (!*s)
			break;
	}
	*set |= bits;
	return 0;
}

/* Adds "3 double-drop" to text. */
static void say(char *text, size_t size, uint64_t count, const char *name)
{
	size_t used = strlen(text);

	snprintf(text + used, size - used, "%s%llu %s", used ? ", " : "", (unsigned long long)count,
		 name);
}

static uint64_t count_of(const struct bs_report *r, unsigned bit)
{
	uint64_t count = 0;

	if (!bit) {
		for (size_t i = 0; i < r->nat_exit; i++)
			count += r->at_exit[i].count;
		return count;
	}
	if (bit == CYCLE) {
		for (size_t i = 0; i < r->ncycles; i++)
			count += r->cycles[i].count;
		return count;
	}
	for (size_t i = 0; i < r->nverdicts; i++)
		if (r->verdicts[i].verdict && !strcmp(r->verdicts[i].verdict, names[bit]))
			count += r->verdicts[i].count;
	return count;
}

uint64_t bs_fail_on_found(unsigned set, const struct bs_report *r, char *text, size_t size)
{
	uint64_t found = 0;

	text[0] = '\0';
	/* What is no error by itself comes last. */
	for (unsigned i = 1; i <= BITS; i++) {
		unsigned bit = i % BITS;
		uint64_t count = set >> bit & 1 ? count_of(r, bit) : 0;

		if (count)
			say(text, size, count, names[bit]);
		found += count;
	}
	return found;
}
