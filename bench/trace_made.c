/* SPDX-License-Identifier: GPL-2.0-only */
/*
 * trace_made.c - a run that nobody recorded: ten classes of about 100,000 objects each, of random
 * sizes and lives, from three places each, over several threads.  Which of them are made is another
 * matter at any moment and in any thread.
 */
#include "bench/trace.h"

#include <math.h>
#include <stdio.h>
#include <stdlib.h>

#define OBJECTS 1000000u
#define CLASSES 10u
#define PLACES	3u
#define THREADS 8u
#define PHASES	200u

static double uniform(uint64_t *state)
{
	*state ^= *state << 13;
	*state ^= *state >> 7;
	*state ^= *state << 17;
	return ((double)(*state * 0x2545f4914f6cdd1dull >> 11) + 0.5) / 9007199254740992.0;
}

static double normal(uint64_t *state)
{
	return sqrt(-2 * log(uniform(state))) * cos(2 * M_PI * uniform(state));
}

void trace_make(struct trace *t)
{
	uint64_t state = 0x9e3779b97f4a7c15ull;
	uint32_t klass = 0, thread = 0;

	*t = (struct trace){
		.pieces = calloc(OBJECTS, sizeof(*t->pieces)),
		.callers = calloc(CLASSES, sizeof(*t->callers)),
		.npieces = OBJECTS,
		.nborn = OBJECTS,
		.nevents = 2 * (size_t)OBJECTS,
		.ncallers = CLASSES,
		.nstacks = CLASSES * PLACES,
		.nthreads = THREADS,
		.by_stack = true,
	};
	if (!t->pieces || !t->callers) {
		fprintf(stderr, "sampling: out of memory\n");
		exit(1);
	}
	for (uint32_t i = 0; i < OBJECTS; i++) {
		struct trace_piece *p = &t->pieces[i];
		double life, mean;

		/* Runs of one class in one thread; in each phase some classes are the usual ones.
		 */
		if (uniform(&state) < 0.3) {
			uint32_t usual = i / (OBJECTS / PHASES) * 7;

			klass = (uint32_t)(uniform(&state) * CLASSES);
			if (uniform(&state) < 0.5)
				klass = (usual + klass % 3) % CLASSES;
			thread = (uint32_t)(uniform(&state) * THREADS);
		}
		mean = (double)OBJECTS / 2 / (1 << klass);
		life = uniform(&state) < 0.2 ? INFINITY : -mean * log(uniform(&state));
		*p = (struct trace_piece){
			.id = 16ull * i,
			.bytes = (uint64_t)ceil(100 * exp(1.5 * normal(&state))),
			.caller = klass,
			.stack = klass * PLACES + (uint32_t)(PLACES * pow(uniform(&state), 3)),
			.from = 2 * i,
			.born = 1,
			.next = UINT32_MAX,
			.thread = thread,
		};
		p->site = p->stack + 1;
		p->sizer = p->caller;
		p->sizer_stack = p->stack;
		p->to = life < 4.0 * OBJECTS ? p->from + 1 + (uint32_t)life : UINT32_MAX;
		if (p->bytes > t->largest)
			t->largest = p->bytes;
	}
}
