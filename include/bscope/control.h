/* SPDX-License-Identifier: MIT */
/*
 * control.h - the control block of libbscope: what the library tells the outside about itself.
 *
 * Exported as `bscope_control`; a program or a tool may read it at any time.  Members are only
 * ever added at the end: `size` says how many there are.
 */
#ifndef BSCOPE_CONTROL_H
#define BSCOPE_CONTROL_H

#include <stdint.h>

#define BSCOPE_CONTROL_ABI 1

struct bscope_control {
	uint32_t abi;  /* BSCOPE_CONTROL_ABI */
	uint32_t size; /* sizeof(struct bscope_control) of the library */
	/*
	 * Marks that reached the library by a stub while nobody was there to take them: dropped.
	 * Added to without a lock: exact within one thread, low by what threads overwrote.
	 */
	uint64_t unrecorded;
};

#ifdef __cplusplus
extern "C" {
#endif
extern struct bscope_control bscope_control;
#ifdef __cplusplus
}
#endif

#endif /* BSCOPE_CONTROL_H */
