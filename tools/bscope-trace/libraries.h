/* SPDX-License-Identifier: GPL-2.0-only */
/*
 * libraries.h - the libraries that a program will have from its start, so that their sites are lit
 * before their constructors run.
 */
#ifndef BS_TRACE_LIBRARIES_H
#define BS_TRACE_LIBRARIES_H

/*
 * Asks the dynamic linker that the program names (of glibc or musl), as ldd(1) does: with --list it
 * maps the libraries, runs nothing of them, and says where they were.  It gets the environment that
 * the program will have; preload as bs_command_start.
 *
 * fn: with each path, until it returns what is not 0.  Returns that, or 0: also where there is
 * nobody to ask (a static program, another linker), and if it does not answer in time.
 */
int bs_libraries(const char *program, const char *preload, int (*fn)(void *ctx, const char *path),
		 void *ctx);

#endif
