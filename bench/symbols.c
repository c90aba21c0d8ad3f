// SPDX-License-Identifier: GPL-2.0-only
/*
 * symbols.c - names of many addresses of one file at once: how long, how much memory.
 *
 * usage: symbols FILE COUNT ADDRESSES NAMES
 *
 * Maps the code of FILE and asks for the names of COUNT addresses in its functions, evenly spread.
 * Writes the addresses, as linked, to the file ADDRESSES, for another tool, and to NAMES a line
 * "function file line" of the innermost function of each, "? ? 0" where nothing is known.
 */
#include <elf.h>
#include <errno.h>
#include <fcntl.h>
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/resource.h>
#include <unistd.h>

#include "base/clock.h"
#include "base/error.h"
#include "symbol/symbol.h"
#include "target/elf.h"

static _Noreturn void die(const char *what)
{
	fprintf(stderr, "symbols: %s: %s\n", what, strerror(errno));
	exit(1);
}

/* Addresses of functions in the executable segment: every step-th one; how many there are. */
static size_t choose(const struct bs_elf_segment *g, struct bs_elf_symbols *s, uint64_t *out,
		     size_t want)
{
	size_t have = 0, n = 0, seen = 0;

	for (uint64_t a = g->vaddr; a < g->vaddr + g->filesz; a++)
		have += bs_elf_symbols_find(s, a, NULL) != NULL;
	if (have < want)
		want = have;
	for (uint64_t a = g->vaddr; a < g->vaddr + g->filesz && n < want; a++)
		/* As many as there ought to be by now. */
		if (bs_elf_symbols_find(s, a, NULL) && ++seen * want / have > n)
			out[n++] = a;
	return n;
}

static long peak_kb(int who)
{
	struct rusage u;

	getrusage(who, &u);
	return u.ru_maxrss;
}

int main(int argc, char **argv)
{
	size_t want = argc == 5 ? strtoul(argv[2], NULL, 10) : 0, n, named = 0, lined = 0, all = 0;
	uint64_t *addrs = calloc(want + 1, sizeof(*addrs)), start, interned, resolved, done;
	struct bs_code_ask *asks = calloc(want + 1, sizeof(*asks));
	const struct bs_elf_segment *text = NULL;
	struct bs_elf_symbols *symbols;
	struct bs_code *c = bs_code_new(bs_now_ns());
	struct bs_error err = {0};
	FILE *list, *names;
	struct bs_elf e;
	long before;
	void *at;
	int fd;

	if (!want || !addrs || !asks || !c) {
		fputs("usage: symbols FILE COUNT ADDRESSES NAMES\n", stderr);
		return 64;
	}
	fd = open(argv[1], O_RDONLY | O_CLOEXEC);
	if (fd < 0)
		die(argv[1]);
	if (bs_elf_init(&e, fd, argv[1], &err) || bs_elf_symbols_new(&e, &symbols)) {
		fprintf(stderr, "symbols: %s\n", err.text);
		return 1;
	}
	for (size_t i = 0; i < e.nsegments; i++)
		if (e.segments[i].flags & PF_X)
			text = &e.segments[i];
	if (!text || text->offset % 4096) {
		fprintf(stderr, "symbols: %s: no code at the begin of a page\n", argv[1]);
		return 1;
	}
	n = choose(text, symbols, addrs, want);
	bs_elf_symbols_free(symbols);
	at = mmap(NULL, text->filesz, PROT_READ | PROT_EXEC, MAP_PRIVATE, fd, (off_t)text->offset);
	list = fopen(argv[3], "w");
	names = fopen(argv[4], "w");
	if (at == MAP_FAILED || !list || !names)
		die(argv[1]);
	for (size_t i = 0; i < n; i++)
		fprintf(list, "0x%" PRIx64 "\n", addrs[i]);
	before = peak_kb(RUSAGE_SELF);

	start = bs_now_ns();
	for (size_t i = 0; i < n; i++)
		asks[i].code = bs_code_intern(c, (uint32_t)getpid(),
					      (uint64_t)(uintptr_t)at + addrs[i] - text->vaddr);
	interned = bs_now_ns();
	if (bs_code_resolve(c, asks, n, NULL, NULL))
		die("resolve");
	resolved = bs_now_ns();
	for (size_t i = 0; i < n; i++)
		all += strlen(bs_code_name(c, asks[i].code, false));
	done = bs_now_ns();

	for (size_t i = 0; i < n; i++) {
		struct bs_frame f = {"?", "?", 0, false};

		named += bs_code_frames(c, asks[i].code, false, &f, 1) > 0;
		lined += f.line > 0;
		fprintf(names, "%s %s %u\n", f.function, f.file ? f.file : "?", f.line);
	}
	printf("%zu addresses: %.3f s (interning %.3f, looking up %.3f, naming %.3f, %zu bytes)\n",
	       n, (double)(done - start) / 1e9, (double)(interned - start) / 1e9,
	       (double)(resolved - interned) / 1e9, (double)(done - resolved) / 1e9, all);
	printf("named %zu, with a line %zu\n", named, lined);
	printf("memory at most: %ld MB in the process that looks up, %ld MB more in this one\n",
	       peak_kb(RUSAGE_CHILDREN) / 1024, (peak_kb(RUSAGE_SELF) - before) / 1024);
	bs_code_free(c);
	bs_elf_fini(&e);
	close(fd);
	free(asks);
	free(addrs);
	return fclose(list) || fclose(names) ? 1 : 0;
}
