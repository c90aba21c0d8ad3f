// SPDX-License-Identifier: GPL-2.0-only
/*
 * lock_calls.c - every function of locks that the preload library stands in for, with what it
 * returns when all is well and when it is not; and what became of errno, which none of them sets.
 */
#define _GNU_SOURCE
#include <errno.h>
#include <pthread.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/wait.h>
#include <threads.h>
#include <time.h>
#include <unistd.h>

static int say(const char *call, int ret)
{
	int err = errno;

	printf("%-62s %d errno %d\n", call, ret, err);
	errno = 77; /* of the call around this one */
	return ret;
}
#define SAY(call) (errno = 77, say(#call, (call)))

static const struct timespec past = {1, 0};
static const struct timespec wrong = {1, -1};

static pthread_mutex_t plain = PTHREAD_MUTEX_INITIALIZER;
static pthread_mutex_t recursive = PTHREAD_RECURSIVE_MUTEX_INITIALIZER_NP;
static pthread_mutex_t checking = PTHREAD_ERRORCHECK_MUTEX_INITIALIZER_NP;
static pthread_mutex_t robust;
static pthread_rwlock_t rw = PTHREAD_RWLOCK_INITIALIZER;
static pthread_cond_t cond = PTHREAD_COND_INITIALIZER;

static void in_thread(void *(*fn)(void *))
{
	pthread_t t;

	if (pthread_create(&t, NULL, fn, NULL) || pthread_join(t, NULL))
		abort();
}

/* What somebody else holds. */
static void *others(void *arg)
{
	SAY(pthread_mutex_trylock(&plain));
	SAY(pthread_mutex_timedlock(&plain, &past));
	SAY(pthread_mutex_timedlock(&plain, &wrong));
	SAY(pthread_mutex_clocklock(&plain, CLOCK_MONOTONIC, &past));
	SAY(pthread_mutex_clocklock(&plain, 99, &past));
	SAY(pthread_mutex_unlock(&checking));
	SAY(pthread_mutex_unlock(&recursive));
	SAY(pthread_rwlock_tryrdlock(&rw));
	SAY(pthread_rwlock_trywrlock(&rw));
	SAY(pthread_rwlock_timedrdlock(&rw, &past));
	SAY(pthread_rwlock_timedwrlock(&rw, &past));
	SAY(pthread_rwlock_clockrdlock(&rw, CLOCK_REALTIME, &past));
	SAY(pthread_rwlock_clockwrlock(&rw, CLOCK_REALTIME, &past));
	SAY(pthread_cond_wait(&cond, &checking));
	SAY(pthread_cond_timedwait(&cond, &checking, &past));
	return arg;
}

static void *dies(void *arg)
{
	SAY(pthread_mutex_lock(&robust));
	return arg;
}

static void mutexes(void)
{
	pthread_mutexattr_t attr;
	pthread_mutex_t m;

	SAY(pthread_mutex_lock(&plain));
	SAY(pthread_mutex_trylock(&plain));
	SAY(pthread_mutex_lock(&recursive));
	SAY(pthread_mutex_lock(&recursive));
	SAY(pthread_mutex_trylock(&recursive));
	SAY(pthread_mutex_unlock(&recursive));
	SAY(pthread_mutex_unlock(&recursive));
	SAY(pthread_mutex_lock(&checking));
	SAY(pthread_mutex_lock(&checking));
	SAY(pthread_rwlock_wrlock(&rw));
	SAY(pthread_rwlock_wrlock(&rw));
	in_thread(others);
	SAY(pthread_cond_timedwait(&cond, &plain, &past));
	SAY(pthread_cond_timedwait(&cond, &plain, &wrong));
	SAY(pthread_cond_clockwait(&cond, &plain, CLOCK_MONOTONIC, &past));
	SAY(pthread_rwlock_unlock(&rw));
	SAY(pthread_mutex_unlock(&checking));
	SAY(pthread_mutex_unlock(&checking));
	SAY(pthread_mutex_unlock(&recursive));
	SAY(pthread_mutex_unlock(&recursive));
	SAY(pthread_mutex_unlock(&plain));
	SAY(pthread_mutex_timedlock(&plain, &past));
	SAY(pthread_mutex_unlock(&plain));
	SAY(pthread_mutex_clocklock(&plain, CLOCK_REALTIME, &past));
	SAY(pthread_mutex_unlock(&plain));

	pthread_mutexattr_init(&attr);
	pthread_mutexattr_setrobust(&attr, PTHREAD_MUTEX_ROBUST);
	SAY(pthread_mutex_init(&robust, &attr));
	in_thread(dies);
	SAY(pthread_mutex_lock(&robust));
	SAY(pthread_mutex_consistent(&robust));
	SAY(pthread_mutex_unlock(&robust));
	in_thread(dies);
	SAY(pthread_mutex_trylock(&robust));
	SAY(pthread_mutex_unlock(&robust)); /* not made consistent */
	SAY(pthread_mutex_lock(&robust));
	SAY(pthread_mutex_destroy(&robust));
	SAY(pthread_mutex_init(&m, NULL));
	SAY(pthread_mutex_destroy(&m));
}

static void rwlocks(void)
{
	pthread_rwlock_t l;

	SAY(pthread_rwlock_init(&l, NULL));
	SAY(pthread_rwlock_rdlock(&l));
	SAY(pthread_rwlock_rdlock(&l));
	SAY(pthread_rwlock_tryrdlock(&l));
	SAY(pthread_rwlock_timedrdlock(&l, &past));
	SAY(pthread_rwlock_clockrdlock(&l, CLOCK_MONOTONIC, &past));
	SAY(pthread_rwlock_trywrlock(&l));
	for (int i = 0; i < 5; i++)
		SAY(pthread_rwlock_unlock(&l));
	SAY(pthread_rwlock_trywrlock(&l));
	SAY(pthread_rwlock_rdlock(&l));
	SAY(pthread_rwlock_unlock(&l));
	SAY(pthread_rwlock_timedwrlock(&l, &past));
	SAY(pthread_rwlock_unlock(&l));
	SAY(pthread_rwlock_clockwrlock(&l, CLOCK_MONOTONIC, &past));
	SAY(pthread_rwlock_unlock(&l));
	SAY(pthread_rwlock_destroy(&l));
}

static pthread_once_t outer = PTHREAD_ONCE_INIT, inner = PTHREAD_ONCE_INIT;
static once_flag flag = ONCE_FLAG_INIT;

static void inner_run(void)
{
	puts("inner");
}

static void outer_run(void)
{
	SAY(pthread_once(&inner, inner_run));
	puts("outer");
}

static void c11(void)
{
	mtx_t m;
	cnd_t c;

	call_once(&flag, inner_run);
	call_once(&flag, outer_run);
	SAY(mtx_init(&m, mtx_timed | mtx_recursive));
	SAY(cnd_init(&c));
	SAY(mtx_lock(&m));
	SAY(mtx_trylock(&m));
	SAY(mtx_timedlock(&m, &past));
	SAY(mtx_unlock(&m));
	SAY(mtx_unlock(&m));
	SAY(cnd_timedwait(&c, &m, &past));
	SAY(mtx_unlock(&m));
	mtx_destroy(&m);
	cnd_destroy(&c);
}

/* A thread that is cancelled while it waits has the mutex while it cleans up. */
static void clean_up(void *m)
{
	SAY(pthread_mutex_trylock(m));
	SAY(pthread_mutex_unlock(m));
}

static void *waits(void *arg)
{
	pthread_mutex_lock(&plain);
	pthread_cleanup_push(clean_up, &plain);
	pthread_cond_wait(&cond, &plain);
	pthread_cleanup_pop(0);
	return arg;
}

static void cancelled(void)
{
	pthread_t t;
	void *ret;

	if (pthread_create(&t, NULL, waits, NULL))
		abort();
	usleep(20000);
	pthread_cancel(t);
	pthread_join(t, &ret);
	printf("cancelled %d\n", ret == PTHREAD_CANCELED);
	SAY(pthread_mutex_lock(&plain));
	SAY(pthread_mutex_unlock(&plain));
}

/* Forked while it is held: the child has it, too. */
static void forked(void)
{
	int status;

	pthread_mutex_lock(&plain);
	fflush(stdout);
	if (!fork()) {
		SAY(pthread_mutex_trylock(&plain));
		SAY(pthread_mutex_unlock(&plain));
		SAY(pthread_mutex_lock(&plain));
		fflush(stdout);
		_exit(5);
	}
	wait(&status);
	printf("child %d\n", WEXITSTATUS(status));
	SAY(pthread_mutex_unlock(&plain));
}

int main(void)
{
	mutexes();
	rwlocks();
	SAY(pthread_once(&outer, outer_run));
	SAY(pthread_once(&outer, outer_run));
	c11();
	cancelled();
	forked();
	return 0;
}
