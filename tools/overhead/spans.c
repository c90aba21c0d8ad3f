// SPDX-License-Identifier: GPL-2.0-only
/*
 * spans.c - where the code of some files is mapped in a process.
 *
 * A process may map a file as often as it likes, so nothing here is searched from end to end.
 */
#include "overhead/spans.h"

#include <errno.h>
#include <stdlib.h>

#include "symbol/index.h"
#include "target/process.h"

int bs_spans_make(const struct bs_maps *maps, const struct bs_index *by_file, struct bs_span **v,
		  size_t *n)
{
	struct bs_span *grown = realloc(*v, (maps->n + 1) * sizeof(*grown));

	*n = 0;
	if (!grown)
		return -ENOMEM;
	*v = grown;
	for (size_t i = 0; i < maps->n; i++) {
		const struct bs_mapping *map = &maps->v[i];
		uint32_t file = map->exec ? bs_index_find(by_file, map->dev, map->ino) : 0;

		if (file)
			grown[(*n)++] =
				(struct bs_span){map->start, map->end, map->offset, file - 1};
	}
	return 0;
}

const struct bs_span *bs_spans_find(const struct bs_span *v, size_t n, uint64_t addr)
{
	size_t low = 0, high = n;

	while (low < high) {
		size_t middle = low + (high - low) / 2;

		if (v[middle].start <= addr)
			low = middle + 1;
		else
			high = middle;
	}
	return low && addr < v[low - 1].end ? &v[low - 1] : NULL;
}
