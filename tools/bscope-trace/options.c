/* SPDX-License-Identifier: GPL-2.0-only */
/* options.c - the command line of bscope-trace. */
#define _GNU_SOURCE
#include <argp.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>

#include "base/error.h"
#include "base/num.h"
#include "base/output.h"
#include "bpf/event.h"
#include "bscope-trace/fail_on.h"
#include "bscope-trace/options.h"
#include "bscope-trace/preload.h"
#include "target/filter.h"
#include "target/sites.h"

/* The highest pid that Linux can give (PID_MAX_LIMIT on 64-bit, include/linux/threads.h). */
#define PID_HIGHEST (4u * 1024 * 1024)

/* --stack-size: most stacks are whole with it, and a ring of the default size holds 4,000. */
#define STACK_BYTES 16384u

/* A prime: what happens at round times is hit no more often than other things. */
#define PROFILE_HZ 997

enum {
	OPT_PRELOAD = 0x100,
	OPT_BINARY,
	OPT_OLDER_THAN,
	OPT_FORMAT,
	OPT_BUFFER,
	OPT_FAIL_ON,
	OPT_SAMPLE_BYTES,
	OPT_MAX_OVERHEAD,
	OPT_CLOCK,
	OPT_STACKS,
	OPT_CALL_GRAPH,
	OPT_STACK_SIZE,
	OPT_FLAME,
	OPT_FOLDED,
	OPT_WEIGHT,
	OPT_SYSROOT,
	OPT_OVERHEAD,
	OPT_OVERHEAD_COMPARE,
};

static const struct argp_option options[] = {
	{NULL, 0, NULL, 0, "What to trace:", 1},
	{"pid", 'p', "PID[,PID...]", 0, "Attach to running processes; may be repeated", 1},
	{"preload", OPT_PRELOAD, "malloc,lock,fd", OPTION_ARG_OPTIONAL,
	 "Run COMMAND under a preload library: every malloc and free becomes a site (if nothing "
	 "else is said), every lock, every file descriptor; the program itself needs none",
	 1},
	{"filter", 'f', "KEY=VALUE[,VALUE]", 0,
	 "Light only matching sites: kind=new,drop class=GLOB file=GLOB name=GLOB; each further -f "
	 "narrows; the other sites stay no-ops",
	 1},
	{NULL, 0, NULL, 0, "How:", 2},
	{"mode", 'm', "auto|jump|trap", 0,
	 "How to light sites (default: auto, which is jump where possible, else trap)", 2},
	{"duration", 'd', "SECONDS", 0,
	 "Stop after this long (default: until Ctrl-C or until the processes end)", 2},
	{"sample", 's', "N", 0,
	 "Follow one object in N, by chance, from birth to death: the others cost next to nothing; "
	 "counts come with estimates",
	 2},
	{"sample-bytes", OPT_SAMPLE_BYTES, "N", 0,
	 "Follow the objects of one byte in N, with K, M or G: the larger the likelier, as heap "
	 "profilers do; with -s: those of either",
	 2},
	{"max-overhead", OPT_MAX_OVERHEAD, "PERCENT", 0,
	 "Follow as many objects as cost at most this share of the CPU time of what is traced, and "
	 "if it must be leave sites dark",
	 2},
	{"clock", OPT_CLOCK, "precise|coarse", 0,
	 "Stamp each event (default), or all since the last look alike, which is cheaper: no order "
	 "between threads, so verdicts for what one thread has alone",
	 2},
	{"stacks", OPT_STACKS, "KIND[,KIND...]", OPTION_ARG_OPTIONAL,
	 "Take the stack of each event of these kinds (default: new): a kernel trap each; -s makes "
	 "them fewer",
	 2},
	{"call-graph", OPT_CALL_GRAPH, "fp|dwarf", 0,
	 "Find the stack by frame pointers (default), or in a copy of it by call frame information, "
	 "for programs built without frame pointers",
	 2},
	{"stack-size", OPT_STACK_SIZE, "BYTES", 0,
	 "With --call-graph=dwarf, copy so much of each stack (default: 16384)", 2},
	{"buffer", OPT_BUFFER, "SIZE", 0,
	 "Size of the ring buffer, with K, M or G (default: 64M); raise it when events are lost",
	 2},
	{NULL, 0, NULL, 0, "What to print:", 3},
	{"list", 'l', NULL, 0, "Print the sites of the process or of --binary and exit", 3},
	{"binary", OPT_BINARY, "FILE", 0, "With --list: the sites of an ELF file", 3},
	{"older-than", OPT_OLDER_THAN, "SECONDS", 0,
	 "List live objects of at least this age, by site", 3},
	{"format", OPT_FORMAT, "text|json", 0, "Form of the report (default: text)", 3},
	{"output", 'o', "FILE", 0, "Write the report to FILE (default: standard output)", 3},
	{"flame", OPT_FLAME, "FILE.svg", 0,
	 "Draw a flamegraph: by stack with --stacks, else by class, site and caller", 3},
	{"folded", OPT_FOLDED, "FILE", 0, "Write the same as folded stacks", 3},
	{"weight", OPT_WEIGHT, "events|live|live-bytes|growth|lifetime", 0,
	 "What --flame and --folded are of (default: live-bytes, or live where no sizes are known)",
	 3},
	{"sysroot", OPT_SYSROOT, "DIR", 0,
	 "Look for debug files, and for programs that were not stripped, in DIR first", 3},
	{"fail-on", OPT_FAIL_ON, "VERDICT[,VERDICT...]", 0,
	 "Exit status 2 if one was found: double-drop, use-after-drop, use-after-move, "
	 "drop-while-borrowed, conflicting-borrow, unbalanced-count, borrow-outlives-owner, leak; "
	 "any of these; lock-cycle; live-at-exit",
	 3},
	{"overhead", OPT_OVERHEAD, "FILE.svg", 0,
	 "Sample where the CPU time of what is traced goes, and draw it with what tracking costs "
	 "marked; the report states its share",
	 3},
	{"overhead-compare", OPT_OVERHEAD_COMPARE, "SECONDS", 0,
	 "With --overhead: sample for so long before sites are lit, and draw the difference", 3},
	{"frequency", 'F', "HZ", 0,
	 "With --overhead: samples per second of CPU time (default: 997)", 3},
	{"quiet", 'q', NULL, 0, "No live line, no messages but errors", 3},
	{"verbose", 'v', NULL, 0, "All rows, and what is done", 3},
	{0},
};

static const char doc[] = "Shows what a running program owns: which objects are alive, where they "
			  "come from, how long "
			  "they live, what grows, and what is done wrong with them."
			  "\v"
			  "Data goes to standard output, messages to standard error.\n"
			  "Exit status: 0, 1 (failed), 2 (--fail-on), 64 (usage).\n\n"
			  "  bscope-trace -p 812 -d 30               attach for 30 seconds\n"
			  "  bscope-trace --preload -- redis-server  a program without sites\n"
			  "  bscope-trace -l -p 812                  which sites does it have?";

const char *argp_program_version = "bscope-trace " BSCOPE_VERSION;

/* argp_error prints two lines; ours is one, with the remedy in it. */
static _Noreturn void usage_error(const char *fmt, ...) __attribute__((format(printf, 1, 2)));
static _Noreturn void usage_error(const char *fmt, ...)
{
	char text[2048], clean[4 * sizeof(text)];
	va_list ap;

	va_start(ap, fmt);
	vsnprintf(text, sizeof(text), fmt, ap);
	va_end(ap);
	/* What was typed may be a file's name, and that anything. */
	bs_text_clean(clean, sizeof(clean), text);
	fprintf(stderr, "bscope-trace: %s\n", clean);
	exit(BS_EXIT_USAGE);
}

static _Noreturn void out_of_memory(void)
{
	fputs("bscope-trace: out of memory\n", stderr);
	exit(BS_EXIT_FAILED);
}

static void pids_add(struct bs_options *o, const char *list)
{
	char *copy = strdup(list), *save = NULL;

	if (!copy)
		out_of_memory();
	if (!*list || list[strlen(list) - 1] == ',' || *list == ',' || strstr(list, ",,"))
		usage_error("-p %s: an empty pid in the list: use -p PID[,PID...]", list);
	for (char *s = strtok_r(copy, ",", &save); s; s = strtok_r(NULL, ",", &save)) {
		uint64_t v;
		bool known = false;
		pid_t *grown;

		if (bs_num_u64(s, 1, PID_HIGHEST, &v))
			usage_error("-p %s: not a process id: use a number from 1 to %u", s,
				    PID_HIGHEST);
		for (size_t i = 0; i < o->npids; i++)
			known |= o->pids[i] == (pid_t)v;
		if (known)
			continue;
		grown = reallocarray(o->pids, o->npids + 1, sizeof(*grown));
		if (!grown)
			out_of_memory();
		o->pids = grown;
		o->pids[o->npids++] = (pid_t)v;
	}
	free(copy);
}

static void mode_set(struct bs_options *o, const char *mode)
{
	static const char *const names[] = {
		[BS_MODE_AUTO] = "auto", [BS_MODE_JUMP] = "jump", [BS_MODE_TRAP] = "trap"};

	if (!strcmp(mode, "self"))
		usage_error("-m %s: not in version %s: use -m auto", mode, BSCOPE_VERSION);
	for (size_t i = 0; i < sizeof(names) / sizeof(names[0]); i++) {
		if (!strcmp(mode, names[i])) {
			o->mode = (enum bs_mode)i;
			return;
		}
	}
	usage_error("-m %s: no such mode: use auto, jump or trap", mode);
}

/* One in 1 is all of them: that needs no table. */
static void sample_set(struct bs_options *o, enum bs_sample_by by, uint64_t mean)
{
	*(by == BS_SAMPLE_BYTES ? &o->sample.mean_bytes : &o->sample.mean) = (double)mean;
	o->sample.by = o->sample.mean > 0 && o->sample.mean_bytes > 0 ? BS_SAMPLE_EITHER : by;
	if (o->sample.mean == 1 || o->sample.mean_bytes == 1)
		o->sample.by = BS_SAMPLE_NOT;
}

static void stacks_set(struct bs_options *o, const char *list)
{
	char *copy = strdup(list), *save = NULL;

	if (!copy)
		out_of_memory();
	for (char *s = strtok_r(copy, ",", &save); s; s = strtok_r(NULL, ",", &save)) {
		unsigned kind = bs_kind_find(s);

		if (!kind)
			usage_error(
				"--stacks=%s: no kind of mark: use new, drop, resize_begin, "
				"resize_end, move, borrow, borrow_mut, unborrow, retain, release, "
				"use, region_enter, region_exit",
				s);
		o->stack_kinds |= 1u << kind;
	}
	free(copy);
	if (!o->stack_kinds)
		usage_error("--stacks=%s: no kind in it: leave it out for new, or name some", list);
}

static void call_graph_set(struct bs_options *o, const char *how)
{
	if (strcmp(how, "fp") && strcmp(how, "dwarf"))
		usage_error("--call-graph=%s: no such way: use fp or dwarf", how);
	o->call_graph = true;
	o->dwarf = !strcmp(how, "dwarf");
#if !defined(__x86_64__)
	if (o->dwarf)
		usage_error("--call-graph=dwarf is for x86-64: use --call-graph=fp");
#endif
}

static void stack_size_set(struct bs_options *o, const char *size)
{
	uint64_t bytes;

	if (bs_num_bytes(size, BS_STACK_BYTES_MIN, BS_STACK_BYTES_MAX, &bytes) || bytes % 8)
		usage_error("--stack-size=%s: not a multiple of 8 from %u to %u", size,
			    BS_STACK_BYTES_MIN, BS_STACK_BYTES_MAX);
	o->stack_bytes = (uint32_t)bytes;
}

static void weight_set(struct bs_options *o, const char *weight)
{
	static const char *const names[] = {
		[BS_WEIGHT_EVENTS] = "events",	       [BS_WEIGHT_LIVE] = "live",
		[BS_WEIGHT_LIVE_BYTES] = "live-bytes", [BS_WEIGHT_GROWTH] = "growth",
		[BS_WEIGHT_LIFETIME] = "lifetime",
	};

	for (size_t i = BS_WEIGHT_EVENTS; i < sizeof(names) / sizeof(names[0]); i++)
		if (!strcmp(weight, names[i]))
			o->weight = (enum bs_weight)i;
	if (!o->weight)
		usage_error("--weight=%s: no such weight: use events, live, live-bytes, growth or "
			    "lifetime",
			    weight);
}

static void file_set(const char **to, const char *option, const char *name)
{
	if (!*name)
		usage_error("--%s: an empty file name", option);
	*to = name;
}

static bool is_directory(const char *path)
{
	struct stat st;

	return !stat(path, &st) && S_ISDIR(st.st_mode);
}

static error_t parse(int key, char *arg, struct argp_state *state)
{
	struct bs_options *o = state->input;
	struct bs_error err = {0};
	uint64_t bytes, n;

	switch (key) {
	case 'p':
		pids_add(o, arg);
		break;
	case OPT_PRELOAD:
		if (bs_preload_add(&o->preload, arg ? arg : "malloc", &err))
			usage_error("--preload: %s", err.text);
		break;
	case 'f':
		if (bs_filter_add(&o->filter, arg, &err))
			usage_error("-f %s: %s", arg, err.text);
		break;
	case 'm':
		mode_set(o, arg);
		break;
	case 'd':
		if (bs_num_seconds(arg, 0, &o->duration_ns))
			usage_error("-d %s: not a duration: use seconds above 0, such as 30 or 0.5",
				    arg);
		break;
	case 's':
		if (bs_num_u64(arg, 1, 1000000000, &n))
			usage_error("-s %s: not a number of objects: use 1 to 1000000000, such as "
				    "100 for one object in 100",
				    arg);
		sample_set(o, BS_SAMPLE_OBJECTS, n);
		break;
	case OPT_SAMPLE_BYTES:
		if (bs_num_bytes(arg, 1, 1ull << 40, &n))
			usage_error("--sample-bytes=%s: not a size: use 1 to 1024G, such as 512K",
				    arg);
		sample_set(o, BS_SAMPLE_BYTES, n);
		break;
	case OPT_CLOCK:
		if (strcmp(arg, "precise") && strcmp(arg, "coarse"))
			usage_error("--clock=%s: no such clock: use precise or coarse", arg);
		o->coarse = !strcmp(arg, "coarse");
		break;
	case OPT_MAX_OVERHEAD:
		/* A decimal number as that of seconds, in 10^-9. */
		if (bs_num_seconds(arg, 0, &n) || n > 100000000000)
			usage_error("--max-overhead=%s: not a share: use percent above 0 and at "
				    "most 100, such as 1 or 0.5",
				    arg);
		o->max_overhead = (double)n / 1e9;
		break;
	case OPT_BUFFER:
		if (bs_num_bytes(arg, 64 * 1024, 1ull << 30, &bytes))
			usage_error("--buffer=%s: not a size: use 64K to 1G, such as 64M", arg);
		o->buffer_bytes = bytes;
		break;
	case 'l':
		o->list = true;
		break;
	case OPT_BINARY:
		o->binary = arg;
		break;
	case OPT_OLDER_THAN:
		if (bs_num_seconds(arg, 0, &o->older_than_ns))
			usage_error("--older-than=%s: not an age: use seconds above 0, such as 10",
				    arg);
		break;
	case OPT_FORMAT:
		if (strcmp(arg, "text") && strcmp(arg, "json"))
			usage_error("--format=%s: no such format: use text or json", arg);
		o->json = !strcmp(arg, "json");
		break;
	case 'o':
		if (!*arg)
			usage_error("-o: an empty file name");
		o->output = arg;
		break;
	case OPT_STACKS:
		stacks_set(o, arg ? arg : "new");
		break;
	case OPT_CALL_GRAPH:
		call_graph_set(o, arg);
		break;
	case OPT_STACK_SIZE:
		stack_size_set(o, arg);
		break;
	case OPT_FLAME:
		file_set(&o->flame, "flame", arg);
		break;
	case OPT_FOLDED:
		file_set(&o->folded, "folded", arg);
		break;
	case OPT_WEIGHT:
		weight_set(o, arg);
		break;
	case OPT_SYSROOT:
		if (!is_directory(arg))
			usage_error("--sysroot=%s: no such directory: name the one that has "
				    "usr/lib/debug, or a copy of the traced system",
				    arg);
		o->sysroot = arg;
		break;
	case OPT_OVERHEAD:
		if (!*arg)
			usage_error("--overhead: an empty file name");
		o->overhead = arg;
		break;
	case OPT_OVERHEAD_COMPARE:
		if (bs_num_seconds(arg, 0, &o->compare_ns))
			usage_error("--overhead-compare=%s: not a duration: use seconds above 0, "
				    "such as 10",
				    arg);
		break;
	case 'F':
		if (bs_num_u64(arg, 1, 100000, &n))
			usage_error("-F %s: not a frequency: use 1 to 100000 samples a second, "
				    "such as 997",
				    arg);
		o->profile_hz = (uint32_t)n;
		break;
	case OPT_FAIL_ON:
		if (bs_fail_on_add(&o->fail_on, arg, &err))
			usage_error("--fail-on: %s", err.text);
		break;
	case 'q':
		o->quiet = true;
		break;
	case 'v':
		o->verbose = true;
		break;
	case ARGP_KEY_ARG:
		return ARGP_ERR_UNKNOWN; /* the whole rest comes as ARGP_KEY_ARGS */
	case ARGP_KEY_ARGS:
		o->command = state->argv + state->next;
		break;
	default:
		return ARGP_ERR_UNKNOWN;
	}
	return 0;
}

/* Each output is a file of its own. */
static void check_files(const struct bs_options *o)
{
	const struct {
		const char *option, *name;
	} files[] = {{o->output ? "-o" : "standard output", o->output},
		     {"--flame", o->flame},
		     {"--folded", o->folded},
		     {"--overhead", o->overhead}};
	const size_t n = sizeof(files) / sizeof(files[0]);

	for (size_t i = 0; i < n; i++)
		for (size_t k = i + 1; k < n; k++)
			if (files[k].name && (!i || files[i].name) &&
			    bs_output_same(files[i].name, files[k].name))
				usage_error("%s and %s: two things in one file: name two: %s",
					    files[i].option, files[k].option, files[k].name);
}

/* Pairs that make no sense together fail before anything needs root. */
static void check_pairs(const struct bs_options *o)
{
	if (o->npids && o->command)
		usage_error("-p and COMMAND exclude each other: attach to a process or run one");
	if (o->preload && o->npids)
		usage_error("--preload needs a COMMAND: a running process cannot be given a "
			    "library; start it "
			    "with LD_PRELOAD=libbscope-preload.so, then use -p alone");
	if (o->binary && !o->list)
		usage_error(
			"--binary goes with --list: to trace a program use -p PID or -- COMMAND");
	if (o->binary && o->npids)
		usage_error("--binary and -p exclude each other: list a file or a process");
	if (o->list && o->command)
		usage_error("--list does not run a COMMAND: use --list --binary=%s", o->command[0]);
	if (o->call_graph && !o->stack_kinds)
		usage_error("--call-graph=%s: of which stacks? add --stacks",
			    o->dwarf ? "dwarf" : "fp");
	if (o->stack_bytes && !o->dwarf)
		usage_error("--stack-size is for --call-graph=dwarf: add it, or leave this out");
	if (o->list && (o->stack_kinds || o->flame || o->folded || o->weight))
		usage_error(
			"--list prints and exits: --stacks, --flame, --folded and --weight do not "
			"go with it");
	if (o->weight && !o->flame && !o->folded)
		usage_error("--weight: of what? add --flame=FILE.svg or --folded=FILE");
	if (o->stack_kinds && o->max_overhead > 0)
		usage_error(
			"--max-overhead does not know what stacks cost: leave it out, and use -s "
			"with --stacks");
	if (o->list && (o->duration_ns || o->older_than_ns || o->preload || o->buffer_bytes ||
			o->sysroot || o->fail_on || o->sample.by != BS_SAMPLE_NOT ||
			o->max_overhead > 0 || o->mode != BS_MODE_AUTO || o->coarse))
		usage_error(
			"--list prints and exits: -m, -d, -s, --sample-bytes, --max-overhead, --clock, "
			"--older-than, --buffer, --sysroot, --fail-on and --preload do not go with it");
	if (o->list && !o->binary && !o->npids)
		usage_error("--list: of what? add -p PID or --binary=FILE");
	if (o->list && o->npids > 1)
		usage_error("--list: one process at a time");
	if (o->max_overhead > 0 && o->sample.by != BS_SAMPLE_NOT)
		usage_error(
			"--max-overhead chooses how many objects are followed: leave out -s and "
			"--sample-bytes");
	if (o->max_overhead > 0 && o->mode == BS_MODE_TRAP)
		usage_error("--max-overhead needs jump mode: a trap costs the same whether its "
			    "object is followed or not");
	if (o->coarse && o->mode == BS_MODE_TRAP)
		usage_error(
			"--clock=coarse is of jump mode: in trap mode the kernel stamps each event");
	if (!o->overhead && (o->compare_ns || o->profile_hz))
		usage_error("%s is for the samples of --overhead: add --overhead=FILE.svg",
			    o->compare_ns ? "--overhead-compare" : "-F");
	if (o->overhead && o->list)
		usage_error("--list prints and exits: --overhead does not go with it");
	if (o->quiet && o->verbose)
		usage_error("-q and -v exclude each other");
	if (o->preload && !o->command)
		usage_error("--preload: which program? add -- COMMAND");
	if (!o->list && !o->npids && !o->command)
		usage_error("nothing to trace: use -p PID or -- COMMAND (try --help)");
}

void bs_options_parse(struct bs_options *o, int argc, char **argv)
{
	static const struct argp argp = {
		options, parse, "-p PID[,PID...]\n-- COMMAND [ARG...]", doc, NULL, NULL, NULL};
	int err;

	memset(o, 0, sizeof(*o));
	argp_err_exit_status = BS_EXIT_USAGE;
	err = argp_parse(&argp, argc, argv, ARGP_IN_ORDER, NULL, o);
	if (err)
		usage_error("cannot read the command line: %s", strerror(err));
	check_pairs(o);
	check_files(o);
	if (o->dwarf && !o->stack_bytes)
		o->stack_bytes = STACK_BYTES;
	if (o->overhead && !o->profile_hz)
		o->profile_hz = PROFILE_HZ;
}

void bs_options_fini(struct bs_options *o)
{
	free(o->pids);
	bs_filter_free(o->filter);
	memset(o, 0, sizeof(*o));
}
