/* SPDX-License-Identifier: GPL-2.0-only */
/*
 * sampling.c - recorded runs, sampled many times: how often an estimate's interval holds the truth.
 *
 *     sampling [-n DRAWS] [TRACE...]
 *
 * First a run that is made up (trace_made.c), then those recorded.
 *
 * At five moments of the run the objects created so far, those alive and their bytes are estimated:
 * by caller (the return address, which is what a report has), by stack of five, and together.  The
 * truth comes from the whole trace.  Rows are "shown" that have a followed object in that very sum,
 * as in a report; of "all" the others have an interval too, from 0 to what may have been missed.
 *
 * DRAWS of each way at one in 10, 3 and 6 times as many at one in 100 and in 1000; a tenth of DRAWS
 * for rows.
 *
 * As to widths: 5 % of a count takes 1,537 followed objects, so a row of 153,700 at one in 100; no
 * way of following objects independently can do with fewer.  By blocks, of each hundred objects of
 * a thread and stratum exactly one: then rows that fill their blocks are known to what is left in
 * the last ones.
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
#define PER_ROW 10  /* draws for one in which rows are looked at, at one in 10 */
#define EITHER	128 /* bytes for each object, where both ways are used */
#define AIM	0.94
#define TOP	10
#define STRATA	256u

static const double moment_at[MOMENTS] = {0.2, 0.4, 0.6, 0.8, 0.95};

enum grouping { TOGETHER, CALLERS, STACKS, GROUPINGS };
enum sum { CREATED, LIVE, BYTES, SUMS };

/* One row at one moment. */
struct cell {
	double truth[SUMS];
	struct bs_sampled sample[SUMS];
};

/* What a draw must know of a piece, close together. */
struct item {
	double bytes;
	uint32_t caller, stack, next, thread;
	uint8_t stratum;
	uint32_t chosen;	/* the last draw that chose it */
	uint8_t created, alive; /* at the moments: a bit each */
};

/* In which objects may be. */
struct strata {
	bool in[STRATA];
};

/* What is left of a block: births up to the chosen one, and behind it.  Both 0: not begun. */
struct block {
	uint32_t left, behind;
};

struct bench {
	const char *name;
	struct trace trace;
	uint32_t rows[GROUPINGS];
	struct cell (*cells[GROUPINGS])[MOMENTS]; /* by row */
	struct strata *strata[GROUPINGS];	  /* by row */
	uint32_t begun[STRATA][MOMENTS];	  /* followed objects that were created */
	struct block (*blocks)[STRATA];		  /* by thread */
	uint32_t at[MOMENTS];			  /* events */
	struct item *items;			  /* by piece */
	size_t *born;				  /* piece of each object's birth */
	double *through; /* bytes of all pieces up to and with this one; 0 bytes count as 1 */
	uint64_t smallest;
	size_t *followed; /* pieces */
	size_t nfollowed;
	uint32_t draws;
};

/* How objects are followed: one in n, by bytes, or by either; what is not used is 0. */
struct way {
	double n, mean;
	bool largest; /* one in n: the size of the largest object is known */
	bool blocks;  /* one in n: of each block exactly one */
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

static uint32_t row_of(enum grouping g, const struct item *it)
{
	return g == TOGETHER ? 0 : g == CALLERS ? it->caller : it->stack;
}

static struct cell *cell(const struct bench *b, enum grouping g, const struct item *it, unsigned m)
{
	return &b->cells[g][row_of(g, it)][m];
}

static struct item item(const struct bench *b, const struct trace_piece *p)
{
	uint64_t code = b->trace.by_stack ? p->stack : b->trace.callers[p->caller];
	struct item item = {
		.bytes = (double)p->bytes,
		.caller = p->caller,
		.stack = p->stack,
		.next = p->next,
		.thread = p->thread,
		.stratum = (uint8_t)(code ^ code >> 4),
	};

	for (unsigned m = 0; m < MOMENTS; m++) {
		bool before = p->from <= b->at[m];

		item.created |= (uint8_t)((before && p->born) << m);
		item.alive |= (uint8_t)((before && p->to > b->at[m]) << m);
	}
	return item;
}

static int bench_init(struct bench *b, const char *name)
{
	int err = name ? trace_load(&b->trace, name) : 0;
	size_t n = 0;
	double sum = 0;

	if (err)
		return err;
	if (!name) {
		trace_make(&b->trace);
		name = "ten classes, made up";
	}
	b->name = strrchr(name, '/') ? strrchr(name, '/') + 1 : name;
	b->rows[TOGETHER] = 1;
	b->rows[CALLERS] = b->trace.ncallers;
	b->rows[STACKS] = b->trace.nstacks;
	for (int g = 0; g < GROUPINGS; g++) {
		b->cells[g] = must(calloc(b->rows[g] + 1, sizeof(*b->cells[g])));
		b->strata[g] = must(calloc(b->rows[g] + 1, sizeof(*b->strata[g])));
	}
	b->blocks = must(calloc(b->trace.nthreads, sizeof(*b->blocks)));
	memset(&b->strata[TOGETHER][0], true, sizeof(b->strata[TOGETHER][0]));
	for (unsigned m = 0; m < MOMENTS; m++)
		b->at[m] = (uint32_t)(moment_at[m] * (double)b->trace.nevents);
	b->born = must(calloc(b->trace.nborn + 1, sizeof(*b->born)));
	b->through = must(calloc(b->trace.npieces + 1, sizeof(*b->through)));
	b->items = must(calloc(b->trace.npieces + 1, sizeof(*b->items)));
	b->followed = must(calloc(b->trace.npieces + 1, sizeof(*b->followed)));
	b->smallest = UINT64_MAX;
	for (size_t i = 0; i < b->trace.npieces; i++) {
		const struct trace_piece *p = &b->trace.pieces[i];

		if (p->born)
			b->born[n++] = i;
		b->through[i] = sum += fmax((double)p->bytes, 1);
		if (p->bytes < b->smallest)
			b->smallest = p->bytes;
		b->items[i] = item(b, p);
		for (int g = 0; g < GROUPINGS; g++) {
			const struct item *it = &b->items[i];

			b->strata[g][row_of(g, it)].in[it->stratum] = true;
			for (unsigned m = 0; m < MOMENTS; m++) {
				double *truth = cell(b, g, it, m)->truth;

				truth[CREATED] += it->created >> m & 1;
				truth[LIVE] += it->alive >> m & 1;
				truth[BYTES] += (it->alive >> m & 1) * it->bytes;
			}
		}
	}
	return 0;
}

static void bench_fini(struct bench *b)
{
	for (int g = 0; g < GROUPINGS; g++) {
		free(b->cells[g]);
		free(b->strata[g]);
	}
	free(b->blocks);
	free(b->born);
	free(b->through);
	free(b->items);
	free(b->followed);
	trace_fini(&b->trace);
}

/* --- a sample ------------------------------------------------------------------------------------
 */

static void choose(struct bench *b, size_t piece)
{
	if (b->items[piece].chosen == b->draws)
		return;
	b->items[piece].chosen = b->draws;
	b->followed[b->nfollowed++] = piece;
}

/* Each object with a probability of 1 / n, from its birth through all its sizes. */
static void choose_count(struct bench *b, double n)
{
	double gap = log1p(-1 / n), i = floor(log(uniform()) / gap);

	for (; i < (double)b->trace.nborn; i += 1 + floor(log(uniform()) / gap))
		for (size_t k = b->born[(size_t)i]; k != UINT32_MAX; k = b->items[k].next)
			choose(b, k);
}

/*
 * Of each n objects of a thread and stratum, one after the other, exactly one; which, is random:
 * what the runtime does (include/bscope/follow.h).
 */
static void choose_blocks(struct bench *b, double n)
{
	memset(b->blocks, 0, b->trace.nthreads * sizeof(*b->blocks));
	for (size_t i = 0; i < b->trace.nborn; i++) {
		const struct item *it = &b->items[b->born[i]];
		struct block *block = &b->blocks[it->thread][it->stratum];

		if (!block->left) {
			uint32_t place = (uint32_t)(uniform() * n);

			block->left += block->behind + place + 1;
			block->behind = (uint32_t)n - 1 - place;
		}
		if (--block->left)
			continue;
		for (size_t k = b->born[i]; k != UINT32_MAX; k = b->items[k].next)
			choose(b, k);
	}
}

/*
 * Hits fall on the bytes of all objects, one after the other, as a Poisson process; what is hit is
 * followed.  What a resize made is hit or not for itself.
 */
static void choose_bytes(struct bench *b, double mean)
{
	size_t from = 0, n = b->trace.npieces;
	double hit = 0;

	for (;; from++) {
		size_t to = from, step = 1;

		hit -= mean * log(uniform());
		/* It is not far. */
		while (to < n && b->through[to] <= hit) {
			from = to + 1;
			to += step;
			step *= 2;
		}
		to = to < n ? to : n;
		while (from < to) {
			size_t mid = (from + to) / 2;

			if (b->through[mid] <= hit)
				from = mid + 1;
			else
				to = mid;
		}
		if (from >= n)
			return;
		choose(b, from);
		/* As good as any other hit on this one. */
		hit = b->through[from];
	}
}

/* One object in n by its address: what is not done, and why. */
static void choose_hash(struct bench *b, double n)
{
	uint64_t salt = (uint64_t)(uniform() * 1e18);

	for (size_t i = 0; i < b->trace.nborn; i++) {
		uint64_t h = (b->trace.pieces[b->born[i]].id ^ salt) * 0xbf58476d1ce4e5b9ull;

		h = (h ^ h >> 29) * 0x94d049bb133111ebull;
		if ((double)(h >> 32) < 4294967296.0 / n)
			for (size_t k = b->born[i]; k != UINT32_MAX; k = b->items[k].next)
				choose(b, k);
	}
}

static double weight(const struct way *way, uint64_t bytes)
{
	if (!(way->mean > 0))
		return bs_weight_count(way->n);
	if (!(way->n > 0))
		return bs_weight_bytes(way->mean, bytes);
	return bs_weight_either(way->n, way->mean, bytes);
}

/* What is followed goes into the sums of the groupings before this one; they begin at nothing. */
static void add_up(struct bench *b, const struct way *way, enum grouping groupings)
{
	for (enum grouping g = TOGETHER; g < groupings; g++)
		for (uint32_t r = 0; r < b->rows[g]; r++)
			for (unsigned m = 0; m < MOMENTS; m++)
				memset(b->cells[g][r][m].sample, 0,
				       sizeof(b->cells[g][r][m].sample));
	memset(b->begun, 0, sizeof(b->begun));
	for (size_t i = 0; i < b->nfollowed; i++) {
		const struct item *it = &b->items[b->followed[i]];
		double w = weight(way, (uint64_t)it->bytes);

		for (unsigned m = 0; (it->created | it->alive) >> m; m++) {
			b->begun[it->stratum][m] += it->created >> m & 1;
			for (enum grouping g = TOGETHER; g < groupings; g++) {
				struct bs_sampled *s = cell(b, g, it, m)->sample;

				if (it->created >> m & 1)
					bs_sampled_add(&s[CREATED], w, 1);
				if (!(it->alive >> m & 1))
					continue;
				bs_sampled_add(&s[LIVE], w, 1);
				bs_sampled_add(&s[BYTES], w, it->bytes);
			}
		}
	}
}

static void draw(struct bench *b, const struct way *way, enum grouping groupings)
{
	b->draws++;
	b->nfollowed = 0;
	if (way->blocks)
		choose_blocks(b, way->n);
	else if (way->n > 0)
		choose_count(b, way->n);
	if (way->mean > 0)
		choose_bytes(b, way->mean);
	add_up(b, way, groupings);
}

/*
 * In so many blocks there may be objects of this row: in each thread and stratum, one at either end
 * of what is seen has no followed object there.
 */
static double blocks_of(const struct bench *b, enum grouping g, uint32_t row, unsigned m)
{
	double blocks = 0;

	for (unsigned i = 0; i < STRATA; i++)
		if (b->strata[g][row].in[i])
			blocks += b->begun[i][m] + 2 * b->trace.nthreads;
	return blocks;
}

static struct bs_interval interval(const struct bench *b, const struct way *way, enum sum sum,
				   enum grouping g, uint32_t row, unsigned m)
{
	struct bs_sampled s = b->cells[g][row][m].sample[sum];

	if (sum != BYTES)
		bs_sampled_unseen(&s, weight(way, b->smallest), 1);
	else if (way->mean > 0)
		bs_sampled_unseen(&s, bs_weight_bytes(way->mean, 1), 1);
	else if (way->largest)
		bs_sampled_unseen(&s, way->n, (double)b->trace.largest);
	return way->blocks && sum != BYTES ? bs_sampled_blocks(&s, way->n, blocks_of(b, g, row, m))
					   : bs_sampled_interval(&s);
}

/* --- how often it holds --------------------------------------------------------------------------
 */

static void tally_cells(struct tally *t, const struct bench *b, const struct way *way,
			enum grouping g, enum sum sum)
{
	struct bs_interval none = {.low = -1};

	for (uint32_t r = 0; r < b->rows[g]; r++)
		for (unsigned m = 0; m < MOMENTS; m++) {
			const struct cell *c = &b->cells[g][r][m];
			const struct bs_sampled *s = &c->sample[sum];
			double truth = c->truth[sum];
			struct bs_interval iv;
			bool held;

			if (!(truth > 0))
				continue;
			/* All without one have the same. */
			iv = none;
			if (s->n || none.low < 0)
				iv = interval(b, way, sum, g, r, m);
			if (!s->n)
				none = iv;
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

static const char *const sums[] = {"created", "live", "live bytes"};

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

static void describe(const struct way *way)
{
	if (way->n > 0)
		printf("one object in %.0f%s", way->n, way->mean > 0 ? ", and " : "");
	if (way->mean > 0)
		printf("by bytes, one in %.0f", way->mean);
	if (way->largest)
		printf(", the largest size known");
	if (way->blocks)
		printf(", by blocks");
}

/* Of so many draws one in per_row looks at rows. */
static void coverage(struct bench *b, const struct way *way, unsigned draws, unsigned per_row)
{
	struct tally t[GROUPINGS][SUMS] = {{{0}}};
	double followed = 0;

	for (unsigned d = 0; d < draws; d++) {
		enum grouping groupings = d % per_row ? CALLERS : GROUPINGS;

		draw(b, way, groupings);
		followed += (double)b->nfollowed;
		for (enum grouping g = TOGETHER; g < groupings; g++)
			for (int s = CREATED; s < SUMS; s++)
				tally_cells(&t[g][s], b, way, g, s);
	}
	printf("  ");
	describe(way);
	printf(": followed %.2f %%\n", percent(followed / draws, (double)b->trace.npieces));
	for (int s = CREATED; s < SUMS; s++) {
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
		printf("  together %5.1f %%  aim %.0f %%: %s%s\n", percent(one->all_held, one->all),
		       100 * AIM, verdict(met), one->endless > 0 ? " (no upper end)" : "");
	}
}

/* --- how wide it is ------------------------------------------------------------------------------
 */

struct wide {
	uint32_t row;
	double truth, width;
};

static int by_truth(const void *x, const void *y)
{
	const struct wide *a = x, *b = y;

	return (a->truth < b->truth) - (a->truth > b->truth);
}

/* The half-widths of the ten largest rows at the last moment, in the mean of the draws. */
static void widths_of(struct bench *b, const struct way *way, unsigned draws, enum grouping g,
		      enum sum sum, double aim)
{
	static const char *const of[] = {"all", "callers", "stacks"};
	struct wide *w = must(calloc(b->rows[g] + 1, sizeof(*w)));
	unsigned top = b->rows[g] < TOP ? b->rows[g] : TOP, met = 0, n = 0;

	for (uint32_t r = 0; r < b->rows[g]; r++)
		w[r] = (struct wide){.row = r, .truth = b->cells[g][r][MOMENTS - 1].truth[sum]};
	qsort(w, b->rows[g], sizeof(*w), by_truth);
	for (unsigned d = 0; d < draws; d++) {
		draw(b, way, g + 1);
		for (unsigned i = 0; i < top; i++) {
			struct bs_interval iv = interval(b, way, sum, g, w[i].row, MOMENTS - 1);

			w[i].width += (iv.high - iv.low) / 2 / w[i].truth;
		}
	}
	printf("    %-10s of %-8s", sums[sum], of[g]);
	for (; n < top && w[n].truth > 0; n++) {
		double mean = 100 * w[n].width / draws;

		met += mean <= aim;
		printf(" %.*f (%.3g)", mean < 10, mean, w[n].truth);
	}
	printf("  aim %.0f: %u of %u %s\n", aim, met, n, verdict(met == n));
	free(w);
}

static void widths(struct bench *b, const struct way *way, unsigned draws)
{
	printf("   ");
	describe(way);
	printf("\n");
	for (enum grouping g = TOGETHER; g < GROUPINGS; g++) {
		widths_of(b, way, draws, g, CREATED, 5);
		widths_of(b, way, draws, g, LIVE, 5);
		widths_of(b, way, draws, g, BYTES, 25);
	}
}

static void hash(struct bench *b, unsigned draws)
{
	static const struct way way = {.n = 100};
	struct tally t = {0};

	for (unsigned d = 0; d < draws; d++) {
		b->draws++;
		b->nfollowed = 0;
		choose_hash(b, way.n);
		add_up(b, &way, CALLERS);
		tally_cells(&t, b, &way, TOGETHER, CREATED);
	}
	printf("  one address in 100 by a hash instead: created, together: %.1f %%\n",
	       percent(t.all_held, t.all));
}

static int one_trace(const char *name, unsigned draws)
{
	static struct bench b;
	double each;
	int err;

	b = (struct bench){0};
	err = bench_init(&b, name);
	if (err)
		return err;
	each = b.through[b.trace.npieces - 1] / (double)b.trace.npieces;
	printf("%s: %zu objects, %zu resizes, %zu events; %.0f bytes each, %llu the largest; %u callers, "
	       "%u stacks; %u draws\n",
	       b.name, b.trace.nborn, b.trace.npieces - b.trace.nborn, b.trace.nevents, each,
	       (unsigned long long)b.trace.largest, b.rows[CALLERS], b.rows[STACKS], draws);
	for (double n = 10; n <= 1000; n *= 10) {
		/* The smaller the sample the cheaper. */
		unsigned more = n > 100 ? 6 : n > 10 ? 3 : 1, k = more * draws;

		coverage(&b, &(struct way){.n = n}, k, more * PER_ROW);
		coverage(&b, &(struct way){.n = n, .largest = true}, k, more * PER_ROW);
		coverage(&b, &(struct way){.n = n, .largest = true, .blocks = true}, k,
			 more * PER_ROW);
		coverage(&b, &(struct way){.mean = n * each}, k, more * PER_ROW);
		coverage(&b, &(struct way){.n = n, .mean = n * EITHER}, k, more * PER_ROW);
	}
	printf("  half-widths of the ten largest, in %% (of), mean of the draws\n");
	widths(&b, &(struct way){.n = 100}, draws / PER_ROW + 1);
	widths(&b, &(struct way){.n = 100, .largest = true, .blocks = true}, draws / PER_ROW + 1);
	widths(&b, &(struct way){.mean = 100 * each}, draws / PER_ROW + 1);
	widths(&b, &(struct way){.n = 100, .mean = 100 * EITHER}, draws / PER_ROW + 1);
	hash(&b, draws / PER_ROW + 1);
	bench_fini(&b);
	return 0;
}

int main(int argc, char **argv)
{
	unsigned draws = 1000;
	int opt, err;

	setvbuf(stdout, NULL, _IOLBF, 0);
	while ((opt = getopt(argc, argv, "n:")) != -1)
		draws = opt == 'n' ? (unsigned)strtoul(optarg, NULL, 10) : 0;
	if (!draws) {
		fprintf(stderr, "usage: %s [-n DRAWS] [TRACE...]\n", argv[0]);
		return 64;
	}
	err = one_trace(NULL, draws);
	for (int i = optind; i < argc && !err; i++)
		err = one_trace(argv[i], draws);
	return err ? 1 : 0;
}
