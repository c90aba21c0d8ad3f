/* SPDX-License-Identifier: GPL-2.0-only */
/* kernel.h - names for addresses of code in the kernel, from /proc/kallsyms (proc(5)). */
#ifndef BS_SYMBOL_KERNEL_H
#define BS_SYMBOL_KERNEL_H

#include <stdint.h>
#include <stdio.h>

struct bs_kernel_symbols;

/*
 * Reads the functions of the running kernel, of its modules and BPF programs; kallsyms: that file
 * (tests), NULL: opened here.  NULL when out of memory or where there is none; where the kernel
 * hides addresses (kptr_restrict) there are no names.
 */
struct bs_kernel_symbols *bs_kernel_symbols_new(FILE *kallsyms);
void bs_kernel_symbols_free(struct bs_kernel_symbols *k);

/*
 * The function that holds addr, borrowed; NULL if none is known, as in what is loaded but not
 * listed. k may be NULL.
 */
const char *bs_kernel_symbols_find(const struct bs_kernel_symbols *k, uint64_t addr);

#endif
