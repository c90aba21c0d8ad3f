/* SPDX-License-Identifier: GPL-2.0-only */
/*
 * report.h - all that a report says, as plain data.  Whoever fills it owns the strings; the
 * renderers only read.  They escape what could hurt a terminal or a parser: names may come
 * from a hostile process.
 */
#ifndef BS_RENDER_REPORT_H
#define BS_RENDER_REPORT_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>

struct bs_report_process {
	uint32_t pid;
	const char *comm, *exe; /* NULL where not known */
	bool exited;
};

struct bs_report_reason {
	const char *name; /* JSON key: "ring_full" */
	const char *text; /* for people: "ring buffer full: raise --buffer or narrow with -f" */
	uint64_t count;
};

struct bs_report_site {
	const char *kind, *file, *function, *name, *klass, *binary; /* function may be NULL */
	uint32_t line;
	uint64_t hits;
	bool lit;
	const uint64_t *addresses;
	size_t naddresses;
};

struct bs_report_lifetime {
	uint64_t count, p50_ns, p90_ns, p99_ns, max_ns; /* count 0: nothing known */
};

/* A 95 % interval; high is INFINITY where there is no bound. */
struct bs_report_interval {
	double value, low, high;
};

/* With sampling: of all objects, those that were not followed included. */
struct bs_report_estimate {
	struct bs_report_interval created, dropped, live, live_bytes;
};

struct bs_report_class {
	const char *klass;
	uint64_t created, dropped, live, live_bytes, unknown;
	struct bs_report_lifetime lifetime;
	struct bs_report_estimate estimate;
};

/* Where objects come from: a place, and a caller where told. */
struct bs_report_origin {
	const char *klass;
	const char *site;     /* "src/conn.c:120" */
	const char *function; /* may be NULL */
	const char *caller;   /* may be NULL */
	uint64_t created, dropped, live, live_bytes, oldest_ns;
	struct bs_report_lifetime lifetime;
	struct bs_report_estimate estimate;
};

struct bs_report_growth {
	const char *klass, *site, *function, *caller;
	uint64_t live, live_bytes, oldest_ns;
	/* Slopes and the half-widths of their 95 % intervals; with sampling, of all objects. */
	double bytes_per_s, error, objects_per_s, objects_error;
	/* bytes_per_s is above zero with its whole interval. */
	bool sure;
	struct bs_report_estimate estimate;
};

/* Whether a row is about objects: its marks say no size, so that it leaks without a byte. */
static inline bool bs_report_growth_by_objects(const struct bs_report_growth *g)
{
	return !g->live_bytes && g->bytes_per_s == 0;
}

/* Growth that is no accident: of bytes, or of objects where there are no bytes. */
static inline bool bs_report_growth_sure(const struct bs_report_growth *g)
{
	if (bs_report_growth_by_objects(g))
		return g->objects_per_s - g->objects_error > 0;
	return g->sure;
}

struct bs_report_exit {
	uint32_t pid;
	const char *klass, *site, *function, *caller; /* the last two may be NULL */
	uint64_t count, bytes;
	struct bs_report_interval all_count, all_bytes; /* with sampling: of all objects */
};

/* A mark of one thread, as the evidence of a verdict. */
struct bs_report_mark {
	/* klass is that of the mark's own object: the owner's, where an owner went. */
	const char *kind, *klass, *file, *function, *name; /* function may be NULL */
	uint32_t line;
	uint32_t thread;    /* 0: not known */
	uint64_t ns;	    /* CLOCK_MONOTONIC */
	const char *caller; /* NULL where the mark does not say it */
};

/* All findings of one kind at one pair of places; what is said of a single one is said of the
 * first. */
struct bs_report_verdict {
	const char *verdict; /* "double-drop" */
	const char *klass;
	uint64_t id; /* of the object */
	uint32_t pid;
	struct bs_report_mark at;    /* the mark that was wrong */
	struct bs_report_mark since; /* the one before it that made it wrong */
	uint64_t count;
	bool counted;	 /* it is about a reference count: balance says something */
	int64_t balance; /* 1 + retains - releases */
};

/* A thread held one lock when it took another. */
struct bs_report_cycle_edge {
	struct bs_report_mark held, wanted; /* of the same thread */
	uint64_t held_id, wanted_id;
};

/* Each waited for what the next one held: no error that happened, but one that could. */
struct bs_report_cycle {
	uint32_t pid;
	const struct bs_report_cycle_edge *edges;
	size_t n;
	uint64_t count;
};

/* Where a lock was got, and for how long it was held exclusively. */
struct bs_report_lock_use {
	const char *klass, *site, *function, *caller; /* the last two may be NULL */
	struct bs_report_lifetime held;
};

/* Stacks of events; asked false: none were. */
struct bs_report_stacks {
	bool asked;
	uint32_t copied;    /* bytes of each that were copied, to be unwound; 0: frame pointers */
	uint64_t taken;	    /* events that have one */
	uint64_t missing;   /* events of the kinds asked for that have none */
	uint64_t lost;	    /* that did not fit into the ring */
	uint64_t beyond;    /* for which there was no room among the distinct ones */
	uint64_t no_event;  /* whose events never came */
	uint64_t truncated; /* of taken: there may be more frames */
	uint64_t broken;    /* of taken: behind the last frame came what is no code, or what nothing
			       is known of that would lead on */
	uint64_t distinct;
	double ns; /* that one costs the program, in the mean; <= 0: not known */
};

/* --overhead: what samples of the CPU clock say.  Shares are of the CPU time of what was traced. */
struct bs_report_sampled {
	double percent, error;	 /* what tracking takes, and the half-width of its 95 % interval */
	char unknown[512];	 /* why both are not known; "": they are */
	uint64_t samples, lost;	 /* lost: taken, and not part of samples */
	uint32_t hz;		 /* samples per second of CPU time */
	double counted_error;	 /* of cpu_percent below; < 0: not known */
	double ns_per_sample;	 /* <= 0: not known */
	double sampling_percent; /* what sampling itself takes, in none of the others; < 0: not
				    known */
};

/* For a command_status: neither has it exited nor was it killed, as wait(2) says it. */
#define BS_COMMAND_RUNS 0x7f

struct bs_report {
	const char *version;	     /* of the tool */
	const char *mode;	     /* "jump", "trap" */
	const char *method;	     /* "uprobe_multi"; NULL */
	const char *clock;	     /* "precise" */
	bool sampled;		     /* counts are of the objects that were followed */
	double sample;		     /* one object in so many was, at the end; 1: every object */
	double sample_bytes;	     /* or one byte in so many; 0 */
	uint64_t start_ns;	     /* CLOCK_REALTIME, when the traced interval began */
	uint64_t start_monotonic_ns; /* the same instant, CLOCK_MONOTONIC: the clock of events */
	uint64_t duration_ns;

	const struct bs_report_process *processes;
	size_t nprocesses;

	uint64_t written, received, lost;
	bool written_unknown;	  /* written is what is known: processes took counts with them */
	uint64_t written_at_most; /* then: a bound; 0: there is none */
	const struct bs_report_reason *reasons; /* sum = lost */
	size_t nreasons;
	uint64_t by_kind[16]; /* received, by enum bscope_kind */

	const struct bs_report_site *sites;
	size_t nsites;

	/* created + adopted = dropped + vanished + live + exited */
	uint64_t created, dropped, live, live_bytes, adopted, vanished, exited, unknown;
	struct bs_report_estimate estimate;
	const struct bs_report_class *classes;
	size_t nclasses;
	const struct bs_report_origin *origins; /* by site */
	size_t norigins;
	const struct bs_report_growth *growth;
	size_t ngrowth;
	const struct bs_report_origin *older; /* --older-than; created, dropped, lifetime unused */
	size_t nolder;
	uint64_t older_than_ns;			  /* 0: not asked for */
	const struct bs_report_verdict *verdicts; /* by time of the first */
	size_t nverdicts;
	uint64_t undecided; /* marks that look wrong, and that something unseen could explain */
	const struct bs_report_cycle *cycles; /* by time of the first */
	size_t ncycles;
	const struct bs_report_lock_use *lock_uses; /* the longest first */
	size_t nlock_uses;
	const struct bs_report_exit *at_exit;
	size_t nat_exit;

	struct bs_report_stacks stacks;

	double ns_per_event;	 /* <= 0: not known */
	double cpu_percent;	 /* of the traced processes' CPU time; < 0: not known */
	double tool_cpu_percent; /* of one CPU; < 0: not known */
	const struct bs_report_sampled *profiled; /* NULL: not asked for */
	double pause_us; /* the longest stop; 0 in trap mode: nothing is stopped */

	bool has_command;   /* a COMMAND was run */
	int command_status; /* wait(2) status of it; BS_COMMAND_RUNS */
	/* Sentences worth reading: bystanders, sites not lit, late events. */
	const char *const *notes;
	size_t nnotes;
	bool verbose; /* all rows instead of the first ten */
};

/*
 * Text for people, UTF-8; no line is wider than width (0: 100; at least 80, at most 400).
 * color adds emphasis by ANSI sequences, never meaning.  0, -ENOMEM or -errno of the stream.
 */
int bs_render_text(FILE *out, const struct bs_report *r, unsigned width, bool color);

/* The share that was sampled, and the one that was counted: a sentence, at most size - 1 bytes. */
void bs_report_sampled_say(const struct bs_report *r, char *buf, size_t size);

/* One JSON document, schema bscope-report/1, newline at its end.  0 or -errno of the stream. */
int bs_render_json(FILE *out, const struct bs_report *r);

/*
 * The table of sites for --list, as text or JSON (schema bscope-sites/1); hits and lit are
 * not used.  Text is never shortened: it is for grep as well.  0, -ENOMEM or -errno.
 */
int bs_render_list(FILE *out, const struct bs_report_site *sites, size_t n, bool json);
int bs_render_list_json(FILE *out, const struct bs_report_site *sites, size_t n);

/* The live line. */
struct bs_live {
	double seconds; /* since the start */
	double events_per_s;
	uint64_t live, live_bytes, lost;
};
/*
 * ASCII without newline or control characters, at most size - 1 bytes and width columns
 * (0: 80).  Where it is narrow, the loss goes last.
 */
void bs_render_live(char *buf, size_t size, const struct bs_live *l, unsigned width);

#endif
