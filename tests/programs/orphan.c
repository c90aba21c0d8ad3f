/* SPDX-License-Identifier: GPL-2.0-only */
/*
 * orphan.c - forks while the tool that traces it cannot take a record, and leaves.
 *
 * Run by bscope-trace with a small buffer: stops its parent, the tool, makes more marks than the
 * buffer holds, forks and exits.  The child lets the tool go on and makes marks of its own.
 */
#include <signal.h>
#include <stdint.h>
#include <unistd.h>

#include <bscope/bscope.h>

int main(void)
{
	pid_t tool = getppid();

	kill(tool, SIGSTOP);
	for (uintptr_t i = 0; i < 5000; i++)
		BSCOPE_USE(thing, i, (uintptr_t)1);
	if (fork())
		return 0;
	usleep(200000);
	kill(tool, SIGCONT);
	for (uintptr_t i = 0; i < 100; i++) {
		BSCOPE_USE(thing, i, (uintptr_t)2);
		usleep(10000);
	}
	return 0;
}
