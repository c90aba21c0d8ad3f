/* SPDX-License-Identifier: GPL-2.0-only */
/*
 * sampling.c - recorded runs, sampled many times: how often an estimate's interval holds the truth.
 *
 *     sampling [-n DRAWS] [TRACE...]
 *
 * Of the runs that are recorded there; of none, of one that is made up (trace_made.c).
 *
 * At five moments of the run the objects created so far, those alive and their bytes are estimated:
 * by caller (the return address, which is what a report has), by stack of five, and together.  The
 * truth comes from the whole trace.  Rows are "shown" that have a followed object in that very sum,
 * as in a report; of "all" the others have an interval too, from 0 to what may have been missed.
 *
 * Who is followed is decided by the runtime's own code, and at one in 100 the model is told what
 * the runtime would record: its rows must be those that are worked out here, which is faster.
 *
 * 3 DRAWS of each way at one in 10 and in 100, 6 at one in 1000; a tenth of DRAWS for stacks, and
 * for the model.
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

#include "bench/chosen.h"
#include "bench/told.h"
#include "bench/trace.h"
#include "model/estimate.h"

#define MOMENTS 5
#define PER_ROW 10  /* draws for one in which rows are looked at, at one in 10 */
#define EITHER	128 /* bytes for each object, where both ways are used */
#define AIM	0.94
#define FEW	20 /* draws that say nothing */
#define TOP	10
#define STRATA	BSCOPE_STRATA

static const double moment_at[MOMENTS] = {0.2, 0.4, 0.6, 0.8, 0.95};

enum grouping { TOGETHER, CALLERS, STACKS, GROUPINGS };
enum sum { CREATED, LIVE, BYTES, SUMS };

/*
 * An object is in the row of who made it.  By bytes a resize chooses anew, and then in that of who
 * made it as large as it is, as in a report.
 */
enum owner { MAKER, SIZER, OWNERS };

/* One row at one moment. */
struct cell {
	double truth[OWNERS][SUMS];
	struct bs_sampled sample[SUMS];
};

/* What a draw must know of a piece, close together. */
struct item {
	double bytes;
	uint32_t caller[OWNERS], stack[OWNERS], next, thread;
	uint8_t stratum, born;
	uint32_t chosen;	/* the last draw that chose it */
	uint8_t created, alive; /* at the moments: a bit each */
};

/* In which objects may be. */
struct strata {
	bool in[STRATA];
};

struct bench {
	const char *name;
	struct trace trace;
	uint32_t rows[GROUPINGS];
	struct cell (*cells[GROUPINGS])[MOMENTS]; /* by row */
	struct strata *strata[GROUPINGS];	  /* by row */
	uint32_t begun[STRATA][MOMENTS];	  /* followed objects that were created */
	struct bscope_buffer **buffers;		  /* by thread */
	uint32_t at[MOMENTS];			  /* events */
	struct item *items;			  /* by piece */
	size_t *born;				  /* piece of each object's birth */
	double each;	  /* bytes of a piece, in the mean; 0 bytes count as 1 */
	size_t *followed; /* pieces, rising */
	size_t nfollowed;
	uint32_t draws;
	enum owner owner; /* by the way of the last draw */
};

/* How objects are followed: one in n, by bytes, or by either; what is not used is 0. */
struct way {
	double n, mean;
	bool blocks; /* one in n: of each block exactly one */
};

/* How often it held; of draws, whose cells depend on each other, the sums that an error takes. */
struct share {
	double n, held, nn, nh, hh;
	unsigned draws;
};

struct tally {
	struct share shown, all;
	double endless;
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

static uint32_t row_of(enum grouping g, const struct item *it, enum owner o)
{
	return g == TOGETHER ? 0 : g == CALLERS ? it->caller[o] : it->stack[o];
}

static struct cell *cell(const struct bench *b, enum grouping g, const struct item *it,
			 enum owner o, unsigned m)
{
	return &b->cells[g][row_of(g, it, o)][m];
}

static struct item item(const struct bench *b, const struct trace_piece *p)
{
	struct item item = {
		.bytes = (double)p->bytes,
		.caller = {p->caller, p->sizer},
		.stack = {p->stack, p->sizer_stack},
		.next = p->next,
		.thread = p->thread,
		.stratum = (uint8_t)trace_stratum(&b->trace, p),
		.born = p->born,
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
	b->buffers = must(calloc(b->trace.nthreads, sizeof(*b->buffers)));
	for (uint32_t i = 0; i < b->trace.nthreads; i++)
		b->buffers[i] = must(chosen_buffer());
	/* Where callers are said, one that was not seen may be in any. */
	memset(&b->strata[TOGETHER][0], !b->trace.by_stack, sizeof(b->strata[TOGETHER][0]));
	for (unsigned m = 0; m < MOMENTS; m++)
		b->at[m] = (uint32_t)(moment_at[m] * (double)b->trace.nevents);
	b->born = must(calloc(b->trace.nborn + 1, sizeof(*b->born)));
	b->items = must(calloc(b->trace.npieces + 1, sizeof(*b->items)));
	b->followed = must(calloc(b->trace.npieces + 1, sizeof(*b->followed)));
	for (size_t i = 0; i < b->trace.npieces; i++) {
		const struct trace_piece *p = &b->trace.pieces[i];

		if (p->born)
			b->born[n++] = i;
		b->each += fmax((double)p->bytes, 1) / (double)b->trace.npieces;
		b->items[i] = item(b, p);
		for (int g = 0; g < GROUPINGS; g++) {
			const struct item *it = &b->items[i];

			if (it->born)
				b->strata[g][row_of(g, it, MAKER)].in[it->stratum] = true;
			for (unsigned k = 0; k < MOMENTS * OWNERS; k++) {
				unsigned m = k / OWNERS;
				enum owner o = k % OWNERS;
				double *truth = cell(b, g, it, o, m)->truth[o];

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
	for (uint32_t i = 0; i < b->trace.nthreads; i++)
		free(b->buffers[i]);
	free(b->buffers);
	free(b->born);
	free(b->items);
	free(b->followed);
	trace_fini(&b->trace);
}

/* --- a sample ------------------------------------------------------------------------------------
 */

/* As a tool says it.  Of whole numbers the runtime makes blocks. */
static struct bs_sample sample_of(const struct way *way)
{
	return (struct bs_sample){
		.by = !(way->mean > 0) ? BS_SAMPLE_OBJECTS
		      : way->n > 0     ? BS_SAMPLE_EITHER
				       : BS_SAMPLE_BYTES,
		.mean = way->blocks ? way->n : way->n * (1 + 1e-12),
		.mean_bytes = way->mean,
	};
}

/*
 * By what the runtime does: at births an object is chosen or not, from there through all its sizes;
 * by bytes each size is for itself.
 */
static void choose_all(struct bench *b, const struct way *way)
{
	const struct bs_sample sample = sample_of(way);

	b->owner = way->mean > 0 ? SIZER : MAKER;
	chosen_begin(&sample);
	for (uint32_t i = 0; i < b->trace.nthreads; i++)
		chosen_seed(b->buffers[i], (uint64_t)(uniform() * 0x1p64));
	for (size_t i = 0; i < b->trace.npieces; i++) {
		const struct item *it = &b->items[i];
		bool yes = it->chosen == b->draws;

		if (it->born || way->mean > 0)
			yes = chosen(b->buffers[it->thread], (uint64_t)it->bytes, it->stratum);
		if (!yes)
			continue;
		b->items[i].chosen = b->draws;
		b->followed[b->nfollowed++] = i;
		if (it->next != UINT32_MAX && !(way->mean > 0))
			b->items[it->next].chosen = b->draws;
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
				b->followed[b->nfollowed++] = k;
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
		unsigned first = it->created ? (unsigned)__builtin_ctz(it->created) : MOMENTS;

		if (first < MOMENTS)
			b->begun[it->stratum][first]++;
		for (enum grouping g = TOGETHER; g < groupings; g++) {
			if (first < MOMENTS)
				bs_sampled_add(&cell(b, g, it, b->owner, first)->sample[CREATED], w,
					       1);
			for (unsigned m = 0; it->alive >> m; m++) {
				struct bs_sampled *s = cell(b, g, it, b->owner, m)->sample;

				if (!(it->alive >> m & 1))
					continue;
				bs_sampled_add(&s[LIVE], w, 1);
				bs_sampled_add(&s[BYTES], w, it->bytes);
			}
		}
	}
	/* What was created once has been at all moments behind. */
	for (unsigned m = 1; m < MOMENTS; m++) {
		for (unsigned i = 0; i < STRATA; i++)
			b->begun[i][m] += b->begun[i][m - 1];
		for (enum grouping g = TOGETHER; g < groupings; g++)
			for (uint32_t r = 0; r < b->rows[g]; r++)
				bs_sampled_merge(&b->cells[g][r][m].sample[CREATED],
						 &b->cells[g][r][m - 1].sample[CREATED]);
	}
}

static void draw(struct bench *b, const struct way *way, enum grouping groupings)
{
	b->draws++;
	b->nfollowed = 0;
	choose_all(b, way);
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

	/* By objects, one of any size may have been missed. */
	if (sum != BYTES)
		bs_sampled_unseen(&s, weight(way, 1), 1);
	else if (way->mean > 0)
		bs_sampled_unseen(&s, bs_weight_bytes(way->mean, 1), 1);
	return way->blocks && sum != BYTES ? bs_sampled_blocks(&s, way->n, blocks_of(b, g, row, m))
					   : bs_sampled_interval(&s);
}

/* --- how often it holds --------------------------------------------------------------------------
 */

static void share_add(struct share *s, double n, double held)
{
	s->n += n;
	s->held += held;
	s->nn += n * n;
	s->nh += n * held;
	s->hh += held * held;
	s->draws++;
}

static bool holds(struct bs_interval iv, double truth)
{
	return iv.low <= truth * (1 + 1e-9) && iv.high >= truth * (1 - 1e-9);
}

static void tally_cells(struct tally *t, const struct bench *b, const struct way *way,
			enum grouping g, enum sum sum)
{
	double shown = 0, shown_held = 0, all = 0, all_held = 0;
	struct bs_interval none = {.low = -1};

	for (uint32_t r = 0; r < b->rows[g]; r++)
		for (unsigned m = 0; m < MOMENTS; m++) {
			const struct cell *c = &b->cells[g][r][m];
			const struct bs_sampled *s = &c->sample[sum];
			double truth = c->truth[b->owner][sum];
			struct bs_interval iv;

			if (!(truth > 0))
				continue;
			/* All without one have the same. */
			iv = none;
			if (s->n || none.low < 0)
				iv = interval(b, way, sum, g, r, m);
			if (!s->n)
				none = iv;
			all++;
			all_held += holds(iv, truth);
			if (!s->n)
				continue;
			shown++;
			shown_held += holds(iv, truth);
			t->endless += isinf(iv.high);
		}
	share_add(&t->shown, shown, shown_held);
	share_add(&t->all, all, all_held);
}

static const char *const sums[] = {"created", "live", "live bytes"};

static double percent(double part, double all)
{
	return all > 0 ? 100 * part / all : 100;
}

/* Of draws that depend on nothing, if they are not too few: two standard errors, in per cent. */
static double error(const struct share *s)
{
	double p = s->n > 0 ? s->held / s->n : 0;
	double var = s->hh - 2 * p * s->nh + p * p * s->nn;

	return s->n > 0 && s->draws >= FEW ? 200 * sqrt(fmax(var, 0)) / s->n : 100;
}

/* The worst so far: whatever chance may have done it is none that missed. */
enum verdict { MET, UNSURE, MISSED };

static const char *const verdicts[] = {"met", "not met, by chance perhaps", "MISSED"};

static void judge(enum verdict *v, const struct share *s)
{
	double is = percent(s->held, s->n);
	enum verdict this = is >= 100 * AIM ? MET : is + error(s) >= 100 * AIM ? UNSURE : MISSED;

	*v = this > *v ? this : *v;
}

static void describe(const struct way *way)
{
	if (way->n > 0)
		printf("one object in %.0f%s", way->n, way->mean > 0 ? ", and " : "");
	if (way->mean > 0)
		printf("by bytes, one in %.0f", way->mean);
	if (way->blocks)
		printf(", by blocks");
}

static void print_tallies(struct tally t[GROUPINGS][SUMS])
{
	for (int s = CREATED; s < SUMS; s++) {
		const struct tally *one = &t[TOGETHER][s];
		const struct share *all = one->all.n > 0 ? &one->all : &one->shown;
		enum verdict v = MET;

		printf("    %-10s", sums[s]);
		for (int g = CALLERS; g < GROUPINGS; g++) {
			const struct tally *p = &t[g][s];

			printf("  %s: shown %5.1f %% of %-8.0f",
			       g == CALLERS ? "callers" : "stacks",
			       percent(p->shown.held, p->shown.n), p->shown.n);
			if (p->all.n > 0)
				printf(" all %5.1f %% of %-8.0f", percent(p->all.held, p->all.n),
				       p->all.n);
			judge(&v, &p->shown);
			judge(&v, &p->all);
		}
		judge(&v, all);
		printf("  together %5.1f \302\261 %.1f %%  aim %.0f %%: %s%s\n",
		       percent(all->held, all->n), error(all), 100 * AIM, verdicts[v],
		       one->endless > 0 ? " (no upper end)" : "");
	}
}

/* Of so many draws one in per_row looks at stacks. */
static void coverage(struct bench *b, const struct way *way, unsigned draws, unsigned per_row)
{
	struct tally t[GROUPINGS][SUMS] = {0};
	double followed = 0;

	for (unsigned d = 0; d < draws; d++) {
		enum grouping groupings = d % per_row ? STACKS : GROUPINGS;

		draw(b, way, groupings);
		followed += (double)b->nfollowed;
		for (enum grouping g = TOGETHER; g < groupings; g++)
			for (int s = CREATED; s < SUMS; s++)
				tally_cells(&t[g][s], b, way, g, s);
	}
	printf("  ");
	describe(way);
	printf(": followed %.2f %%\n", percent(followed / draws, (double)b->trace.npieces));
	print_tallies(t);
}

/* --- what a report says --------------------------------------------------------------------------
 */

/* Ends have four digits. */
static bool same(double a, double b)
{
	return a == b || fabs(a - b) <= 2e-4 * fabs(b);
}

/* The rows of a report: do they hold, and are they what is worked out above? */
struct told_tally {
	struct tally t[GROUPINGS][SUMS];
	double n, same;
	double no_row; /* of what is shown above */
};

static void tally_told(struct told_tally *tt, const struct bench *b, const struct way *way,
		       enum grouping g, unsigned m, const struct bs_estimate *rows)
{
	for (int sum = CREATED; sum < SUMS; sum++) {
		struct tally *t = &tt->t[g][sum];
		double shown = 0, held = 0;

		for (uint32_t r = 0; r < b->rows[g]; r++) {
			const struct bs_estimate *e = &rows[r];
			struct bs_interval iv = sum == CREATED ? e->created
						: sum == LIVE  ? e->live
							       : e->live_bytes;
			struct bs_interval is = interval(b, way, (enum sum)sum, g, r, m);
			double truth = b->cells[g][r][m].truth[b->owner][sum];

			if (is.value > 0 && !(iv.value > 0))
				tt->no_row++;
			if (!(truth > 0) || !(iv.value > 0))
				continue;
			shown++;
			held += holds(iv, truth);
			t->endless += isinf(iv.high);
			tt->n++;
			tt->same += same(iv.low, is.low) && same(iv.value, is.value) &&
				    same(iv.high, is.high);
		}
		share_add(&t->shown, shown, held);
	}
}

static void told(struct bench *b, const struct way *way, unsigned draws)
{
	const struct bs_sample sample = sample_of(way);
	static struct told_tally tt;
	uint32_t most = b->rows[CALLERS] > b->rows[STACKS] ? b->rows[CALLERS] : b->rows[STACKS];
	struct bs_estimate *rows = must(calloc(most + 1, sizeof(*rows)));
	double rows_lost;

	tt = (struct told_tally){0};
	for (unsigned d = 0; d < draws; d++) {
		struct told *model;

		b->draws++;
		b->nfollowed = 0;
		choose_all(b, way);
		add_up(b, way, GROUPINGS);
		model = told_new(&b->trace, &sample, b->followed, b->nfollowed);
		for (unsigned m = 0; m < MOMENTS; m++) {
			/* What was seen so far is what the bench has seen at this moment. */
			told_until(model, b->at[m]);
			rows[0] = told_all(model);
			tally_told(&tt, b, way, TOGETHER, m, rows);
			told_callers(model, rows);
			tally_told(&tt, b, way, CALLERS, m, rows);
			told_stacks(model, rows);
			tally_told(&tt, b, way, STACKS, m, rows);
		}
		told_free(model);
	}
	free(rows);
	rows_lost = percent(tt.no_row, tt.n + tt.no_row);
	printf("  ");
	describe(way);
	printf(", as a report has it: %.2f %% of the intervals are those above",
	       percent(tt.same, tt.n));
	if (rows_lost > 0)
		printf(", %.2f %% more are not there", rows_lost);
	printf("\n");
	/* If they are all the same, more draws have said it. */
	if (tt.same < tt.n || tt.no_row > 0)
		print_tallies(tt.t);
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
	enum owner o = way->mean > 0 ? SIZER : MAKER;

	for (uint32_t r = 0; r < b->rows[g]; r++)
		w[r] = (struct wide){.row = r, .truth = b->cells[g][r][MOMENTS - 1].truth[o][sum]};
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
		const double *truth = b->cells[g][w[n].row][MOMENTS - 1].truth[o];
		double mean = 100 * w[n].width / draws;

		met += mean <= aim;
		printf(" %.*f (", mean < 10, mean);
		if (sum == BYTES)
			printf("%.3g in ", truth[BYTES]);
		printf("%.0f)", truth[sum == CREATED ? CREATED : LIVE]);
	}
	printf("  aim %.0f: %u of %u%s\n", aim, met, n, met == n ? ", met" : "");
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
		b->owner = MAKER;
		choose_hash(b, way.n);
		add_up(b, &way, CALLERS);
		tally_cells(&t, b, &way, TOGETHER, CREATED);
	}
	printf("  one address in 100 by a hash instead: created, together: %.1f %%\n",
	       percent(t.all.held, t.all.n));
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
	each = b.each;
	printf("%s: %zu objects, %zu resizes, %zu events; %.0f bytes each, %llu the largest; %u callers, "
	       "%u stacks; %u draws\n",
	       b.name, b.trace.nborn, b.trace.npieces - b.trace.nborn, b.trace.nevents, each,
	       (unsigned long long)b.trace.largest, b.rows[CALLERS], b.rows[STACKS], draws);
	for (double n = 10; n <= 1000; n *= 10) {
		/* The smaller the sample the cheaper. */
		unsigned more = n > 100 ? 6 : 3, k = more * draws;

		coverage(&b, &(struct way){.n = n, .blocks = true}, k, more * PER_ROW);
		coverage(&b, &(struct way){.n = n}, k, more * PER_ROW);
		coverage(&b, &(struct way){.mean = n * each}, k, more * PER_ROW);
		coverage(&b, &(struct way){.n = n, .mean = n * EITHER}, k, more * PER_ROW);
	}
	told(&b, &(struct way){.n = 100, .blocks = true}, draws / PER_ROW + 1);
	told(&b, &(struct way){.n = 100}, draws / PER_ROW + 1);
	told(&b, &(struct way){.mean = 100 * each}, draws / PER_ROW + 1);
	told(&b, &(struct way){.n = 100, .mean = 100 * EITHER}, draws / PER_ROW + 1);
	printf("  half-widths of the ten largest, in %% (of so many objects), mean of the draws\n");
	widths(&b, &(struct way){.n = 100, .blocks = true}, draws / PER_ROW + 1);
	widths(&b, &(struct way){.n = 100}, draws / PER_ROW + 1);
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
	err = optind < argc ? 0 : one_trace(NULL, draws);
	for (int i = optind; i < argc && !err; i++)
		err = one_trace(argv[i], draws);
	return err ? 1 : 0;
}
