// SPDX-License-Identifier: GPL-2.0-only
/*
 * sites.cc - a C++ program of sites for the probe proof; see shared.h and sites.c.
 */
#include <memory>
#include <utility>
// clang-format off: what a line must leave behind stands on that line
#include "shared.h"

BSCOPE_DECLARE_SCOPED(net::buf);

namespace net
{
struct buf {
	long n;

	explicit buf(long size) : n(size)
	{
		BSCOPE_NEW_SIZED(net::buf, this, size); //@ new:net::buf:2:1:this
	}
	buf(const buf &) = delete;
	buf &operator=(const buf &) = delete;
	virtual ~buf()
	{
		BSCOPE_DROP(net::buf, this); //@ drop:net::buf:1:0:this
	}
	long use(const void *by) const
	{
		BSCOPE_USE(net::buf, this, by); //@ use:net::buf:2:0:this
		return n;
	}
	virtual void reset()
	{
		BSCOPE_RESIZE_BEGIN(net::buf, this); //@ resize_begin:net::buf:1:0:this
		n = 0;
		BSCOPE_RESIZE_END(net::buf, this, 0); //@ resize_end:net::buf:2:1:this
	}
};

template <typename T> struct holder {
	T *p;

	explicit holder(T *q) : p(q)
	{
		BSCOPE_RETAIN(holder<T>, p); //@ retain:holder<T>:1:0:p
	}
	~holder()
	{
		BSCOPE_RELEASE(holder<T>, p); //@ release:holder<T>:1:0:p
	}
};

template <typename A, typename B> A *make(B b)
{
	return reinterpret_cast<A *>(number(b, "make"));
}
} // namespace net

enum class color : unsigned char { red, green = 200 };

template <int N> struct table {
	static long at(struct obj *o)
	{
		BSCOPE_USE(table<N>, o, N); //@ use:table<N>:2:0:o
		return o->data[N];
	}
};

extern "C" {
void reg_new(struct obj *o)
{
	BSCOPE_NEW(conn, o); //@ new:conn:1:0:o
}

long reg_method(const net::buf *b)
{
	return b->use(nullptr) * 5;
}

long reg_template(struct obj *o)
{
	return table<3>::at(o) + table<4>::at(o) * table<5>::at(o);
}

void reg_constants()
{
	BSCOPE_NEW(e, color::green); //@ new:e:1:0:color::green
	BSCOPE_MOVE(e, nullptr, true); //@ move:e:2:0:nullptr
	BSCOPE_USE(e, 0xfedcba9876543210u, -5); //@ use:e:2:0:0xfedcba9876543210u
}

long arg_branch(struct obj *o, const void *by)
{
	if (o->refs)
		BSCOPE_BORROW(obj, o, by); //@ borrow:obj:2:0:o
	else
		BSCOPE_UNBORROW(obj, o, by); //@ unborrow:obj:2:0:o
	return reinterpret_cast<long>(o->next);
}

void arg_commas(struct obj *o)
{
	BSCOPE_NEW(pair, net::make<std::pair<int, long>, struct obj *>(o)); //@ new:pair:1:0:net::make<std::pair<int, long>, struct obj *>(o)
	BSCOPE_MOVE(pair, (net::make<int, struct obj *>(o)), o); //@ move:pair:2:0:(net::make<int, struct obj *>(o))
}

void mem_destructor(struct obj *o)
{
	net::buf b(4);

	sink(o);
	sink(&b);
}

void mem_holder(struct obj *o, net::buf *b)
{
	net::holder<struct obj> h(o);
	net::holder<net::buf> g(b);

	sink(o);
}

void mem_lambda(struct obj *o)
{
	auto f = [o](long n) {
		BSCOPE_MOVE(obj, o, n); //@ move:obj:2:0:o
		sink(o);
	};
	f(1);
	f(o->refs);
}

void mem_throw(struct obj *o)
{
	net::buf *b = new net::buf(o->refs);

	try {
		if (o->refs == 3)
			throw 4;
		sink(b);
	} catch (int) {
		BSCOPE_USE(caught, o, b); //@ use:caught:2:0:o
	}
	delete b;
}

void arg_unique(struct obj *o)
{
	std::unique_ptr<net::buf> p(new net::buf(2));

	BSCOPE_MOVE(net::buf, p.get(), o); //@ move:net::buf:2:0:p.get()
	p->reset();
}

long mem_scoped(net::buf *b, const void *by)
{
	BSCOPE_BORROW_SCOPED(net::buf, b, by); //@ borrow:net::buf:2:0:b @@ unborrow:net::buf:2:0:b
	BSCOPE_BORROW_MUT_SCOPED(net::buf, b + 1, by); //@ borrow_mut:net::buf:2:0:b + 1 @@ unborrow:net::buf:2:0:b + 1
	if (b->n) {
		BSCOPE_REGION_SCOPED(request, b); //@ region_enter:request:1:0:b @@ region_exit:request:1:0:b
		sink(b);
	}
	return b->n;
}

void *arg_value(struct obj *o, size_t n)
{
	auto *p = BSCOPE_NEW_OF(node, net::make<int, struct obj *>(o)); //@ new:node:1:0:net::make<int, struct obj *>(o)

	return BSCOPE_NEW_SIZED_OF(node, p + n, n); //@ new:node:2:1:p + n
}

void arg_text(struct obj *o)
{
	BSCOPE_DROP(text, number(o, R"({"%d"|\})")); //@ drop:text:1:0:number(o, R"({"%d"|\})")
	BSCOPE_NEW(text, number(o, "%d %% %[a] {a|b} \"\\ ' ;#$")); //@ new:text:1:0:number(o, "%d %% %[a] {a|b} \"\\ ' ;#$")
}

void icf_one(struct obj *o)
{
	BSCOPE_DROP(one, o); //@ drop:one:1:0:o
	sink(o->next);
}

void icf_two(struct obj *o)
{
	BSCOPE_DROP(two, o); //@ drop:two:1:0:o
	sink(o->next);
}

void icf_plain_one(struct obj *o)
{
	sink(o->data);
}

void icf_plain_two(struct obj *o)
{
	sink(o->data);
}

#line 100001 "odd %s %%d {a|b} %[x] \\ file.cc"
void reg_file(struct obj *o)
{
	BSCOPE_NEW(file, o); //@ new:file:1:0:o
}

#line 1 "tests/proof/sites.cc"
typedef void (*any_function)();
#define F(f) reinterpret_cast<any_function>(f)
extern any_function volatile functions[];
any_function volatile functions[] = {
	F(reg_new), F(reg_method), F(reg_template), F(reg_constants), F(arg_branch), F(arg_commas),
	F(mem_destructor), F(mem_holder), F(mem_lambda), F(mem_throw), F(arg_unique), F(mem_scoped),
	F(arg_value), F(arg_text), F(icf_one), F(icf_two), F(icf_plain_one), F(icf_plain_two),
	F(reg_file), F((net::make<std::pair<int, long>, struct obj *>)),
	F((net::make<int, struct obj *>)),
};
}
