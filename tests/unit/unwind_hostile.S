/* SPDX-License-Identifier: GPL-2.0-only */
/*
 * unwind_hostile.S - functions whose call frame information is meant to hurt who reads it: see
 * test_unwind_hostile.c.  Bytes are DW_CFA_* and DW_OP_*: DWARF 5, section 7.24 and 7.7.
 */
	.text

.macro function name
	.globl \name
	.type \name,@function
\name:	.cfi_startproc
.endm
.macro end name
	nop
	ret
	.cfi_endproc
	.size \name,.-\name
.endm

	/* A plain one, to see that the rest is not for nothing. */
function hostile_plain
end hostile_plain

	/* DW_CFA_offset_extended of register 0x7000000: libdw makes room for all up to it. */
function hostile_register
	.cfi_escape 0x05, 0x80, 0x80, 0x80, 0x38, 0x01
end hostile_register

	/* The same, larger than any memory. */
function hostile_register_huge
	.cfi_escape 0x05, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0x7f, 0x01
end hostile_register_huge

	/* DW_CFA_remember_state without end. */
function hostile_states
	.rept 20000
	.cfi_escape 0x0a
	.endr
end hostile_states

	/* DW_CFA_restore_state of none. */
function hostile_restore
	.cfi_escape 0x0b
end hostile_restore

	/* DW_CFA_def_cfa_expression: a jump to itself, DW_OP_skip -3. */
function hostile_loop
	.cfi_escape 0x0f, 0x03, 0x2f, 0xfd, 0xff
end hostile_loop

	/* An expression of 200 operations DW_OP_dup on an empty stack. */
function hostile_long
	.cfi_escape 0x0f, 0xc8, 0x01
	.rept 200
	.cfi_escape 0x12
	.endr
end hostile_long

	/* DW_OP_breg7 0, DW_OP_dup 100 times: deeper than any stack. */
function hostile_deep
	.cfi_escape 0x0f, 0x66, 0x77, 0x00
	.rept 100
	.cfi_escape 0x12
	.endr
end hostile_deep

	/* An expression longer than the section. */
function hostile_length
	.cfi_escape 0x0f, 0xff, 0xff, 0xff, 0xff, 0x0f
end hostile_length

	/* CFA = rsp: it does not move, so walks would not end. */
function hostile_still
	.cfi_def_cfa_offset 0
end hostile_still

	/* CFA = rsp - 2^31. */
function hostile_back
	.cfi_escape 0x0e, 0x80, 0x80, 0x80, 0x80, 0xf8, 0xff, 0xff, 0xff, 0xff, 0x01
end hostile_back

	/* An operation that is none. */
function hostile_unknown
	.cfi_escape 0x3f, 0x3e, 0x3d
end hostile_unknown

	.section .note.GNU-stack,"",@progbits
