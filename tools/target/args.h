/* SPDX-License-Identifier: GPL-2.0-only */
/* args.h - the argument string of a stapsdt note: where a probe's operands are. */
#ifndef BS_TARGET_ARGS_H
#define BS_TARGET_ARGS_H

#include <stdint.h>

#include "bpf/event.h"

#define BS_ARGS_MAX 3

/*
 * Parses "8@%rdi 8@$5" (x86-64) or "8@x0 8@5" (arm64); machine is the file's e_machine.
 * The format is that of <sys/sdt.h>: [-]SIZE@OPERAND, separated by spaces, operands as the
 * assembler of the machine spells them.
 *
 * Only what a site can have is understood: constants, and whole 64-bit registers.  Operands
 * in memory and parts of registers are refused: the BPF program reads neither.
 *
 * Returns the number of arguments (those past BS_ARGS_MAX are counted and not looked at) and
 * fills spec, which says BS_ARG_NONE for what is not there.  -EINVAL (not understood) or -ENOTSUP
 * (an operand that is not supported), with the reason, a constant string, in *why.
 */
int bs_args_parse(const char *args, uint16_t machine, struct bs_site_spec *spec, const char **why);

#endif
