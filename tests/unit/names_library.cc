// SPDX-License-Identifier: GPL-2.0-only
// names_library.cc - names of C++, in a library that names_program loads: for test_names.c.

typedef void note_fn(const char *place);

namespace net
{
struct conn {
	note_fn *note;

	template <typename T> __attribute__((noinline)) void close(T)
	{
		note("method"); // @method
		__asm__ volatile("" ::: "memory");
	}
	__attribute__((always_inline)) void inlined()
	{
		note("inlined"); // @inlined
		__asm__ volatile("" ::: "memory");
	}
};

namespace
{
__attribute__((noinline)) void hidden(note_fn *note)
{
	conn c = {note};

	c.inlined(); // @hidden
}
}
}

extern "C" void names_in_library(note_fn *note)
{
	net::conn c = {note};
	auto lambda = [&](int x) __attribute__((noinline)) {
		note("lambda"); // @lambda
		__asm__ volatile("" : : "r"(x) : "memory");
	};

	c.close(17);
	net::hidden(note);
	lambda(1);
	__asm__ volatile("" ::: "memory");
}
