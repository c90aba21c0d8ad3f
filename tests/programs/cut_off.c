/* SPDX-License-Identifier: GPL-2.0-only */
/*
 * cut_off.c - a process that ends while one of its threads is in the middle of a destructor, or
 * when that thread has come to its end.
 *
 *     cut_off middle|handler|exec|end|blocked|handled
 *
 * middle: by another thread; handler: a signal comes, whose handler ends it, or (exec) executes
 * another program.  blocked, handled: the main thread has come to its end, though signals are
 * blocked; and though it was in a handler before.
 *
 * The destructor of a cache that owns an entry and has borrowed a table drops and gives back
 * nothing before it is cut off; nor does it by its end, which is wrong.
 */
#include <pthread.h>
#include <semaphore.h>
#include <signal.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include <bscope/bscope.h>

static int cache, entry, table;
static sem_t dropped;
static const char *how;

static int is(const char *name)
{
	return !strcmp(how, name);
}

static void on_term(int signal)
{
	(void)signal;
	if (is("exec"))
		execl("/bin/true", "true", (char *)NULL);
	_exit(0);
}

static void on_user(int signal)
{
	(void)signal;
}

static int has_come_to_its_end(void)
{
	return is("end") || is("blocked") || is("handled");
}

static void *destroy(void *arg)
{
	BSCOPE_NEW(cache, &cache);
	BSCOPE_NEW(entry, &entry);
	BSCOPE_MOVE(entry, &entry, &cache);
	BSCOPE_BORROW(table, &table, &cache);
	BSCOPE_DROP(cache, &cache);
	if (has_come_to_its_end())
		return arg;
	if (!is("middle"))
		raise(SIGTERM);
	sem_post(&dropped);
	for (;;)
		pause();
}

int main(int argc, char **argv)
{
	pthread_t thread;

	how = argc > 1 ? argv[1] : "middle";
	signal(SIGTERM, on_term);
	sem_init(&dropped, 0, 0);
	BSCOPE_NEW(table, &table);
	if (is("blocked") || is("handled")) {
		sigset_t set;

		sigemptyset(&set);
		sigaddset(&set, SIGUSR2);
		sigprocmask(SIG_BLOCK, &set, NULL);
		signal(SIGUSR1, on_user);
		if (is("handled"))
			raise(SIGUSR1);
		destroy(NULL);
		return 0;
	}
	if (pthread_create(&thread, NULL, destroy, NULL))
		abort();
	if (is("end"))
		pthread_join(thread, NULL);
	else
		while (sem_wait(&dropped))
			;
	return 0;
}
