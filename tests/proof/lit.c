// SPDX-License-Identifier: GPL-2.0-only
/*
 * lit.c - a program with its own sites switched on, linked with the real library: computes the
 * same with and without, and the library counts each mark that it got.
 *
 * Prints "dark RESULT", "lit RESULT" and "counted N of M".  Exit status 0 when all is right.
 */
#include <inttypes.h>
#include <signal.h>
#include <stdint.h>
#include <stdio.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/time.h>
#include <unistd.h>

#include <bscope/bscope.h>
#include <bscope/control.h>

extern struct bscope_site __start_bscope_sites[], __stop_bscope_sites[];

static volatile sig_atomic_t signals;

/* A handler that passes a site, while the program may be inside the library. */
static void on_alarm(int sig)
{
	BSCOPE_USE(signal, sig, 1);
	signals++;
}

static uint64_t mix(uint64_t h, double d)
{
	uint64_t bits;

	memcpy(&bits, &d, sizeof(bits));
	return (h ^ bits) * 0x100000001b3u;
}

/*
 * More doubles alive across each mark than there are vector registers, and integers in all
 * general ones.  *marks is advanced by the marks passed.
 */
static __attribute__((noinline)) uint64_t compute(unsigned turns, uint64_t *marks)
{
	double a = 1, b = 2, c = 3, d = 5, e = 7, f = 11, g = 13, h = 17, k = 19;
	uint64_t hash = 14695981039346656037u, x = 1, y = 2, z = 3, w = 4;

	for (unsigned i = 1; i <= turns; i++) {
		BSCOPE_NEW(step, i);
		a = a * 0.999 + b / (d + i);
		b = b * 0.998 + c;
		BSCOPE_MOVE(step, x, y);
		c = c * 0.5 + k / (1 + e);
		d += 0.25 * f;
		BSCOPE_SITE3(BSCOPE_KIND_NEW, "new", 3u, "step", "z", z, w, hash);
		e = e * 0.75 + g;
		f = (f + h) * 0.5;
		BSCOPE_BORROW(step, w, &turns);
		g = g * 0.875 + 1;
		h = h * 0.9 + a;
		k = k * 0.99 + b * 0.001;
		x = x * 6364136223846793005u + 1442695040888963407u;
		y ^= x >> 17;
		BSCOPE_NEW_SIZED(step, y, x);
		z += y * 3;
		w = (w << 7 | w >> 57) + z;
		BSCOPE_DROP(step, 0x123456789abcdef0);
		hash = mix(mix(mix(hash, a + b + c), d - e + f), g * h - k) + (x ^ y ^ z ^ w);
	}
	*marks += (uint64_t)turns * 6;
	return hash;
}

static int write_switch(const struct bscope_site *site, const uint8_t bytes[5])
{
	uint8_t *sw = (uint8_t *)&site->probe + site->probe + 1;
	uintptr_t first = (uintptr_t)sw & ~(uintptr_t)4095;
	size_t len = (uintptr_t)sw + 5 - first;

	if (mprotect((void *)first, len, PROT_READ | PROT_WRITE | PROT_EXEC))
		return -1;
	memcpy(sw, bytes, 5);
	return mprotect((void *)first, len, PROT_READ | PROT_EXEC);
}

static int light_all(void)
{
	for (struct bscope_site *s = __start_bscope_sites; s < __stop_bscope_sites; s++) {
		uint8_t jmp[5] = {0xe9};
		int32_t rel = (int32_t)(((const uint8_t *)&s->stub + s->stub) -
					((const uint8_t *)&s->probe + s->probe + 6));

		memcpy(jmp + 1, &rel, 4);
		if (write_switch(s, jmp))
			return -1;
	}
	return 0;
}

int main(void)
{
	const struct itimerval every = {{0, 500}, {0, 500}}, never = {{0, 0}, {0, 0}};
	const struct bscope_control *control = bscope_control();
	uint64_t marks = 0, dark, lit, counted, sent;

	if (control->abi != BSCOPE_CONTROL_ABI || control->size != sizeof(*control) ||
	    control->unrecorded) {
		fprintf(stderr, "control block\n");
		return 1;
	}
	dark = compute(200000, &marks);
	printf("dark %016" PRIx64 "\n", dark);
	if (control->unrecorded) {
		fprintf(stderr, "dark sites reached the library\n");
		return 1;
	}
	if (light_all()) {
		perror("mprotect");
		return 1;
	}
	marks = 0;
	signal(SIGALRM, on_alarm);
	setitimer(ITIMER_REAL, &every, NULL);
	lit = compute(200000, &marks);
	while (signals < 3)
		compute(1000, &marks);
	setitimer(ITIMER_REAL, &never, NULL);
	printf("lit  %016" PRIx64 "\n", lit);
	counted = *(const volatile uint64_t *)&control->unrecorded;
	sent = marks + (uint64_t)signals;
	printf("counted %" PRIu64 " of %" PRIu64 "\n", counted, sent);
	return dark != lit || counted != sent;
}
