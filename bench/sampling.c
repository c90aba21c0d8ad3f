/* SPDX-License-Identifier: GPL-2.0-only */
/*
 * sampling.c - recorded runs, sampled many times: how often an estimate's interval holds the truth.
 *
 *     sampling [-n DRAWS] TRACE...
 *
 * A row is a caller (the return address, which is what a report has), or a stack of five.  At five
 * moments of the run, and for each row and for all together, the objects created so far, those
 * alive and their bytes are estimated; the truth comes from the whole trace. "shown"    of the rows
 * with a followed object in that very sum, what a report shows "all"      of all rows with anything
 * in it, [0, what may have been missed] where nothing was seen "together" of the sums over all rows
 */
#include <errno.h>
#include <math.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "bench/trace.h"
#include "model/estimate.h"

#define MOMENTS 5
#define AIM	0.94
#define TOP	10

static const double moment_at[MOMENTS] = {0.2, 0.4, 0.6, 0.8, 0.95};

enum grouping { TOGETHER, CALLERS, STACKS, GROUPINGS };
enum sum { CREATED, LIVE, BYTES, SUMS };

/* One row at one moment. */
struct cell {
	double truth[SUMS];
	struct bs_sampled sample[SUMS];
};

struct bench {
	const char *name;
	struct trace trace;
	uint32_t rows[GROUPINGS];
	struct cell (*cells[GROUPINGS])[MOMENTS]; /* by row */
	uint32_t at[MOMENTS];			  /* events */
	size_t *born;				  /* piece of each object's birth */
	double *through; /* bytes of all pieces up to and with this one; 0 bytes count as 1 */
	double smallest;
};

/* How objects are followed: one in n, or by bytes. */
struct way {
	double n, mean;
	bool alike; /* nothing is known of sizes, else the largest object's is */
};

struct tally {
	double shown, shown_held, all, all_held, endless;
};

static uint64_t seed = 88172645463325252ull;

static double uniform(void)
{
	seed ^= seed << 13;
	seed ^= seed >> 7;
	seed ^= seed << 17;
	return ((double)(seed * 0x2545f4914f6cdd1dull >> 11) + 0.5) / 9007199254740992.0;
}

static void *must(void *p)
{
	if (p)
		return p;
	fprintf(stderr, "sampling: out of memory\n");
	exit(1);
}

/* --- the truth -----------------------------------------------------------------------------------
 */

static struct cell *cell(const struct bench *b, enum grouping g, const struct trace_piece *p,
			 unsigned m)
{
	uint32_t row = g == TOGETHER ? 0 : g == CALLERS ? p->caller : p->stack;

	return &b->cells[g][row][m];
}

static bool created(const struct bench *b, const struct trace_piece *p, unsigned m)
{
	return p->born && p->from <= b->at[m];
}

static bool alive(const struct bench *b, const struct trace_piece *p, unsigned m)
{
	return p->from <= b->at[m] && p->to > b->at[m];
}

static int bench_init(struct bench *b, const char *name)
{
	int err = trace_load(&b->trace, name);
	size_t n = 0;
	double sum = 0;

	if (err)
		return err;
	b->name = strrchr(name, '/') ? strrchr(name, '/') + 1 : name;
	b->rows[TOGETHER] = 1;
	b->rows[CALLERS] = b->trace.ncallers;
	b->rows[STACKS] = b->trace.nstacks;
	for (int g = 0; g < GROUPINGS; g++)
		b->cells[g] = must(calloc(b->rows[g] + 1, sizeof(*b->cells[g])));
	for (unsigned m = 0; m < MOMENTS; m++)
		b->at[m] = (uint32_t)(moment_at[m] * (double)b->trace.nevents);
	b->born = must(calloc(b->trace.nborn + 1, sizeof(*b->born)));
	b->through = must(calloc(b->trace.npieces + 1, sizeof(*b->through)));
	b->smallest = INFINITY;
	for (size_t i = 0; i < b->trace.npieces; i++) {
		const struct trace_piece *p = &b->trace.pieces[i];

		if (p->born)
			b->born[n++] = i;
		b->through[i] = sum += fmax((double)p->bytes, 1);
		b->smallest = fmin(b->smallest, fmax((double)p->bytes, 1));
		for (int g = 0; g < GROUPINGS; g++)
			for (unsigned m = 0; m < MOMENTS; m++) {
				struct cell *c = cell(b, g, p, m);

				c->truth[CREATED] += created(b, p, m);
				c->truth[LIVE] += alive(b, p, m);
				c->truth[BYTES] += alive(b, p, m) ? (double)p->bytes : 0;
			}
	}
	return 0;
}

static void bench_fini(struct bench *b)
{
	for (int g = 0; g < GROUPINGS; g++)
		free(b->cells[g]);
	free(b->born);
	free(b->through);
	trace_fini(&b->trace);
}

/* --- a sample ------------------------------------------------------------------------------------
 */

static void follow(struct bench *b, const struct trace_piece *p, double w)
{
	for (int g = 0; g < GROUPINGS; g++)
		for (unsigned m = 0; m < MOMENTS; m++) {
			struct cell *c = cell(b, g, p, m);

			if (created(b, p, m))
				bs_sampled_add(&c->sample[CREATED], w, 1);
			if (!alive(b, p, m))
				continue;
			bs_sampled_add(&c->sample[LIVE], w, 1);
			bs_sampled_add(&c->sample[BYTES], w, (double)p->bytes);
		}
}

/* Each object with a probability of 1 / n, from its birth through all its sizes. */
static void draw_count(struct bench *b, double n)
{
	double gap = log1p(-1 / n), i = floor(log(uniform()) / gap);

	for (; i < (double)b->trace.nborn; i += 1 + floor(log(uniform()) / gap))
		for (size_t k = b->born[(size_t)i]; k != UINT32_MAX; k = b->trace.pieces[k].next)
			follow(b, &b->trace.pieces[k], bs_weight_count(n));
}

/*
 * Hits fall on the bytes of all objects, one after the other, as a Poisson process; what is hit is
 * followed.  A resize is an object of its own.
 */
static void draw_bytes(struct bench *b, double mean)
{
	size_t from = 0;
	double hit = 0;

	for (;;) {
		size_t to = b->trace.npieces;

		hit -= mean * log(uniform());
		while (from < to) {
			size_t mid = (from + to) / 2;

			if (b->through[mid] <= hit)
				from = mid + 1;
			else
				to = mid;
		}
		if (from >= b->trace.npieces)
			return;
		follow(b, &b->trace.pieces[from],
		       bs_weight_bytes(mean, b->trace.pieces[from].bytes));
		hit = fmax(hit, b->through[from]);
		from++;
	}
}

/* One object in n by its address: what is not done, and why. */
static void draw_hash(struct bench *b, double n)
{
	uint64_t salt = (uint64_t)(uniform() * 1e18);

	for (size_t i = 0; i < b->trace.nborn; i++) {
		uint64_t h = (b->trace.pieces[b->born[i]].id ^ salt) * 0xbf58476d1ce4e5b9ull;

		h = (h ^ h >> 29) * 0x94d049bb133111ebull;
		if ((double)(h >> 32) < 4294967296.0 / n)
			for (size_t k = b->born[i]; k != UINT32_MAX; k = b->trace.pieces[k].next)
				follow(b, &b->trace.pieces[k], n);
	}
}

static void forget(struct bench *b)
{
	for (int g = 0; g < GROUPINGS; g++)
		for (uint32_t r = 0; r < b->rows[g]; r++)
			for (unsigned m = 0; m < MOMENTS; m++)
				memset(b->cells[g][r][m].sample, 0,
				       sizeof(b->cells[g][r][m].sample));
}

static struct bs_interval interval(const struct bench *b, const struct way *way, enum sum sum,
				   const struct bs_sampled *sample)
{
	struct bs_sampled s = *sample;

	if (way->mean > 0)
		bs_sampled_unseen(
			&s, bs_weight_bytes(way->mean, sum == BYTES ? 1 : (uint64_t)b->smallest),
			1);
	else if (sum != BYTES)
		bs_sampled_unseen(&s, way->n, 1);
	else if (way->alike)
		bs_sampled_alike(&s);
	else
		bs_sampled_unseen(&s, way->n, (double)b->trace.largest);
	return bs_sampled_interval(&s);
}

static void draw(struct bench *b, const struct way *way)
{
	forget(b);
	if (way->mean > 0)
		draw_bytes(b, way->mean);
	else
		draw_count(b, way->n);
}

/* --- how often it holds --------------------------------------------------------------------------
 */

static void tally_cells(struct tally *t, const struct bench *b, const struct way *way,
			enum grouping g, enum sum sum)
{
	const struct bs_sampled nothing = {0};
	const struct bs_interval none = interval(b, way, sum, &nothing);

	for (uint32_t r = 0; r < b->rows[g]; r++)
		for (unsigned m = 0; m < MOMENTS; m++) {
			const struct cell *c = &b->cells[g][r][m];
			const struct bs_sampled *s = &c->sample[sum];
			double truth = c->truth[sum];
			struct bs_interval iv;
			bool held;

			if (!(truth > 0))
				continue;
			iv = s->n ? interval(b, way, sum, s) : none;
			held = iv.low <= truth * (1 + 1e-9) && iv.high >= truth * (1 - 1e-9);
			t->all++;
			t->all_held += held;
			if (!s->n)
				continue;
			t->shown++;
			t->shown_held += held;
			t->endless += isinf(iv.high);
		}
}

static const char *verdict(bool met)
{
	return met ? "met" : "MISSED";
}

static bool holds(double held, double all)
{
	return !(held < AIM * all);
}

static double percent(double part, double all)
{
	return all > 0 ? 100 * part / all : 100;
}

static void coverage(struct bench *b, const struct way *way, unsigned draws)
{
	static const char *const sums[] = {"created", "live", "live bytes"};
	static struct tally t[GROUPINGS][SUMS];

	memset(t, 0, sizeof(t));
	for (unsigned d = 0; d < draws; d++) {
		draw(b, way);
		for (int g = 0; g < GROUPINGS; g++)
			for (int s = way->alike ? BYTES : CREATED; s < SUMS; s++)
				tally_cells(&t[g][s], b, way, g, s);
	}
	if (way->mean > 0)
		printf("  by bytes, one in %.0f\n", way->mean);
	else
		printf("  one object in %.0f%s\n", way->n,
		       way->alike ? ", nothing known of sizes" : ", the largest size known");
	for (int s = way->alike ? BYTES : CREATED; s < SUMS; s++) {
		const struct tally *one = &t[TOGETHER][s];
		bool met = holds(one->all_held, one->all);

		printf("    %-10s", sums[s]);
		for (int g = CALLERS; g < GROUPINGS; g++) {
			const struct tally *p = &t[g][s];

			printf("  %s: shown %5.1f %% of %-8.0f all %5.1f %% of %-8.0f",
			       g == CALLERS ? "callers" : "stacks",
			       percent(p->shown_held, p->shown), p->shown,
			       percent(p->all_held, p->all), p->all);
			met = met && holds(p->shown_held, p->shown) && holds(p->all_held, p->all);
		}
		printf("  together %5.1f %%  aim %.0f %%: %s", percent(one->all_held, one->all),
		       100 * AIM, verdict(met));
		if (t[STACKS][s].endless > 0)
			printf("  (%.0f %% of shown stacks without an upper end)",
			       percent(t[STACKS][s].endless, t[STACKS][s].shown));
		printf("\n");
	}
}

/* --- how wide it is ------------------------------------------------------------------------------
 */

struct wide {
	uint32_t row;
	double truth, width, endless;
};

static int by_truth(const void *x, const void *y)
{
	const struct wide *a = x, *b = y;

	return (a->truth < b->truth) - (a->truth > b->truth);
}

/* The half-widths of the ten largest rows at the last moment, in the mean of all draws with an end.
 */
static void widths(struct bench *b, const struct way *way, unsigned draws, enum grouping g,
		   enum sum sum, double aim)
{
	struct wide *w = must(calloc(b->rows[g] + 1, sizeof(*w)));
	size_t top = b->rows[g] < TOP ? b->rows[g] : TOP, met = 0, n = 0;

	for (uint32_t r = 0; r < b->rows[g]; r++)
		w[r] = (struct wide){.row = r, .truth = b->cells[g][r][MOMENTS - 1].truth[sum]};
	qsort(w, b->rows[g], sizeof(*w), by_truth);
	for (unsigned d = 0; d < draws; d++) {
		draw(b, way);
		for (size_t i = 0; i < top; i++) {
			const struct cell *c = &b->cells[g][w[i].row][MOMENTS - 1];
			struct bs_interval iv = interval(b, way, sum, &c->sample[sum]);

			if (isinf(iv.high))
				w[i].endless++;
			else
				w[i].width += (iv.high - iv.low) / 2 / w[i].truth;
		}
	}
	printf("    %-10s of %-8s", sum == CREATED ? "created" : "live bytes",
	       g == TOGETHER  ? "all"
	       : g == CALLERS ? "callers"
			      : "stacks");
	for (size_t i = 0; i < top && w[i].truth > 0; i++, n++) {
		double mean = 100 * w[i].width / (draws - w[i].endless);
		bool ok = w[i].endless < draws / 20.0 && mean <= aim;

		met += ok;
		if (w[i].endless < draws / 2.0)
			printf(" %.1f", mean);
		else
			printf(" -");
		printf(" (%.3g)", w[i].truth);
	}
	printf("  aim %.0f %%: %zu of %zu %s\n", aim, met, n, verdict(met == n));
	free(w);
}

static void hash(struct bench *b, unsigned draws)
{
	static const struct way way = {.n = 100};
	struct tally t = {0};

	for (unsigned d = 0; d < draws; d++) {
		forget(b);
		draw_hash(b, way.n);
		tally_cells(&t, b, &way, TOGETHER, CREATED);
	}
	printf("  one address in 100 by a hash instead: created, together: %.1f %%\n",
	       percent(t.all_held, t.all));
}

static int one_trace(const char *name, unsigned draws)
{
	static struct bench b;
	double each;
	int err = bench_init(&b, name);

	if (err)
		return err;
	each = b.through[b.trace.npieces - 1] / (double)b.trace.nborn;
	printf("%s: %zu objects, %zu resizes, %zu events; %.0f bytes each, %llu the largest; %u callers, "
	       "%u stacks; %u draws\n",
	       b.name, b.trace.nborn, b.trace.npieces - b.trace.nborn, b.trace.nevents, each,
	       (unsigned long long)b.trace.largest, b.rows[CALLERS], b.rows[STACKS], draws);
	for (double n = 10; n <= 1000; n *= 10) {
		coverage(&b, &(struct way){.n = n}, draws);
		coverage(&b, &(struct way){.n = n, .alike = true}, draws);
	}
	for (double n = 10; n <= 1000; n *= 10)
		coverage(&b, &(struct way){.mean = n * each}, draws);
	printf("  half-widths of the ten largest, in %% (of), one object in 100\n");
	for (int g = 0; g < GROUPINGS; g++) {
		widths(&b, &(struct way){.n = 100}, draws, g, CREATED, 5);
		widths(&b, &(struct way){.n = 100, .alike = true}, draws, g, BYTES, 25);
	}
	printf("  and by bytes, one in %.0f, which follows as much\n", 100 * each);
	for (int g = 0; g < GROUPINGS; g++)
		widths(&b, &(struct way){.mean = 100 * each}, draws, g, BYTES, 25);
	hash(&b, draws);
	bench_fini(&b);
	return 0;
}

int main(int argc, char **argv)
{
	unsigned draws = 200;
	int opt, err = 0;

	while ((opt = getopt(argc, argv, "n:")) != -1)
		draws = opt == 'n' ? (unsigned)strtoul(optarg, NULL, 10) : 0;
	if (!draws || optind == argc) {
		fprintf(stderr, "usage: %s [-n DRAWS] TRACE...\n", argv[0]);
		return 64;
	}
	for (int i = optind; i < argc && !err; i++)
		err = one_trace(argv[i], draws);
	return err ? 1 : 0;
}
