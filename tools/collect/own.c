// SPDX-License-Identifier: GPL-2.0-only
/* own.c - the tool's own site, to try out and to measure what lighting one does. */
#define _GNU_SOURCE
#include <errno.h>
#include <link.h>
#include <stdbool.h>
#include <stdio.h>
#include <string.h>

#include "collect/light.h"

/* A function whose first instruction is the one-byte nop of a site. */
__asm__(".pushsection .text\n"
	".p2align 4\n"
	".globl bs_own_site_hit\n"
	".hidden bs_own_site_hit\n"
	".type bs_own_site_hit, %function\n"
	"bs_own_site_hit:\n"
	"	nop\n"
	"	ret\n"
	".size bs_own_site_hit, . - bs_own_site_hit\n"
	/* The same below so many frames, of which the outermost ends a walk by frame pointers. */
	".p2align 4\n"
	".globl bs_own_site_hit_deep\n"
	".hidden bs_own_site_hit_deep\n"
	".type bs_own_site_hit_deep, %function\n"
	"bs_own_site_hit_deep:\n"
#if defined(__x86_64__)
	"	push %rbp\n"
	"	xor %ebp, %ebp\n"
	"	call 1f\n"
	"	pop %rbp\n"
	"	ret\n"
	"1:	push %rbp\n"
	"	mov %rsp, %rbp\n"
	"	dec %edi\n"
	"	je 2f\n"
	"	call 1b\n"
	"	pop %rbp\n"
	"	ret\n"
	"2:	call bs_own_site_hit\n"
	"	pop %rbp\n"
	"	ret\n"
#else
	"	b bs_own_site_hit\n"
#endif
	".size bs_own_site_hit_deep, . - bs_own_site_hit_deep\n"
	".popsection\n");

struct place {
	uintptr_t address;
	uint64_t offset;
};

static int look(struct dl_phdr_info *info, size_t size, void *arg)
{
	struct place *place = arg;

	(void)size;
	for (int i = 0; i < info->dlpi_phnum; i++) {
		const ElfW(Phdr) *phdr = &info->dlpi_phdr[i];
		uintptr_t start = info->dlpi_addr + phdr->p_vaddr;

		if (phdr->p_type != PT_LOAD || place->address < start ||
		    place->address - start >= phdr->p_filesz)
			continue;
		place->offset = place->address - start + phdr->p_offset;
		return 1;
	}
	return 0;
}

uint64_t bs_own_offset(const volatile void *address)
{
	struct place place = {.address = (uintptr_t)address};

	return dl_iterate_phdr(look, &place) == 1 ? place.offset : 0;
}

int bs_own_site_find(struct bs_own_site *own)
{
	/* collect is linked into programs statically, never into a shared object. */
	snprintf(own->path, sizeof(own->path), "/proc/self/exe");
	own->offset = bs_own_offset((const void *)(uintptr_t)bs_own_site_hit);
	return own->offset ? 0 : -ENOENT;
}
