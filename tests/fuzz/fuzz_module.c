// SPDX-License-Identifier: GPL-2.0-only
/* fuzz_module.c - any bytes as an ELF file. */
#define _GNU_SOURCE
#include <stdint.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <unistd.h>

#include "base/error.h"
#include "bscope/abi.h"
#include "target/module.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static void must(int truth)
{
	if (!truth)
		abort();
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	struct bs_error err = {0};
	struct bs_module *m;
	int fd;

	if (size > 1 << 20)
		return 0;
	fd = memfd_create("fuzz", MFD_CLOEXEC);
	must(fd >= 0 && write(fd, data, size) == (ssize_t)size);
	if (bs_module_read(fd, "fuzz", &m, &err)) {
		must(err.code < 0 && err.text[0]);
		close(fd);
		return 0;
	}
	for (size_t i = 0; i < m->nsites; i++) {
		const struct bs_site *s = &m->sites[i];

		must(!i || s->probe_vaddr > s[-1].probe_vaddr);
		must(s->probe_offset < size && s->semaphore_offset < size);
		must(s->kind && s->kind < BSCOPE_KIND_END);
		must(s->nargs && s->nargs <= BSCOPE_MAX_ARGS);
		must(strlen(s->klass) && strlen(s->klass) <= 4096 && strlen(s->name) <= 4096 &&
		     strlen(s->file) <= 4096);
		for (unsigned k = 0; k < s->nargs; k++)
			must(s->spec.where[k] == BS_ARG_CONST ||
			     (s->spec.where[k] == BS_ARG_REG && s->spec.reg[k] <= 248));
		bs_module_function_find(m, s->probe_offset, NULL);
	}
	must(!m->nskipped == !m->skipped[0]);
	bs_module_free(m);
	return 0;
}
