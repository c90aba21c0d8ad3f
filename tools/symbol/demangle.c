// SPDX-License-Identifier: GPL-2.0-only
/* demangle.c - names of C++ and Rust as people write them. */
#include <libiberty/demangle.h>
#include <stddef.h>

#include "symbol/demangle.h"

char *bs_demangle(const char *name)
{
	/* Names of C are left alone, whatever else they could be taken for. */
	if (name[0] != '_' || (name[1] != 'Z' && name[1] != 'R'))
		return NULL;
	return cplus_demangle(name, DMGL_AUTO);
}
