// SPDX-License-Identifier: MIT
/*
 * lock.c - the locks of POSIX and C11 threads as sites of the classes `mutex`, `rwlock` and
 * `once`, for programs that nobody wants to change.
 *
 *   borrow_mut    after a mutex was got, or a rwlock for writing
 *   borrow        after a rwlock was got for reading
 *   unborrow      before either is given up
 *   new, drop     after init, before destroy
 *
 * The borrower is the thread, by its thread pointer, so recursive mutexes nest.  Marks of functions
 * that wait until the lock is free say so (BSCOPE_SITE_WAITS); those of trylock, and of the timed
 * ones, which give up by themselves, do not: no deadlock comes of them.
 *
 * What is easily got wrong:
 *
 *   - A lock that is not got is not marked: EBUSY, ETIMEDOUT, EDEADLK, ENOTRECOVERABLE.
 *   - EOWNERDEAD is got.  Who had it before has died without giving it up: a new says that what
 *     is known of borrowers was of another life.
 *   - An unlock that fails (EPERM: of an error-checking mutex, by a thread that does not have it)
 *     has been marked before.  It is then the mark of a borrower who has none, and ends nothing.
 *   - Waiting for a condition gives the mutex up and gets it back, when it times out, too; not
 *     where it fails because the mutex was not held (EPERM) or can never be again
 *     (ENOTRECOVERABLE).  A thread that is cancelled meanwhile has the mutex again while its
 *     cleanup handlers run, unmarked: their unlock ends nothing.
 *   - The routine of pthread_once is marked around itself, so that only who runs it holds the
 *     object, and also when it is left by an exception or a cancellation.
 *   - Locks with static initialisers, and those whose memory was another lock's before, begin
 *     without a mark; that is why nothing follows from a drop before.
 *
 * The functions of C11 call into the C library directly, without ours, so they have their own.
 * The conditions of programs that were linked before glibc 2.3.2 had another layout; there are none
 * of them on x86-64, and ours are those of today.
 *
 * Nothing here locks, allocates or keeps anything, so there is nothing to repair in a child.
 *
 * Not seen: spin locks, semaphores, barriers, locks that a program makes of futexes, static
 * programs, and libraries opened with RTLD_DEEPBIND.
 */
#define _GNU_SOURCE
#include <errno.h>
#include <pthread.h>
#include <stdint.h>
#include <threads.h>

#include "runtime/preload/mark.h"
#include "runtime/preload/next.h"

#define MARK_NEW(klass, fn, id) \
	BSCOPE_SITE3(BSCOPE_KIND_NEW, "new", BSCOPE_SITE_CALLER, klass, fn, id, 0, CALLER())
#define MARK_DROP(klass, fn, id) \
	BSCOPE_SITE3(BSCOPE_KIND_DROP, "drop", BSCOPE_SITE_CALLER, klass, fn, id, 0, CALLER())
#define MARK_BORROW(klass, fn, flags, id)                                                       \
	BSCOPE_SITE3(BSCOPE_KIND_BORROW, "borrow", BSCOPE_SITE_CALLER | (flags), klass, fn, id, \
		     self(), CALLER())
#define MARK_BORROW_MUT(klass, fn, flags, id, caller)                                           \
	BSCOPE_SITE3(BSCOPE_KIND_BORROW_MUT, "borrow_mut", BSCOPE_SITE_CALLER | (flags), klass, \
		     fn, id, self(), caller)
#define MARK_UNBORROW(klass, fn, id) \
	BSCOPE_SITE2(BSCOPE_KIND_UNBORROW, "unborrow", 0, klass, fn, id, self())

/* The thread, as long as it lives. */
static inline __attribute__((always_inline)) uintptr_t self(void)
{
#if defined(__x86_64__)
	uintptr_t tp;

	/* System V psABI: the thread pointer, at the address to which it points. */
	__asm__("mov %%fs:0,%0" : "=r"(tp));
	return tp;
#else
	return (uintptr_t)__builtin_thread_pointer();
#endif
}

/* A mutex was got, or not. */
#define GOT_MUTEX(fn, flags, m, err)                                      \
	do {                                                              \
		if (__builtin_expect((err) == EOWNERDEAD, 0))             \
			MARK_NEW("mutex", fn, m);                         \
		if (__builtin_expect(!(err) || (err) == EOWNERDEAD, 1))   \
			MARK_BORROW_MUT("mutex", fn, flags, m, CALLER()); \
	} while (0)

/* Before this library is relocated there is nobody to be kept out: any lock is got, at once. */
#define MISSING	    (bs_next_early() ? 0 : ENOSYS)
#define MISSING_C11 (bs_next_early() ? thrd_success : thrd_error)

/* Calls the function behind us; `missing` where there is none. */
#define CALL(missing, name, ...)                                              \
	({                                                                    \
		__typeof__(&name) next_ = BS_NEXT(name);                      \
		__builtin_expect(!next_, 0) ? (missing) : next_(__VA_ARGS__); \
	})

/* --- mutexes ---------------------------------------------------------------------------------- */

BS_NEXT_DECLARE(pthread_mutex_lock);
BS_NEXT_DECLARE(pthread_mutex_unlock);
BS_NEXT_DECLARE(pthread_mutex_trylock);
BS_NEXT_DECLARE(pthread_mutex_init);
BS_NEXT_DECLARE(pthread_mutex_destroy);
BS_NEXT_DECLARE(pthread_mutex_timedlock);
BS_NEXT_DECLARE(pthread_mutex_clocklock);

EXPORT int pthread_mutex_init(pthread_mutex_t *m, const pthread_mutexattr_t *attr)
{
	int err = CALL(MISSING, pthread_mutex_init, m, attr);

	if (!err)
		MARK_NEW("mutex", "pthread_mutex_init", m);
	return err;
}

EXPORT int pthread_mutex_destroy(pthread_mutex_t *m)
{
	MARK_DROP("mutex", "pthread_mutex_destroy", m);
	return CALL(MISSING, pthread_mutex_destroy, m);
}

EXPORT int pthread_mutex_lock(pthread_mutex_t *m)
{
	int err = CALL(MISSING, pthread_mutex_lock, m);

	GOT_MUTEX("pthread_mutex_lock", BSCOPE_SITE_WAITS, m, err);
	return err;
}

EXPORT int pthread_mutex_trylock(pthread_mutex_t *m)
{
	int err = CALL(MISSING, pthread_mutex_trylock, m);

	GOT_MUTEX("pthread_mutex_trylock", 0, m, err);
	return err;
}

EXPORT int pthread_mutex_timedlock(pthread_mutex_t *m, const struct timespec *until)
{
	int err = CALL(MISSING, pthread_mutex_timedlock, m, until);

	GOT_MUTEX("pthread_mutex_timedlock", 0, m, err);
	return err;
}

EXPORT int pthread_mutex_clocklock(pthread_mutex_t *m, clockid_t clock,
				   const struct timespec *until)
{
	int err = CALL(MISSING, pthread_mutex_clocklock, m, clock, until);

	GOT_MUTEX("pthread_mutex_clocklock", 0, m, err);
	return err;
}

EXPORT int pthread_mutex_unlock(pthread_mutex_t *m)
{
	MARK_UNBORROW("mutex", "pthread_mutex_unlock", m);
	return CALL(MISSING, pthread_mutex_unlock, m);
}

/* --- rwlocks ---------------------------------------------------------------------------------- */

BS_NEXT_DECLARE(pthread_rwlock_init);
BS_NEXT_DECLARE(pthread_rwlock_destroy);
BS_NEXT_DECLARE(pthread_rwlock_rdlock);
BS_NEXT_DECLARE(pthread_rwlock_tryrdlock);
BS_NEXT_DECLARE(pthread_rwlock_timedrdlock);
BS_NEXT_DECLARE(pthread_rwlock_clockrdlock);
BS_NEXT_DECLARE(pthread_rwlock_wrlock);
BS_NEXT_DECLARE(pthread_rwlock_trywrlock);
BS_NEXT_DECLARE(pthread_rwlock_timedwrlock);
BS_NEXT_DECLARE(pthread_rwlock_clockwrlock);
BS_NEXT_DECLARE(pthread_rwlock_unlock);

EXPORT int pthread_rwlock_init(pthread_rwlock_t *l, const pthread_rwlockattr_t *attr)
{
	int err = CALL(MISSING, pthread_rwlock_init, l, attr);

	if (!err)
		MARK_NEW("rwlock", "pthread_rwlock_init", l);
	return err;
}

EXPORT int pthread_rwlock_destroy(pthread_rwlock_t *l)
{
	MARK_DROP("rwlock", "pthread_rwlock_destroy", l);
	return CALL(MISSING, pthread_rwlock_destroy, l);
}

EXPORT int pthread_rwlock_rdlock(pthread_rwlock_t *l)
{
	int err = CALL(MISSING, pthread_rwlock_rdlock, l);

	if (!err)
		MARK_BORROW("rwlock", "pthread_rwlock_rdlock", BSCOPE_SITE_WAITS, l);
	return err;
}

EXPORT int pthread_rwlock_tryrdlock(pthread_rwlock_t *l)
{
	int err = CALL(MISSING, pthread_rwlock_tryrdlock, l);

	if (!err)
		MARK_BORROW("rwlock", "pthread_rwlock_tryrdlock", 0, l);
	return err;
}

EXPORT int pthread_rwlock_timedrdlock(pthread_rwlock_t *l, const struct timespec *until)
{
	int err = CALL(MISSING, pthread_rwlock_timedrdlock, l, until);

	if (!err)
		MARK_BORROW("rwlock", "pthread_rwlock_timedrdlock", 0, l);
	return err;
}

EXPORT int pthread_rwlock_clockrdlock(pthread_rwlock_t *l, clockid_t clock,
				      const struct timespec *until)
{
	int err = CALL(MISSING, pthread_rwlock_clockrdlock, l, clock, until);

	if (!err)
		MARK_BORROW("rwlock", "pthread_rwlock_clockrdlock", 0, l);
	return err;
}

EXPORT int pthread_rwlock_wrlock(pthread_rwlock_t *l)
{
	int err = CALL(MISSING, pthread_rwlock_wrlock, l);

	if (!err)
		MARK_BORROW_MUT("rwlock", "pthread_rwlock_wrlock", BSCOPE_SITE_WAITS, l, CALLER());
	return err;
}

EXPORT int pthread_rwlock_trywrlock(pthread_rwlock_t *l)
{
	int err = CALL(MISSING, pthread_rwlock_trywrlock, l);

	if (!err)
		MARK_BORROW_MUT("rwlock", "pthread_rwlock_trywrlock", 0, l, CALLER());
	return err;
}

EXPORT int pthread_rwlock_timedwrlock(pthread_rwlock_t *l, const struct timespec *until)
{
	int err = CALL(MISSING, pthread_rwlock_timedwrlock, l, until);

	if (!err)
		MARK_BORROW_MUT("rwlock", "pthread_rwlock_timedwrlock", 0, l, CALLER());
	return err;
}

EXPORT int pthread_rwlock_clockwrlock(pthread_rwlock_t *l, clockid_t clock,
				      const struct timespec *until)
{
	int err = CALL(MISSING, pthread_rwlock_clockwrlock, l, clock, until);

	if (!err)
		MARK_BORROW_MUT("rwlock", "pthread_rwlock_clockwrlock", 0, l, CALLER());
	return err;
}

EXPORT int pthread_rwlock_unlock(pthread_rwlock_t *l)
{
	MARK_UNBORROW("rwlock", "pthread_rwlock_unlock", l);
	return CALL(MISSING, pthread_rwlock_unlock, l);
}

/* --- conditions ------------------------------------------------------------------------------- */

#define COND_VERSION "GLIBC_2.3.2"
BS_NEXT_VERSION(pthread_cond_wait, COND_VERSION);
BS_NEXT_VERSION(pthread_cond_timedwait, COND_VERSION);
BS_NEXT_DECLARE(pthread_cond_clockwait);

/* The mutex is given up meanwhile.  Whoever waits for a condition waits for the mutex in the end.
 */
#define COND_WAIT(name, m, ...)                                                          \
	do {                                                                             \
		int err_;                                                                \
                                                                                         \
		MARK_UNBORROW("mutex", #name, m);                                        \
		err_ = CALL(MISSING, name, __VA_ARGS__);                                 \
		if (__builtin_expect(err_ == EOWNERDEAD, 0))                             \
			MARK_NEW("mutex", #name, m);                                     \
		if (__builtin_expect(err_ != EPERM && err_ != ENOTRECOVERABLE, 1))       \
			MARK_BORROW_MUT("mutex", #name, BSCOPE_SITE_WAITS, m, CALLER()); \
		return err_;                                                             \
	} while (0)

EXPORT int pthread_cond_wait(pthread_cond_t *c, pthread_mutex_t *m)
{
	COND_WAIT(pthread_cond_wait, m, c, m);
}

EXPORT int pthread_cond_timedwait(pthread_cond_t *c, pthread_mutex_t *m,
				  const struct timespec *until)
{
	COND_WAIT(pthread_cond_timedwait, m, c, m, until);
}

EXPORT int pthread_cond_clockwait(pthread_cond_t *c, pthread_mutex_t *m, clockid_t clock,
				  const struct timespec *until)
{
	COND_WAIT(pthread_cond_clockwait, m, c, m, clock, until);
}

/* --- once ------------------------------------------------------------------------------------- */

BS_NEXT_DECLARE(pthread_once);
BS_NEXT_DECLARE(call_once);

struct once {
	const void *id;
	void (*routine)(void);
	const void *caller;
};

/* What the innermost call of pthread_once on this thread asks for. */
static __thread const struct once *asked __attribute__((tls_model("initial-exec")));

static void once_end(const struct once *o)
{
	MARK_UNBORROW("once", "pthread_once", o->id);
}

/* In the place of the routine: only one thread comes here at a time. */
static void once_run(void)
{
	struct once o __attribute__((cleanup(once_end))) = *asked;

	MARK_BORROW_MUT("once", "pthread_once", BSCOPE_SITE_WAITS, o.id, o.caller);
	o.routine();
}

/* As glibc has it, which cannot be called yet: 2 is done. */
static void __attribute__((cold, noinline)) once_early(int *once, void (*routine)(void))
{
	if (*once != 2)
		routine();
	*once = 2;
}

EXPORT int pthread_once(pthread_once_t *once, void (*routine)(void))
{
	__typeof__(&pthread_once) next = BS_NEXT(pthread_once);
	const struct once o = {once, routine, CALLER()}, *before;
	int err;

	if (__builtin_expect(!next, 0)) {
		if (!bs_next_early())
			return ENOSYS;
		once_early(once, routine);
		return 0;
	}
	before = asked;
	/* A handler that comes in between puts it back.  What an exception leaves is not used. */
	asked = &o;
	err = next(once, once_run);
	asked = before;
	return err;
}

EXPORT void call_once(once_flag *once, void (*routine)(void))
{
	__typeof__(&call_once) next = BS_NEXT(call_once);
	const struct once o = {once, routine, CALLER()}, *before;

	if (__builtin_expect(!next, 0)) {
		if (bs_next_early())
			once_early((int *)once, routine);
		return;
	}
	before = asked;
	asked = &o;
	next(once, once_run);
	asked = before;
}

/* --- C11 -------------------------------------------------------------------------------------- */

BS_NEXT_DECLARE(mtx_init);
BS_NEXT_DECLARE(mtx_destroy);
BS_NEXT_DECLARE(mtx_lock);
BS_NEXT_DECLARE(mtx_trylock);
BS_NEXT_DECLARE(mtx_timedlock);
BS_NEXT_DECLARE(mtx_unlock);
BS_NEXT_DECLARE(cnd_wait);
BS_NEXT_DECLARE(cnd_timedwait);

EXPORT int mtx_init(mtx_t *m, int type)
{
	int err = CALL(MISSING_C11, mtx_init, m, type);

	if (err == thrd_success)
		MARK_NEW("mutex", "mtx_init", m);
	return err;
}

EXPORT void mtx_destroy(mtx_t *m)
{
	__typeof__(&mtx_destroy) next = BS_NEXT(mtx_destroy);

	MARK_DROP("mutex", "mtx_destroy", m);
	if (next)
		next(m);
}

EXPORT int mtx_lock(mtx_t *m)
{
	int err = CALL(MISSING_C11, mtx_lock, m);

	if (err == thrd_success)
		MARK_BORROW_MUT("mutex", "mtx_lock", BSCOPE_SITE_WAITS, m, CALLER());
	return err;
}

EXPORT int mtx_trylock(mtx_t *m)
{
	int err = CALL(MISSING_C11, mtx_trylock, m);

	if (err == thrd_success)
		MARK_BORROW_MUT("mutex", "mtx_trylock", 0, m, CALLER());
	return err;
}

EXPORT int mtx_timedlock(mtx_t *m, const struct timespec *until)
{
	int err = CALL(MISSING_C11, mtx_timedlock, m, until);

	if (err == thrd_success)
		MARK_BORROW_MUT("mutex", "mtx_timedlock", 0, m, CALLER());
	return err;
}

EXPORT int mtx_unlock(mtx_t *m)
{
	MARK_UNBORROW("mutex", "mtx_unlock", m);
	return CALL(MISSING_C11, mtx_unlock, m);
}

/* The mutexes of C11 are plain or recursive: that it was held all the time is the only failure. */
EXPORT int cnd_wait(cnd_t *c, mtx_t *m)
{
	int err;

	MARK_UNBORROW("mutex", "cnd_wait", m);
	err = CALL(MISSING_C11, cnd_wait, c, m);
	MARK_BORROW_MUT("mutex", "cnd_wait", BSCOPE_SITE_WAITS, m, CALLER());
	return err;
}

EXPORT int cnd_timedwait(cnd_t *c, mtx_t *m, const struct timespec *until)
{
	int err;

	MARK_UNBORROW("mutex", "cnd_timedwait", m);
	err = CALL(MISSING_C11, cnd_timedwait, c, m, until);
	MARK_BORROW_MUT("mutex", "cnd_timedwait", BSCOPE_SITE_WAITS, m, CALLER());
	return err;
}

/* --- other names, which old libraries use -------------------------------------------------------
 */

ALIAS(pthread_mutex_init, __pthread_mutex_init);
ALIAS(pthread_mutex_destroy, __pthread_mutex_destroy);
ALIAS(pthread_mutex_lock, __pthread_mutex_lock);
ALIAS(pthread_mutex_trylock, __pthread_mutex_trylock);
ALIAS(pthread_mutex_unlock, __pthread_mutex_unlock);
ALIAS(pthread_rwlock_init, __pthread_rwlock_init);
ALIAS(pthread_rwlock_destroy, __pthread_rwlock_destroy);
ALIAS(pthread_rwlock_rdlock, __pthread_rwlock_rdlock);
ALIAS(pthread_rwlock_tryrdlock, __pthread_rwlock_tryrdlock);
ALIAS(pthread_rwlock_wrlock, __pthread_rwlock_wrlock);
ALIAS(pthread_rwlock_trywrlock, __pthread_rwlock_trywrlock);
ALIAS(pthread_rwlock_unlock, __pthread_rwlock_unlock);
ALIAS(pthread_once, __pthread_once);
