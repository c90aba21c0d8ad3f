// SPDX-License-Identifier: GPL-2.0-only
/* fuzz_args.c - any text as the arguments of a stapsdt note, of both architectures. */
#include <elf.h>
#include <errno.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include "target/args.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	static const uint16_t machines[] = {EM_X86_64, EM_AARCH64, EM_RISCV};
	char *text = malloc(size + 1);

	if (!text)
		return 0;
	memcpy(text, data, size);
	text[size] = '\0';
	for (size_t i = 0; i < 3; i++) {
		struct bs_site_spec spec;
		const char *why;
		int n = bs_args_parse(text, machines[i], &spec, &why);

		if (n < 0 && ((n != -EINVAL && n != -ENOTSUP) || !why))
			abort();
		for (int k = 0; k < 3 && n >= 0; k++)
			if ((k < n) != (spec.where[k] != BS_ARG_NONE) || spec.reg[k] > 248 ||
			    spec.reg[k] % 8)
				abort();
	}
	free(text);
	return 0;
}
