/* SPDX-License-Identifier: GPL-2.0-only */
/* state.h - what a model holds; shared by the files of tools/model and by nobody else. */
#ifndef BS_MODEL_STATE_H
#define BS_MODEL_STATE_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "model/growth.h"
#include "model/hist.h"
#include "model/model.h"
#include "model/objects.h"

/* Places and classes are dense numbers; greater ones than this are not from a site table. */
#define BS_MODEL_MAX_DENSE (1u << 24)

/* Resizes of one process that have begun and not ended. */
#define BS_MODEL_MAX_PENDING 1024u

/* Rows of exited processes; what comes on top is added up without the pid. */
#define BS_MODEL_MAX_EXITS (1u << 17)

/* Where objects come from: (class, place, caller). */
struct bs_origin {
	uint32_t klass, place, code;
	uint64_t created, dropped, live, live_bytes;
	struct bs_series series;
	struct bs_hist *lifetime; /* made at the first drop */
	/* Left alive by processes that have gone: rows without a pid, see BS_MODEL_MAX_EXITS. */
	uint64_t exit_count, exit_bytes;
	/* Left alive by the process that is going now. */
	uint64_t going_count, going_bytes;
};

struct bs_origins {
	struct bs_origin *v;
	uint32_t n, cap;
	uint32_t *index; /* hash -> origin + 1, 0: empty */
	uint32_t mask;
};

struct bs_class {
	uint64_t unknown;
	struct bs_series unknown_drops; /* in count */
};

/* An object between the begin and the end of its resize: it exists, under no id. */
struct bs_pending {
	uint32_t tid;
	bool known;
	struct bs_obj obj; /* id and klass alone when not known */
};

struct bs_proc {
	struct bs_proc *next; /* in its bucket */
	uint32_t pid;
	uint32_t npending, pending_cap;
	struct bs_pending *pending; /* oldest first */
	struct bs_objects objects;
};

struct bs_model {
	struct bs_clock clock;
	uint64_t seed[2];
	struct bs_model_totals totals;

	struct bs_origins origins;
	struct bs_class *classes; /* by klass_id */
	uint32_t nclasses;
	uint64_t *hits; /* by place */
	uint32_t nhits;

	struct bs_proc **buckets;
	uint32_t nbuckets, nprocesses; /* buckets: a power of two */
	struct bs_proc *recent;

	struct bs_exit_row *exits;
	size_t nexits, exits_cap;
};

/* The number of an origin, made when new; UINT32_MAX when out of memory. */
uint32_t bs_origin_intern(struct bs_origins *o, uint32_t klass, uint32_t place, uint32_t code);
void bs_origins_fini(struct bs_origins *o);

/* The process, made when new; NULL when out of memory. */
struct bs_proc *bs_proc_get(struct bs_model *m, uint32_t pid);
/* NULL if nothing is known of it. */
struct bs_proc *bs_proc_find(struct bs_model *m, uint32_t pid);
void bs_proc_forget(struct bs_model *m, struct bs_proc *p);
void bs_procs_fini(struct bs_model *m);

/*
 * The address space of a process has gone: what lived in it becomes rows of live_at_exit.
 * 0 or -ENOMEM; then the rows are short, the objects have gone all the same.
 */
int bs_proc_end(struct bs_model *m, struct bs_proc *p, uint64_t ts_ns);

#endif
