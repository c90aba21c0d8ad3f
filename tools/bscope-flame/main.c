// SPDX-License-Identifier: GPL-2.0-only
/* main.c - bscope-flame: draws folded stacks. */
#define _GNU_SOURCE
#include <argp.h>
#include <errno.h>
#include <regex.h>
#include <signal.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "base/error.h"
#include "base/num.h"
#include "base/output.h"
#include "flame/flame.h"
#include "flame/flame_svg.h"
#include "flame/folded.h"
#include "render/text.h"

#define EXIT_FAILED 1
#define EXIT_USAGE  64

enum {
	OPT_TITLE = 0x100,
	OPT_SUBTITLE,
	OPT_UNIT,
	OPT_ICICLE,
	OPT_WIDTH,
	OPT_MIN_WIDTH,
	OPT_MARK,
	OPT_FOLDED,
};

struct options {
	const char *input, *output; /* output NULL: standard output */
	const char *subtitle, *mark;
	struct bs_flame_svg svg;
	regex_t marked;
	bool folded, drawing; /* drawing: an option of the picture was given */
};

static const struct argp_option options[] = {
	{"output", 'o', "FILE", 0, "Write to FILE (default: standard output)", 1},
	{"title", OPT_TITLE, "TEXT", 0, "The title (default: Flamegraph)", 1},
	{"subtitle", OPT_SUBTITLE, "TEXT", 0, "A line below the title", 1},
	{"unit", OPT_UNIT, "NAME", 0, "What counts are: bytes, objects, ... (default: samples)", 1},
	{"icicle", OPT_ICICLE, NULL, 0, "The root at the top, not at the bottom", 1},
	{"width", OPT_WIDTH, "PIXELS", 0,
	 "Width of the picture, 200 to 10000 (default: 1200); in a browser it fits the window", 1},
	{"min-width", OPT_MIN_WIDTH, "PIXELS", 0,
	 "Leave narrower frames out, and say how many (default: 0.1)", 1},
	{"mark", OPT_MARK, "REGEX", 0,
	 "Draw frames whose name matches (POSIX extended) in other colours, and say their share",
	 1},
	{"folded", OPT_FOLDED, NULL, 0, "Write the stacks merged and sorted, not drawn", 1},
	{"help", 'h', NULL, 0, "Print this", -1},
	{0},
};

static const char doc[] =
	"Draws folded stacks (lines `frame;frame;leaf COUNT`) as a flamegraph: one "
	"SVG file, to be opened in a browser, that zooms and searches.  FILE - is "
	"standard input."
	"\v"
	"Exit status: 0, 1 (failed), 64 (usage).\n\n"
	"  bscope-flame -o cpu.svg cpu.folded\n"
	"  ... | bscope-flame --unit=bytes --mark='^malloc' - > heap.svg";

const char *argp_program_version = "bscope-flame " BSCOPE_VERSION;

static void complain(const char *text)
{
	struct bs_str clean = {0};

	bs_str_add_clean(&clean, text);
	fprintf(stderr, "bscope-flame: %s\n", clean.err ? "out of memory" : clean.s);
	bs_str_fini(&clean);
}

static int fail(const struct bs_error *err)
{
	complain(err->text);
	return EXIT_FAILED;
}

static _Noreturn void usage_error(const char *fmt, ...) __attribute__((format(printf, 1, 2)));
static _Noreturn void usage_error(const char *fmt, ...)
{
	char text[BS_ERROR_TEXT];
	va_list ap;

	va_start(ap, fmt);
	vsnprintf(text, sizeof(text), fmt, ap);
	va_end(ap);
	complain(text);
	exit(EXIT_USAGE);
}

static void mark_set(struct options *o, const char *arg)
{
	char why[256];
	int ret;

	if (o->mark)
		usage_error("--mark: given twice: join what is to be marked with |");
	ret = regcomp(&o->marked, arg, REG_EXTENDED | REG_NOSUB);
	if (ret) {
		regerror(ret, &o->marked, why, sizeof(why));
		usage_error("--mark=%.300s: no regular expression (%s): see regex(7)", arg, why);
	}
	o->mark = arg;
}

static void width_set(struct options *o, const char *arg)
{
	uint64_t n;

	if (bs_num_u64(arg, 200, 10000, &n))
		usage_error("--width=%s: not a width: use 200 to 10000 pixels", arg);
	o->svg.width = (unsigned)n;
}

static void min_width_set(struct options *o, const char *arg)
{
	uint64_t n;

	/* A decimal number as that of seconds, in 10^-9. */
	if (bs_num_seconds(arg, 0, &n) || n < 1000 || n > 100000000000)
		usage_error("--min-width=%s: not a width: use 0.000001 to 100 pixels, such as 0.1",
			    arg);
	o->svg.min_width = (double)n / 1e9;
}

static error_t parse(int key, char *arg, struct argp_state *state)
{
	struct options *o = state->input;

	o->drawing |= key >= OPT_TITLE && key < OPT_FOLDED;
	switch (key) {
	case 'o':
		if (!*arg)
			usage_error("-o: an empty file name");
		o->output = arg;
		break;
	case OPT_TITLE:
		o->svg.title = arg;
		break;
	case OPT_SUBTITLE:
		o->subtitle = arg;
		break;
	case OPT_UNIT:
		if (!*arg)
			usage_error("--unit: an empty name: use one such as samples or bytes");
		o->svg.unit = arg;
		break;
	case OPT_ICICLE:
		o->svg.icicle = true;
		break;
	case OPT_WIDTH:
		width_set(o, arg);
		break;
	case OPT_MIN_WIDTH:
		min_width_set(o, arg);
		break;
	case OPT_MARK:
		mark_set(o, arg);
		break;
	case OPT_FOLDED:
		o->folded = true;
		break;
	case 'h':
		argp_state_help(state, stdout, ARGP_HELP_STD_HELP);
		break;
	case ARGP_KEY_ARG:
		if (o->input)
			usage_error("%s: one FILE at a time: cat several into bscope-flame -", arg);
		o->input = arg;
		break;
	default:
		return ARGP_ERR_UNKNOWN;
	}
	return 0;
}

static void options_parse(struct options *o, int argc, char **argv)
{
	static const struct argp argp = {options, parse, "FILE", doc, NULL, NULL, NULL};
	int err;

	argp_err_exit_status = EXIT_USAGE;
	err = argp_parse(&argp, argc, argv, 0, NULL, o);
	if (err)
		usage_error("cannot read the command line: %s", strerror(err));
	if (!o->input)
		usage_error("nothing to draw: name a FILE of folded stacks, or - (try --help)");
	if (o->folded && o->drawing)
		usage_error("--folded draws nothing: of the other options only -o goes with it");
	o->svg.notes = &o->subtitle;
	o->svg.nnotes = o->subtitle ? 1 : 0;
}

static bool matches(void *ctx, const char *name)
{
	return !regexec(ctx, name, 0, NULL, 0);
}

static int read_input(const struct options *o, struct bs_flame *f, struct bs_error *err)
{
	bool standard = !strcmp(o->input, "-");
	FILE *in = standard ? stdin : fopen(o->input, "re");
	int ret;

	if (!in)
		return bs_error_set(err, -errno, "%s: %s: choose a file that can be read", o->input,
				    strerror(errno));
	ret = bs_folded_read(f, in, standard ? "standard input" : o->input, err);
	if (!standard)
		fclose(in);
	return ret;
}

/* The picture of nothing is no picture; what is merged may be nothing. */
static int check_total(const struct options *o, struct bs_flame *f, struct bs_error *err)
{
	size_t n;
	const struct bs_flame_node *nodes = bs_flame_nodes(f, &n);

	if (!nodes)
		return bs_error_set(err, -ENOMEM, "out of memory");
	if (!nodes[0].total && !o->folded)
		return bs_error_set(err, -ENODATA,
				    "%s: no stack with a count above 0, so nothing to draw: was "
				    "anything recorded?",
				    o->input);
	return 0;
}

static struct bs_output out;

/* Nothing is left of a file that is not whole. */
static void on_signal(int sig)
{
	if (out.temp[0])
		unlink(out.temp);
	signal(sig, SIG_DFL);
	raise(sig);
}

static void signals_set(void)
{
	static const int fatal[] = {SIGINT, SIGTERM, SIGHUP};

	for (size_t i = 0; i < sizeof(fatal) / sizeof(fatal[0]); i++)
		if (signal(fatal[i], on_signal) == SIG_IGN)
			signal(fatal[i], SIG_IGN); /* nohup */
	signal(SIGPIPE, SIG_IGN); /* a reader that went away is an error of the write */
}

static int run(struct options *o)
{
	struct bs_flame *f = bs_flame_new();
	struct bs_error err = {0};
	int ret;

	if (!f)
		return fail(&(struct bs_error){-ENOMEM, "out of memory"});
	ret = bs_output_open(&out, o->output, &err);
	if (ret)
		goto out;
	ret = read_input(o, f, &err);
	if (!ret && o->mark)
		bs_flame_mark(f, matches, &o->marked);
	if (!ret)
		ret = check_total(o, f, &err);
	if (!ret) {
		ret = o->folded ? bs_flame_write_folded(f, out.file)
				: bs_flame_svg_write(f, &o->svg, out.file);
		ret = bs_output_commit(&out, o->folded ? "stacks" : "picture", ret, &err);
	}
	bs_output_abort(&out);
out:
	bs_flame_free(f);
	return ret ? fail(&err) : 0;
}

int main(int argc, char **argv)
{
	struct options o = {.svg = {.width = BS_FLAME_WIDTH, .min_width = BS_FLAME_MIN_WIDTH}};
	int status;

	bs_streams_fill();
	signals_set();
	options_parse(&o, argc, argv);
	/* Why a frame is marked is what its reader wants to know. */
	o.svg.marked = o.mark;
	status = run(&o);
	if (o.mark)
		regfree(&o.marked);
	return status;
}
