// SPDX-License-Identifier: GPL-2.0-only
/* fuzz_filter.c - lines: the strings of a site, then filters. */
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include "base/error.h"
#include "target/filter.h"
#include "target/module.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	struct bs_filter *f = NULL;
	struct bs_site site = {.kind = size % 14};
	char *text, *rest, *line;

	/* fnmatch takes time that grows with both lengths. */
	if (size > 512)
		return 0;
	text = malloc(size + 1);
	if (!text)
		return 0;
	memcpy(text, data, size);
	text[size] = '\0';
	rest = text;
	site.klass = strsep(&rest, "\n");
	site.name = rest ? strsep(&rest, "\n") : "";
	site.file = rest ? strsep(&rest, "\n") : "";
	while (rest && (line = strsep(&rest, "\n"))) {
		struct bs_error err = {0};
		struct bs_filter *before = f;
		bool matched = bs_filter_match(f, &site);

		if (bs_filter_add(&f, line, &err)) {
			if (!err.text[0] || f != before || bs_filter_match(f, &site) != matched)
				abort();
		} else if (!matched && bs_filter_match(f, &site)) {
			abort(); /* a further filter only narrows */
		}
	}
	bs_filter_free(f);
	free(text);
	return 0;
}
