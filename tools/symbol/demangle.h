/* SPDX-License-Identifier: GPL-2.0-only */
/* demangle.h - names of C++ and Rust as people write them, by libiberty. */
#ifndef BS_SYMBOL_DEMANGLE_H
#define BS_SYMBOL_DEMANGLE_H

#include <stdbool.h>

/* Could it be a name of C++ or Rust, rather than of C? */
bool bs_is_mangled(const char *name);

/*
 * "net::conn::close" of "_ZN3net4conn5closeEv": without parameters, which make names long; of Rust
 * without the hash.  For free(); NULL where name is not mangled.  Like libdw it is for a process
 * that may crash (look.h).
 */
char *bs_demangle(const char *name);

#endif
