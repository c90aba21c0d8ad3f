// SPDX-License-Identifier: GPL-2.0-only
/* demangle.c - names of C++ and Rust as people write them. */
#include <libiberty/demangle.h>
#include <stddef.h>

#include "symbol/demangle.h"

bool bs_is_mangled(const char *name)
{
	return name[0] == '_' && (name[1] == 'Z' || name[1] == 'R');
}

char *bs_demangle(const char *name)
{
	/* Names of C are left alone, whatever else they could be taken for. */
	return bs_is_mangled(name) ? cplus_demangle(name, DMGL_AUTO) : NULL;
}
