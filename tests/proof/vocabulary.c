// SPDX-License-Identifier: GPL-2.0-only
/*
 * vocabulary.c - every word of the vocabulary, in C99 to C23 and C++11 to C++20: compiled alone,
 * with warnings as errors, and linked for its size.
 */
#include <bscope/bscope.h>

BSCOPE_DECLARE_SCOPED(table);
BSCOPE_DECLARE_SCOPED(lock);

struct conn {
	int fd;
	struct conn *next;
	unsigned bits : 5;
};
enum mood { GOOD, BAD = -1 };

extern struct conn *get(int n);
extern const volatile struct conn *look(const volatile void *p);
void everything(struct conn *c, unsigned long n, const void *by, enum mood m);
int scopes(struct conn *c);
struct conn *values(unsigned long n);
void operands(const struct conn *c, signed char small, void (*f)(void), long long wide);
int alone(int a, struct conn *c);

void everything(struct conn *c, unsigned long n, const void *by, enum mood m)
{
	int only_marked = 1;

	BSCOPE_NEW(conn, c);
	BSCOPE_NEW_SIZED(conn, c, n);
	BSCOPE_DROP(conn, c);
	BSCOPE_RESIZE_BEGIN(conn, c);
	BSCOPE_RESIZE_END(conn, c, sizeof(*c));
	BSCOPE_MOVE(conn, c, by);
	BSCOPE_BORROW(conn, c, by);
	BSCOPE_BORROW_MUT(conn, c, by);
	BSCOPE_UNBORROW(conn, c, by);
	BSCOPE_RETAIN(conn, c);
	BSCOPE_RELEASE(conn, c);
	BSCOPE_USE(conn, c, m);
	BSCOPE_REGION_ENTER(request, only_marked);
	BSCOPE_REGION_EXIT(request, only_marked);
	if (BSCOPE_ENABLED())
		BSCOPE_NEW(costly, get(3));
}

int scopes(struct conn *c)
{
	BSCOPE_BORROW_SCOPED(table, c->next, 3);
	BSCOPE_BORROW_MUT_SCOPED(lock, c, c);
	for (int i = 0; i < 3; i++) {
		BSCOPE_REGION_SCOPED(lock, i);
		if (get(i) == c)
			return i;
	}
	return 4;
}

struct conn *values(unsigned long n)
{
	struct conn *c = BSCOPE_NEW_OF(conn, get(1));

	c->next = BSCOPE_NEW_SIZED_OF(conn, get(2), n);
	return BSCOPE_NEW_OF(conn, BSCOPE_NEW_OF(conn, get(3)));
}

void operands(const struct conn *c, signed char small, void (*f)(void), long long wide)
{
	char array[10];

	BSCOPE_NEW(array, array);
	BSCOPE_NEW(member, &c->fd);
	BSCOPE_NEW(bits, c->bits);
	BSCOPE_NEW(function, f);
	BSCOPE_NEW(function, operands);
	BSCOPE_NEW(volatile, look(c));
	BSCOPE_MOVE(number, small, wide);
	BSCOPE_MOVE(number, 0, BAD);
	BSCOPE_USE(number, 0x123456789abcdef0u, -1);
	BSCOPE_USE(number, 'c', "text");
	BSCOPE_USE(choice, small ? c : c->next, 1 + 2);
#ifdef __cplusplus
	enum class color { red, blue };
	const struct conn &r = *c;

	BSCOPE_USE(net::color, color::blue, nullptr);
	BSCOPE_USE(net::conn, &r, true);
#endif
}

/* Marks are statements and may stand alone. */
int alone(int a, struct conn *c)
{
	if (a)
		BSCOPE_RETAIN(conn, c);
	else
		BSCOPE_RELEASE(conn, c);
	while (a--)
		BSCOPE_USE(conn, c, a);
	switch (c->fd) {
	case 1:
		BSCOPE_DROP(conn, c);
		break;
	default:
		BSCOPE_MOVE(conn, c, 1);
	}
	return c->fd;
}
