/* SPDX-License-Identifier: GPL-2.0-only */
/* options.h - what the user typed, checked. */
#ifndef BS_TRACE_OPTIONS_H
#define BS_TRACE_OPTIONS_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <sys/types.h>

#include "base/sample.h"

struct bs_filter;

enum bs_mode {
	BS_MODE_AUTO = 0, /* jumps where possible, else traps */
	BS_MODE_JUMP = 1,
	BS_MODE_TRAP = 2,
};

/* --weight: what the flamegraph is of. */
enum bs_weight {
	BS_WEIGHT_DEFAULT = 0, /* live bytes, or live objects where no sizes are known */
	BS_WEIGHT_EVENTS,
	BS_WEIGHT_LIVE,
	BS_WEIGHT_LIVE_BYTES,
	BS_WEIGHT_GROWTH,
	BS_WEIGHT_LIFETIME,
};

#define BS_EXIT_FAILED 1
#define BS_EXIT_FOUND  2 /* what --fail-on names was found */
#define BS_EXIT_USAGE  64

struct bs_options {
	pid_t *pids; /* -p, each once */
	size_t npids;
	char **command;	  /* NULL-terminated, points into argv; NULL without COMMAND */
	unsigned preload; /* sets of functions, see preload.h; 0: none */
	enum bs_mode mode;
	struct bs_sample sample; /* -s, --sample-bytes */
	bool coarse;		 /* --clock */
	double max_overhead;	 /* in percent; 0: not asked for */
	uint64_t duration_ns;	 /* 0: until stopped */
	struct bs_filter *filter;
	bool list;
	const char *binary;
	uint64_t older_than_ns; /* 0: not asked for */
	uint32_t stack_kinds;	/* --stacks: a bit for each enum bscope_kind; 0: none */
	bool call_graph;	/* --call-graph */
	bool dwarf;		/* --call-graph=dwarf */
	uint32_t stack_bytes;	/* --stack-size; with dwarf never 0 */
	const char *flame;	/* --flame, --folded: names of files; NULL: not asked for */
	const char *folded;
	enum bs_weight weight;
	unsigned fail_on; /* a set of verdicts, see fail_on.h */
	bool json;
	const char *output;   /* NULL: standard output */
	const char *overhead; /* NULL: not asked for */
	uint64_t compare_ns;  /* --overhead-compare; 0: not asked for */
	uint32_t profile_hz;  /* -F; with overhead not 0 */
	size_t buffer_bytes;  /* 0: default */
	const char *sysroot;  /* NULL: not asked for */
	bool quiet, verbose;
};

/*
 * Parses the command line.  Wrong input prints one line to standard error and exits with
 * BS_EXIT_USAGE; --help, --usage and --version print to standard output and exit with 0.  Nothing
 * here needs privileges or touches a process.
 */
void bs_options_parse(struct bs_options *o, int argc, char **argv);
void bs_options_fini(struct bs_options *o);

#endif
