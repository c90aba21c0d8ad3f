// SPDX-License-Identifier: GPL-2.0-only
/*
 * unheard.c - a correct program that does something that no record tells of: it stops its parent,
 * the tool, and forks until the ring is full.
 *
 * usage: unheard exec|again|vfork|spawn|exit
 *
 * exec   it executes itself while it borrows an object, and borrows it as somebody else then
 * again  it makes so many objects that it is lit by jumps, and executes itself to make AFTER more
 * vfork  its vfork child, of which nobody hears, makes an object, and it drops it
 * spawn  a vfork child executes it unheard, and makes and drops an object while it has one itself
 * exit   a child ends that has made OBJECTS objects
 */
#define _GNU_SOURCE
#include <pthread.h>
#include <signal.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/wait.h>
#include <unistd.h>

#include <bscope/bscope.h>

/* The smallest ring has room for 1170 records, each child makes two. */
enum { CHILDREN = 1000, OBJECTS = 100, MANY = 100000, AFTER = 1000 };
#define ID ((uintptr_t)0x100000)

static pid_t tool;

/* Until the tool has seen what was done so far. */
static void seen(void)
{
	usleep(500000);
}

static void fill(void)
{
	seen();
	kill(tool, SIGSTOP);
	usleep(20000);
	for (int i = 0; i < CHILDREN; i++) {
		pid_t pid = fork();

		if (!pid)
			_exit(0);
		waitpid(pid, NULL, 0);
	}
}

static void go_on(void)
{
	kill(tool, SIGCONT);
	seen();
}

static int executed(void)
{
	go_on();
	BSCOPE_BORROW_MUT(unheard, ID, 2);
	usleep(1000);
	BSCOPE_UNBORROW(unheard, ID, 2);
	seen();
	return 0;
}

static int with_exec(void)
{
	BSCOPE_NEW(unheard, ID);
	BSCOPE_BORROW_MUT(unheard, ID, 1);
	fill();
	execl("/proc/self/exe", "unheard", "executed", (char *)NULL);
	return 1;
}

static void many(void)
{
	for (int i = 0; i < MANY; i++) {
		BSCOPE_NEW(unheard, ID);
		BSCOPE_DROP(unheard, ID);
	}
	seen();
}

static int executed_again(void)
{
	go_on();
	for (int i = 0; i < AFTER; i++) {
		BSCOPE_NEW(again, ID);
		BSCOPE_DROP(again, ID);
		usleep(3000);
	}
	return 0;
}

static int with_again(void)
{
	many();
	many();
	fill();
	execl("/proc/self/exe", "unheard", "executed-again", (char *)NULL);
	return 1;
}

static int with_vfork(void)
{
	int status;
	pid_t pid;

	BSCOPE_NEW(unheard, ID);
	BSCOPE_DROP(unheard, ID);
	fill();
	pid = vfork();
	if (!pid) {
		go_on();
		BSCOPE_NEW(unheard, ID);
		_exit(0);
	}
	waitpid(pid, &status, 0);
	BSCOPE_DROP(unheard, ID);
	seen();
	return status;
}

static void *fill_beside(void *arg)
{
	fill();
	return arg;
}

static int spawned(void)
{
	go_on();
	seen();
	BSCOPE_NEW(unheard, ID);
	usleep(1000);
	BSCOPE_DROP(unheard, ID);
	seen();
	seen();
	return 0;
}

static int with_spawn(void)
{
	char number[16];
	pthread_t other;
	int status;
	pid_t pid;

	snprintf(number, sizeof(number), "%d", (int)tool);
	if (pthread_create(&other, NULL, fill_beside, NULL))
		return 1;
	pid = vfork();
	if (!pid) {
		/* It is not known when the other one is done. */
		for (int i = 0; i < 6; i++)
			seen();
		execl("/proc/self/exe", "unheard", "spawned", number, (char *)NULL);
		_exit(1);
	}
	seen();
	usleep(250000);
	BSCOPE_NEW(unheard, ID);
	seen();
	BSCOPE_DROP(unheard, ID);
	waitpid(pid, &status, 0);
	pthread_join(other, NULL);
	return status;
}

static int with_exit(void)
{
	pid_t pid = fork();

	if (!pid) {
		for (uintptr_t i = 0; i < OBJECTS; i++)
			BSCOPE_NEW(unheard, ID + 16 * i);
		pause();
	}
	fill();
	kill(pid, SIGKILL);
	waitpid(pid, NULL, 0);
	go_on();
	return 0;
}

int main(int argc, char **argv)
{
	const char *what = argc > 1 ? argv[1] : "";

	tool = argc > 2 ? atoi(argv[2]) : getppid();
	if (!strcmp(what, "exec"))
		return with_exec();
	if (!strcmp(what, "executed"))
		return executed();
	if (!strcmp(what, "again"))
		return with_again();
	if (!strcmp(what, "executed-again"))
		return executed_again();
	if (!strcmp(what, "vfork"))
		return with_vfork();
	if (!strcmp(what, "spawn"))
		return with_spawn();
	if (!strcmp(what, "spawned"))
		return spawned();
	if (!strcmp(what, "exit"))
		return with_exit();
	fprintf(stderr, "usage: unheard exec|again|vfork|spawn|exit\n");
	return 64;
}
