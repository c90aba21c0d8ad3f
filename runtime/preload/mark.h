/* SPDX-License-Identifier: MIT */
/* mark.h - what the files of the preload libraries share. */
#ifndef BS_PRELOAD_MARK_H
#define BS_PRELOAD_MARK_H

/* A class with a site that crosses a page would have no verdicts. */
#define BSCOPE_ALIGNED
#include <bscope/site.h>

#define EXPORT __attribute__((visibility("default")))
/* Another name for a function that is defined in this file. */
#define ALIAS(name, other) __asm__(".globl " #other "\n.set " #other "," #name)
#define CALLER()	   __builtin_return_address(0)

#endif
