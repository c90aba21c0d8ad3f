// SPDX-License-Identifier: GPL-2.0-only
/*
 * names_symbols.c - functions of which there is no debug information, two of them with names of
 * Rust (v0 and legacy mangling, as RFC 2603 and rustc's symbol_names have them): part of
 * names_program.
 */
void names_note(const char *place);
void names_rust_v0(void) __asm__("_RNvNtCs1234_7mycrate3foo3bar");
void names_rust_legacy(void) __asm__("_ZN7mycrate5thing17h0123456789abcdefE");
void names_bare(void);

void names_rust_v0(void)
{
	names_note("rust_v0");
	__asm__ volatile("" ::: "memory");
}

void names_rust_legacy(void)
{
	names_note("rust_legacy");
	__asm__ volatile("" ::: "memory");
}

void names_bare(void)
{
	names_note("bare");
	__asm__ volatile("" ::: "memory");
}
