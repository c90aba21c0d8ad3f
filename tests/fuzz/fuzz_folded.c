// SPDX-License-Identifier: GPL-2.0-only
/* fuzz_folded.c - folded stacks: read, merged, written, read again, drawn. */
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/error.h"
#include "flame/flame.h"
#include "flame/flame_svg.h"
#include "flame/folded.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

struct text {
	char *s;
	size_t n;
};

/* What was read of the bytes, as folded stacks; *total their sum. */
static struct bs_flame *read_bytes(const void *data, size_t size, bool *good)
{
	struct bs_flame *f = bs_flame_new();
	FILE *in = size ? fmemopen((void *)(uintptr_t)data, size, "r") : fopen("/dev/null", "r");
	struct bs_error err = {0};

	if (!f || !in)
		abort();
	*good = !bs_folded_read(f, in, "input", &err);
	if (*good != !err.text[0])
		abort();
	fclose(in);
	return f;
}

static struct text write_folded(struct bs_flame *f)
{
	struct text t;
	FILE *out = open_memstream(&t.s, &t.n);

	if (!out || bs_flame_write_folded(f, out) || fclose(out))
		abort();
	return t;
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	const struct bs_flame_svg how = {
		.width = 1200, .min_width = size & 2 ? 400 : 0.1, .icicle = size & 1};
	bool good, again;
	struct bs_flame *f = read_bytes(data, size, &good), *g;
	struct text first = write_folded(f), second, svg;
	FILE *out = open_memstream(&svg.s, &svg.n);

	g = read_bytes(first.s, first.n, &again);
	second = write_folded(g);
	/* What is written can be read, and then stays as it is. */
	if (!again || first.n != second.n || memcmp(first.s, second.s, first.n))
		abort();
	if (!out || bs_flame_svg_write(f, &how, out) || fclose(out))
		abort();
	for (size_t i = 0; i < svg.n; i++)
		if ((unsigned char)svg.s[i] < 0x20 && !strchr("\n\t", svg.s[i]))
			abort();
	bs_flame_free(f);
	bs_flame_free(g);
	free(first.s);
	free(second.s);
	free(svg.s);
	return 0;
}
