// SPDX-License-Identifier: GPL-2.0-only
/*
 * compared.c - draws the comparison of two sides, of which it is known what is in it, to standard
 * output: 4,000 samples before, and 1,000 after.
 *
 * Of `thin` a reader sees nothing before zooming: it is 1.35 of 1200 pixels wide.
 */
#include <stdio.h>

#include "flame/flame.h"
#include "flame/flame_svg.h"

static const struct {
	const char *names[3];
	uint64_t before, after;
} stacks[] = {
	{{"same"}, 2000, 500},
	{{"less"}, 1999, 200},
	{{"more", "most"}, 0, 298},
	{{"more", "thin <b>", "new"}, 0, 1},
	{{"more", "thin <b>", "old"}, 1, 1},
};

int main(void)
{
	const struct bs_flame_svg how = {
		.sides = {"before", "after"}, .width = 1220, .min_width = 5};
	struct bs_flame *f = bs_flame_new();
	int ret = f ? 0 : 1;

	for (size_t i = 0; !ret && i < sizeof(stacks) / sizeof(stacks[0]); i++) {
		struct bs_flame_frame frames[3];
		size_t n = 0;

		for (; n < 3 && stacks[i].names[n]; n++)
			frames[n] = (struct bs_flame_frame){.name = stacks[i].names[n]};
		ret = bs_flame_add_sides(f, frames, n, stacks[i].before, stacks[i].after);
	}
	if (!ret)
		ret = bs_flame_svg_write(f, &how, stdout);
	bs_flame_free(f);
	return ret || fflush(stdout) ? 1 : 0;
}
