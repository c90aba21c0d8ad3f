/* SPDX-License-Identifier: MIT */
/*
 * bscope.h - the vocabulary with which a program says who owns what.
 *
 *	#include <bscope/bscope.h>
 *
 *	struct conn *c = malloc(sizeof(*c));
 *	if (!c)
 *		return NULL;
 *	BSCOPE_NEW_SIZED(conn, c, sizeof(*c));
 *
 * Link with -lbscope (pkg-config bscope).  A mark is two no-op instructions in the production
 * build; `bscope-trace -p PID` reads the marks of the running program.
 *
 * Common to all marks:
 *
 * class   Names the kind of object: a token such as conn, fd or net::buf.  It is taken as
 *         written; a macro of that name is not expanded.  An object is (process, class, id), so
 *         a struct and its first member never get mixed up.
 * id, by  Pointers, integers, enums.  They are evaluated once, and only name things: nothing
 *         is read through them.  Integers are widened as C does it, so -1 is the same id
 *         from every signed type.  In reports an object is called by the text of its id.
 *         Who borrows or owns (by, to) is named by one value as long as that lasts: the
 *         address of what is resized meanwhile, and may move, is none.  A value that is the
 *         id of an object with marks is that object: a struct without any, whose first member
 *         is one, is named by something else.
 *
 * Placement.  Marks that acquire stand after what they mark; marks that release stand before.
 * So the marked hold lies inside the real one, and marks that overlap prove that the program
 * did.  Mark only what was acquired: test for NULL first.
 *
 * Cost.  Nobody attached: one 1-byte and one 6-byte nop, plus what it takes to have the
 * operands in registers.  The compiler can no longer remove an object whose address a mark
 * takes, nor vectorise across a mark: do not mark the inner loop over an array.  Attached:
 * what bscope-trace states in its report.
 *
 * Marks are statements: they may stand alone behind an if.  They preserve all registers and may
 * stand in signal handlers, in inline functions, templates, constructors and destructors.
 *
 * Before the #include: BSCOPE_DISABLE makes all marks vanish, operands unevaluated;
 * BSCOPE_NO_RUNTIME makes marks that need no library, seen by `bscope-trace -m trap` alone;
 * BSCOPE_ALIGNED has a nop more before some marks, so that a jump can light all of them.
 */
#ifndef BSCOPE_BSCOPE_H
#define BSCOPE_BSCOPE_H

#include <bscope/site.h>

/*
 * BSCOPE_NEW(class, id) - an object exists, counted 1.  After acquiring it.
 *
 *	fd = open(path, O_RDONLY);
 *	if (fd >= 0)
 *		BSCOPE_NEW(fd, fd);
 *
 * The id may contain commas: BSCOPE_NEW(map, make_map<int, long>(a, b)).
 */
#define BSCOPE_NEW(klass, ...) BSCOPE_SITE1_NEW(#klass, #__VA_ARGS__, (__VA_ARGS__))

/*
 * BSCOPE_NEW_SIZED(class, id, bytes) - the same, and how big it is.
 *
 *	buf = malloc(n);
 *	if (buf)
 *		BSCOPE_NEW_SIZED(buf, buf, n);
 */
#define BSCOPE_NEW_SIZED(klass, id, bytes) \
	BSCOPE_SITE2(BSCOPE_KIND_NEW, "new", BSCOPE_SITE_SIZED, #klass, #id, id, bytes)

/*
 * BSCOPE_DROP(class, id) - the object is gone.  Before freeing it: afterwards another thread may
 * already have a new one with the same id.  What this thread gives back or drops of its own after
 * that is all right; what other threads have borrowed in its name is not: wait for them first.
 *
 *	BSCOPE_DROP(buf, buf);
 *	free(buf);
 */
#define BSCOPE_DROP(klass, ...) \
	BSCOPE_SITE1(BSCOPE_KIND_DROP, "drop", 0, #klass, #__VA_ARGS__, (__VA_ARGS__))

/*
 * BSCOPE_RESIZE_BEGIN(class, id), BSCOPE_RESIZE_END(class, id, bytes) - the object may move and
 * change its size between the two; same thread, always paired.  Before and after the realloc;
 * the END names the id that holds from now on, the old one where resizing failed.
 *
 *	BSCOPE_RESIZE_BEGIN(buf, b->data);
 *	p = realloc(b->data, n);
 *	if (p) {
 *		b->data = p;
 *		b->size = n;
 *	}
 *	BSCOPE_RESIZE_END(buf, b->data, b->size);
 */
#define BSCOPE_RESIZE_BEGIN(klass, ...)                                                 \
	BSCOPE_SITE1(BSCOPE_KIND_RESIZE_BEGIN, "resize_begin", 0, #klass, #__VA_ARGS__, \
		     (__VA_ARGS__))
#define BSCOPE_RESIZE_END(klass, id, bytes)                                                    \
	BSCOPE_SITE2(BSCOPE_KIND_RESIZE_END, "resize_end", BSCOPE_SITE_SIZED, #klass, #id, id, \
		     bytes)

/*
 * BSCOPE_MOVE(class, id, to) - from now on `to` owns the object: a struct, a queue, a thread.
 * Before `to` can see it.
 *
 *	BSCOPE_MOVE(msg, m, &queue);
 *	queue_push(&queue, m);
 */
#define BSCOPE_MOVE(klass, id, to) BSCOPE_SITE2(BSCOPE_KIND_MOVE, "move", 0, #klass, #id, id, to)

/*
 * BSCOPE_BORROW(class, id, by), BSCOPE_BORROW_MUT(class, id, by) - `by` uses the object, shared
 * or exclusively, until the BSCOPE_UNBORROW.  Nests per `by`.  After getting access.  Locks
 * are borrowed too: shared by readers, exclusively by the writer.
 *
 *	pthread_rwlock_wrlock(&t->lock);
 *	BSCOPE_BORROW_MUT(table, t, pthread_self());
 */
#define BSCOPE_BORROW(klass, id, by) \
	BSCOPE_SITE2(BSCOPE_KIND_BORROW, "borrow", 0, #klass, #id, id, by)
#define BSCOPE_BORROW_MUT(klass, id, by) \
	BSCOPE_SITE2(BSCOPE_KIND_BORROW_MUT, "borrow_mut", 0, #klass, #id, id, by)

/*
 * BSCOPE_UNBORROW(class, id, by) - that use ends.  Before giving access up.
 *
 *	BSCOPE_UNBORROW(table, t, pthread_self());
 *	pthread_rwlock_unlock(&t->lock);
 */
#define BSCOPE_UNBORROW(klass, id, by) \
	BSCOPE_SITE2(BSCOPE_KIND_UNBORROW, "unborrow", 0, #klass, #id, id, by)

/*
 * BSCOPE_RETAIN(class, id), BSCOPE_RELEASE(class, id) - one reference more, one less.  RETAIN
 * after the increment and before the reference is passed on; RELEASE before the decrement.
 * The object is born with a count of 1 and ends with its BSCOPE_DROP.
 *
 *	atomic_fetch_add(&o->refs, 1);
 *	BSCOPE_RETAIN(obj, o);
 *
 *	BSCOPE_RELEASE(obj, o);
 *	if (atomic_fetch_sub(&o->refs, 1) == 1) {
 *		BSCOPE_DROP(obj, o);
 *		free(o);
 *	}
 */
#define BSCOPE_RETAIN(klass, ...) \
	BSCOPE_SITE1(BSCOPE_KIND_RETAIN, "retain", 0, #klass, #__VA_ARGS__, (__VA_ARGS__))
#define BSCOPE_RELEASE(klass, ...) \
	BSCOPE_SITE1(BSCOPE_KIND_RELEASE, "release", 0, #klass, #__VA_ARGS__, (__VA_ARGS__))

/*
 * BSCOPE_USE(class, id, by) - `by` uses the object here.  Before using it.
 *
 *	BSCOPE_USE(conn, c, worker);
 *	send(c->fd, p, n, 0);
 */
#define BSCOPE_USE(klass, id, by) BSCOPE_SITE2(BSCOPE_KIND_USE, "use", 0, #klass, #id, id, by)

/*
 * BSCOPE_REGION_ENTER(class, id), BSCOPE_REGION_EXIT(class, id) - a request, an arena, a scope:
 * what this thread makes in between belongs to it.  First and last.
 *
 *	BSCOPE_REGION_ENTER(request, r);
 *	handle(r);
 *	BSCOPE_REGION_EXIT(request, r);
 */
#define BSCOPE_REGION_ENTER(klass, ...)                                                 \
	BSCOPE_SITE1(BSCOPE_KIND_REGION_ENTER, "region_enter", 0, #klass, #__VA_ARGS__, \
		     (__VA_ARGS__))
#define BSCOPE_REGION_EXIT(klass, ...) \
	BSCOPE_SITE1(BSCOPE_KIND_REGION_EXIT, "region_exit", 0, #klass, #__VA_ARGS__, (__VA_ARGS__))

/*
 * BSCOPE_ENABLED() - whether a tracer is attached to this executable or library: one load and a
 * branch.  Guards operands that are costly to compute; a mark does not need it.
 *
 *	if (BSCOPE_ENABLED())
 *		BSCOPE_NEW_SIZED(tree, t, tree_bytes(t));
 */
#if BSCOPE_HAS_SITES
#define BSCOPE_ENABLED() __builtin_expect(bscope_semaphore != 0, 0)
#else
#define BSCOPE_ENABLED() 0
#endif

/*
 * BSCOPE_NEW_OF(class, expr), BSCOPE_NEW_SIZED_OF(class, expr, bytes) - the value of expr,
 * marked as a new object; the name in reports is the text of expr.  For functions that cannot
 * fail: a NULL would be marked too.
 *
 *	p = BSCOPE_NEW_OF(node, xmalloc(sizeof(*p)));
 */
#if BSCOPE_HAS_SITES
#ifdef __cplusplus
#define BSCOPE_AUTO auto
#else
#define BSCOPE_AUTO __auto_type
#endif
#define BSCOPE_PASTE_(a, b) a##b
#define BSCOPE_PASTE(a, b)  BSCOPE_PASTE_(a, b)
#define BSCOPE_NEW_OF(klass, ...)                                                      \
	BSCOPE_NEW_OF_(BSCOPE_PASTE(bscope_value_, __COUNTER__), #klass, #__VA_ARGS__, \
		       (__VA_ARGS__))
#define BSCOPE_NEW_OF_(v, klass, name, expr)      \
	(__extension__({                          \
		BSCOPE_AUTO v = expr;             \
		BSCOPE_SITE1_NEW(klass, name, v); \
		v;                                \
	}))
#define BSCOPE_NEW_SIZED_OF(klass, expr, bytes) \
	BSCOPE_NEW_SIZED_OF_(BSCOPE_PASTE(bscope_value_, __COUNTER__), #klass, #expr, (expr), bytes)
#define BSCOPE_NEW_SIZED_OF_(v, klass, name, expr, bytes)                                       \
	(__extension__({                                                                        \
		BSCOPE_AUTO v = expr;                                                           \
		BSCOPE_SITE2(BSCOPE_KIND_NEW, "new", BSCOPE_SITE_SIZED, klass, name, v, bytes); \
		v;                                                                              \
	}))
#else
#define BSCOPE_NEW_OF(klass, ...)		(__VA_ARGS__)
#define BSCOPE_NEW_SIZED_OF(klass, expr, bytes) (BSCOPE_UNUSED(bytes), (expr))
#endif

/*
 * BSCOPE_BORROW_SCOPED(class, id, by), BSCOPE_BORROW_MUT_SCOPED(class, id, by),
 * BSCOPE_REGION_SCOPED(class, id) - begin here and end when the block is left, however it is
 * left.  They are declarations: they stand in a block, not behind a bare if.  The end of the
 * block must come before access is given up.
 *
 * C needs, once per file and class and outside of functions, BSCOPE_DECLARE_SCOPED(class): it
 * makes the functions that end the scopes, and reports place the ends there under the name
 * "(scope)".  In C++ it says nothing, and ends bear the place and name of their beginnings.
 *
 *	BSCOPE_DECLARE_SCOPED(table);
 *
 *	int lookup(struct table *t)
 *	{
 *		BSCOPE_BORROW_SCOPED(table, t, pthread_self());
 *		...
 *		return found;
 *	}
 */
#if BSCOPE_HAS_SITES && defined(__cplusplus)
#define BSCOPE_DECLARE_SCOPED(klass) static_assert(true, "")
#define BSCOPE_SCOPED_(n, kind, spelling, end_kind, end_spelling, klass, name, id, by)          \
	struct BSCOPE_PASTE(bscope_scope_, n) {                                                 \
		bscope_word bscope_id, bscope_by;                                               \
		__attribute__((__always_inline__)) ~BSCOPE_PASTE(bscope_scope_, n)()            \
		{                                                                               \
			BSCOPE_SITE2(end_kind, end_spelling, 0, klass, name, bscope_id,         \
				     bscope_by);                                                \
		}                                                                               \
	} BSCOPE_PASTE(bscope_scoped_, n) = {BSCOPE_WORD(id), BSCOPE_WORD(by)};                 \
	BSCOPE_SITE2(kind, spelling, 0, klass, name, BSCOPE_PASTE(bscope_scoped_, n).bscope_id, \
		     BSCOPE_PASTE(bscope_scoped_, n).bscope_by)
#define BSCOPE_SCOPED_REGION_(n, klass, name, id)                                            \
	struct BSCOPE_PASTE(bscope_scope_, n) {                                              \
		bscope_word bscope_id;                                                       \
		__attribute__((__always_inline__)) ~BSCOPE_PASTE(bscope_scope_, n)()         \
		{                                                                            \
			BSCOPE_SITE1(BSCOPE_KIND_REGION_EXIT, "region_exit", 0, klass, name, \
				     bscope_id);                                             \
		}                                                                            \
	} BSCOPE_PASTE(bscope_scoped_, n) = {BSCOPE_WORD(id)};                               \
	BSCOPE_SITE1(BSCOPE_KIND_REGION_ENTER, "region_enter", 0, klass, name,               \
		     BSCOPE_PASTE(bscope_scoped_, n).bscope_id)
#define BSCOPE_BORROW_SCOPED(klass, id, by)                                             \
	BSCOPE_SCOPED_(__COUNTER__, BSCOPE_KIND_BORROW, "borrow", BSCOPE_KIND_UNBORROW, \
		       "unborrow", #klass, #id, id, by)
#define BSCOPE_BORROW_MUT_SCOPED(klass, id, by)                                                 \
	BSCOPE_SCOPED_(__COUNTER__, BSCOPE_KIND_BORROW_MUT, "borrow_mut", BSCOPE_KIND_UNBORROW, \
		       "unborrow", #klass, #id, id, by)
#define BSCOPE_REGION_SCOPED(klass, ...) \
	BSCOPE_SCOPED_REGION_(__COUNTER__, #klass, #__VA_ARGS__, (__VA_ARGS__))

#elif BSCOPE_HAS_SITES
struct bscope_scope {
	bscope_word id, by;
};
#define BSCOPE_SCOPE_END_ static __inline__ __attribute__((__always_inline__, __unused__)) void
#define BSCOPE_DECLARE_SCOPED(klass)                                                               \
	BSCOPE_SCOPE_END_ bscope_unborrow_##klass(const struct bscope_scope *bscope_s)             \
	{                                                                                          \
		BSCOPE_SITE2(BSCOPE_KIND_UNBORROW, "unborrow", 0, #klass, "(scope)", bscope_s->id, \
			     bscope_s->by);                                                        \
	}                                                                                          \
	BSCOPE_SCOPE_END_ bscope_region_exit_##klass(const struct bscope_scope *bscope_s)          \
	{                                                                                          \
		BSCOPE_SITE1(BSCOPE_KIND_REGION_EXIT, "region_exit", 0, #klass, "(scope)",         \
			     bscope_s->id);                                                        \
	}                                                                                          \
	struct bscope_scope
#define BSCOPE_SCOPED_(v, end) struct bscope_scope v __attribute__((__cleanup__(end), __unused__))
#define BSCOPE_BORROW_SCOPED_(v, kind, spelling, end, klass, name, id_, by_) \
	BSCOPE_SCOPED_(v, end) = {BSCOPE_WORD(id_), BSCOPE_WORD(by_)};       \
	BSCOPE_SITE2(kind, spelling, 0, klass, name, v.id, v.by)
#define BSCOPE_REGION_SCOPED_(v, end, klass, name, id_) \
	BSCOPE_SCOPED_(v, end) = {BSCOPE_WORD(id_), 0}; \
	BSCOPE_SITE1(BSCOPE_KIND_REGION_ENTER, "region_enter", 0, klass, name, v.id)
#define BSCOPE_BORROW_SCOPED(klass, id, by)                                                  \
	BSCOPE_BORROW_SCOPED_(BSCOPE_PASTE(bscope_scoped_, __COUNTER__), BSCOPE_KIND_BORROW, \
			      "borrow", bscope_unborrow_##klass, #klass, #id, id, by)
#define BSCOPE_BORROW_MUT_SCOPED(klass, id, by)                                                  \
	BSCOPE_BORROW_SCOPED_(BSCOPE_PASTE(bscope_scoped_, __COUNTER__), BSCOPE_KIND_BORROW_MUT, \
			      "borrow_mut", bscope_unborrow_##klass, #klass, #id, id, by)
#define BSCOPE_REGION_SCOPED(klass, ...)                                 \
	BSCOPE_REGION_SCOPED_(BSCOPE_PASTE(bscope_scoped_, __COUNTER__), \
			      bscope_region_exit_##klass, #klass, #__VA_ARGS__, (__VA_ARGS__))

#else /* no sites */
#ifdef __cplusplus
#define BSCOPE_DECLARE_SCOPED(klass) static_assert(true, "")
#else
#define BSCOPE_DECLARE_SCOPED(klass) struct bscope_scope
#endif
#define BSCOPE_BORROW_SCOPED(klass, id, by)	(BSCOPE_UNUSED(id), BSCOPE_UNUSED(by))
#define BSCOPE_BORROW_MUT_SCOPED(klass, id, by) (BSCOPE_UNUSED(id), BSCOPE_UNUSED(by))
#define BSCOPE_REGION_SCOPED(klass, ...)	BSCOPE_UNUSED((__VA_ARGS__))
#endif

/*
 * bscope_flush() - hands what this thread has recorded to whoever is attached, now.  Tools look
 * some times a second by themselves; this is for a thread that is about to take its memory with
 * it: before execve, before _exit of the last thread.  Does nothing when nobody is attached.  Safe
 * in signal handlers, but not a mark: it does not preserve registers.
 */
#if BSCOPE_HAS_SITES && !defined(BSCOPE_NO_RUNTIME)
#ifdef __cplusplus
extern "C" {
#endif
void bscope_flush(void);
#ifdef __cplusplus
}
#endif
#else
#define bscope_flush() ((void)0)
#endif

#endif /* BSCOPE_BSCOPE_H */
