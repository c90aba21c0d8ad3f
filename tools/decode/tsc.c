// SPDX-License-Identifier: GPL-2.0-only
/* tsc.c - the time stamp counter in terms of CLOCK_MONOTONIC. */
#include "base/clock.h"
#include "decode/tsc.h"

#include <stdio.h>
#include <string.h>
#include <time.h>

#define SYNC_NS	 20000000ull
#define FIRST_NS 3000000ull
#define TRIES	 8

/*
 * The counter before and after the clock: the pair is as uncertain as the time between, so the best
 * of some tries is taken.
 */
static struct bs_tsc_pair read_pair(void)
{
	struct bs_tsc_pair best = {0};
	uint64_t least = UINT64_MAX;

	for (int i = 0; i < TRIES; i++) {
		uint64_t before = bs_tsc_now(), ns = bs_now_ns(), after = bs_tsc_now();

		if (after - before >= least)
			continue;
		least = after - before;
		best = (struct bs_tsc_pair){before + least / 2, ns, 0};
	}
	return best;
}

void bs_tsc_add(struct bs_tsc *t, uint64_t tsc, uint64_t ns)
{
	if (t->n && (tsc <= t->pairs[t->n - 1].tsc || ns <= t->pairs[t->n - 1].ns))
		return;
	if (t->n == BS_TSC_PAIRS) {
		memmove(t->pairs, t->pairs + 1, (BS_TSC_PAIRS - 1) * sizeof(t->pairs[0]));
		t->n--;
	}
	t->pairs[t->n] = (struct bs_tsc_pair){tsc, ns, 0};
	if (t->n)
		t->pairs[t->n].rate = (double)(ns - t->pairs[t->n - 1].ns) /
				      (double)(tsc - t->pairs[t->n - 1].tsc);
	t->n++;
}

void bs_tsc_sync(struct bs_tsc *t)
{
	struct bs_tsc_pair pair = read_pair();

	while (t->n < 2) {
		bs_tsc_add(t, pair.tsc, pair.ns);
		if (t->n == 2)
			return;
		while (bs_now_ns() < t->pairs[0].ns + FIRST_NS)
			;
		pair = read_pair();
	}
	if (pair.ns >= t->pairs[t->n - 1].ns + SYNC_NS)
		bs_tsc_add(t, pair.tsc, pair.ns);
}

struct bs_tsc_piece bs_tsc_piece(const struct bs_tsc *t, uint64_t tsc)
{
	size_t i = t->n - 1;
	const struct bs_tsc_pair *a;

	/* Nearly always the latest or the one before. */
	while (i > 1 && tsc < t->pairs[i - 1].tsc)
		i--;
	a = &t->pairs[i - 1];
	return (struct bs_tsc_piece){
		.from = i == 1 ? 0 : a->tsc,
		.to = i == t->n - 1 ? UINT64_MAX : t->pairs[i].tsc,
		.tsc = a->tsc,
		.ns = a->ns,
		.rate = t->pairs[i].rate,
	};
}

uint64_t bs_tsc_ns(const struct bs_tsc *t, uint64_t tsc)
{
	struct bs_tsc_piece piece = bs_tsc_piece(t, tsc);
	int64_t ns = bs_tsc_piece_ns(&piece, tsc);

	return ns < 0 ? 0 : (uint64_t)ns;
}

static bool file_has(const char *path, const char *line, const char *word)
{
	char text[4096];
	FILE *f = fopen(path, "re");
	bool has = false;

	if (!f)
		return false;
	while (!has && fgets(text, sizeof(text), f))
		has = !strncmp(text, line, strlen(line)) && strstr(text, word);
	fclose(f);
	return has;
}

bool bs_tsc_usable(const char **why)
{
	static const char clock_source[] =
		"/sys/devices/system/clocksource/clocksource0/current_clocksource";
	/* Each reads the counter and scales it: arch/x86/kernel/{tsc,kvmclock}.c, hv, Xen. */
	static const char *const made_of_it[] = {"tsc", "kvm-clock", "hyperv_clocksource_tsc_page"};

	*why = NULL;
#if !defined(__x86_64__)
	(void)clock_source;
	(void)made_of_it;
	*why = "there are no jumps for this architecture";
	return false;
#else
	for (size_t i = 0; i < sizeof(made_of_it) / sizeof(made_of_it[0]); i++)
		if (file_has(clock_source, made_of_it[i], ""))
			return true;
	/* Another clock was chosen by somebody, but this one would do. */
	if (file_has("/proc/cpuinfo", "flags", " constant_tsc") &&
	    file_has("/proc/cpuinfo", "flags", " nonstop_tsc"))
		return true;
	*why = "the time stamp counter of this machine is no clock (the kernel uses another one)";
	return false;
#endif
}
