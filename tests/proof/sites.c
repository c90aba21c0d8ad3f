// SPDX-License-Identifier: GPL-2.0-only
/*
 * sites.c - a C program of sites for the probe proof; shared.h says what the comments mean.
 *
 * Functions named reg_* have what their sites name in registers anyway: optimised, they must
 * differ from a build without sites by the nops alone.  mem_*: the sites need instructions to
 * have their operands in registers.  arg_*: a build without sites does not compute the operands,
 * or loses the object altogether.
 */
// clang-format off: what a line must leave behind stands on that line
#include "shared.h"

BSCOPE_DECLARE_SCOPED(table); //@ unborrow:table:2:0:(scope) @@ region_exit:table:1:0:(scope)

enum color { RED, GREEN = 0x7fffffff };
#define conn a_macro_named_like_a_class

void reg_new(struct obj *o)
{
	BSCOPE_NEW(conn, o); //@ new:conn:1:0:o
}

void reg_new_sized(struct obj *o, size_t n)
{
	BSCOPE_NEW_SIZED(conn, o, n); //@ new:conn:2:1:o
}

void reg_three(void *p, size_t n, void *caller)
{
	BSCOPE_SITE3(BSCOPE_KIND_NEW, "new", 3u, "malloc", "p", p, n, caller); //@ new:malloc:3:3:p
	BSCOPE_SITE3(BSCOPE_KIND_RESIZE_END, "resize_end", 3u, "malloc", "q", n, caller, p); //@ resize_end:malloc:3:3:q
	sink(p);
}

void reg_drop(struct obj *o)
{
	BSCOPE_DROP(conn, o); //@ drop:conn:1:0:o
	sink(o);
}

void reg_resize(struct obj *o, size_t n)
{
	BSCOPE_RESIZE_BEGIN(buf, o);  //@ resize_begin:buf:1:0:o
	BSCOPE_RESIZE_END(buf, o, n); //@ resize_end:buf:2:1:o
}

long reg_leaf(struct obj *o, void *by, long k)
{
	long a = o->refs * k;

	BSCOPE_BORROW(obj, o, by); //@ borrow:obj:2:0:o
	a += o->data[3];
	BSCOPE_UNBORROW(obj, o, by); //@ unborrow:obj:2:0:o
	BSCOPE_BORROW_MUT(obj, o, k); //@ borrow_mut:obj:2:0:o
	return a ^ k;
}

long reg_list(struct obj *head)
{
	long n = 0;

	for (struct obj *o = head; o; o = o->next) {
		BSCOPE_USE(obj, o, o); //@ use:obj:2:0:o
		n += o->refs;
	}
	return n;
}

void reg_count(struct obj *o)
{
	shared_get(o);
	sink(o);
	shared_put(o);
}

long reg_inlined(struct obj *o)
{
	return shared_refs(o) * 3;
}

/* A branch around nothing but marks goes with them. */
void arg_branch(struct obj *o, void *to)
{
	if (o->refs > 1)
		BSCOPE_MOVE(obj, o, to); //@ move:obj:2:0:o
	else
		BSCOPE_DROP(obj, o); //@ drop:obj:1:0:o
	sink(to);
}

long mem_inlined(struct obj *o)
{
	return shared_refs(o) + shared_refs(o->next);
}

void reg_branch(struct obj *o, void *to)
{
	if (o->refs > 1) {
		BSCOPE_MOVE(obj, o, to); //@ move:obj:2:0:o
		sink(to);
	} else {
		BSCOPE_DROP(obj, o); //@ drop:obj:1:0:o
		number(o, NULL);
	}
}

void mem_region(long id)
{
	BSCOPE_REGION_ENTER(request, id); //@ region_enter:request:1:0:id
	sink((void *)id);
	BSCOPE_REGION_EXIT(request, id); //@ region_exit:request:1:0:id
}

void reg_constants(void)
{
	BSCOPE_NEW(k, 0x123456789abcdef0);	    //@ new:k:1:0:0x123456789abcdef0
	BSCOPE_NEW_SIZED(k, GREEN, ~0ull);	    //@ new:k:2:1:GREEN
	BSCOPE_MOVE(k, -1, 0x80000000);		    //@ move:k:2:0:-1
	BSCOPE_BORROW(k, INT64_MIN, INT64_MAX - 1); //@ borrow:k:2:0:INT64_MIN
	BSCOPE_USE(k, 1 == 1, sizeof(struct obj));  //@ use:k:2:0:1 == 1
	BSCOPE_DROP(k, NULL);			    //@ drop:k:1:0:NULL
}

void reg_same_line(struct obj *o, struct obj *p)
{
	BSCOPE_DROP(a, o); BSCOPE_DROP(b, p); BSCOPE_NEW(a, p); //@ drop:a:1:0:o @@ drop:b:1:0:p @@ new:a:1:0:p
}

/* Small enough to be inlined into both of its callers. */
static long passed(struct obj *o, void *by)
{
	BSCOPE_BORROW(pass, o, by); //@ borrow:pass:2:0:o
	o->refs++;
	BSCOPE_UNBORROW(pass, o, by); //@ unborrow:pass:2:0:o
	return o->refs;
}

long mem_pass_one(struct obj *o, void *by)
{
	return passed(o, by) * 3;
}

long mem_pass_two(struct obj *o, void *by)
{
	return passed(o, by) * 5;
}

void mem_array(void)
{
	char local[40] = "";

	BSCOPE_NEW(array, local); //@ new:array:1:0:local
	sink(local);
	BSCOPE_DROP(array, &local[8]); //@ drop:array:1:0:&local[8]
}

void mem_vla(int n)
{
	char vla[n];

	vla[0] = 0;
	BSCOPE_NEW_SIZED(vla, vla, sizeof(vla)); //@ new:vla:2:1:vla
	sink(vla);
}

void mem_symbols(void)
{
	static int counter;

	BSCOPE_NEW(static, &counter);	    //@ new:static:1:0:&counter
	BSCOPE_NEW(function, reg_new);	    //@ new:function:1:0:reg_new
	BSCOPE_MOVE(extern, sink, &number); //@ move:extern:2:0:sink
	BSCOPE_USE(string, "text", "{a|b}"); //@ use:string:2:0:"text"
}

void mem_widths(signed char c, unsigned short s, int fd, enum color e, _Bool b, struct obj *o)
{
	BSCOPE_NEW(fd, fd);			//@ new:fd:1:0:fd
	BSCOPE_NEW_SIZED(chars, c, s);		//@ new:chars:2:1:c
	BSCOPE_MOVE(enums, e, b);		//@ move:enums:2:0:e
	BSCOPE_BORROW(bits, o->flags, o->next); //@ borrow:bits:2:0:o->flags
}

void arg_text(struct obj *o)
{
	BSCOPE_NEW(text, number(o, "%d %% %[a] {a|b} \"\\ ' ;#$")); //@ new:text:1:0:number(o, "%d %% %[a] {a|b} \"\\ ' ;#$")
	BSCOPE_DROP(text, (o->refs % 3)); //@ drop:text:1:0:(o->refs % 3)
}

void *arg_value(struct obj *o, size_t n)
{
	void *p = BSCOPE_NEW_OF(node, (void *)number(o, "a")); //@ new:node:1:0:(void *)number(o, "a")

	return BSCOPE_NEW_SIZED_OF(node, (char *)p + n, n); //@ new:node:2:1:(char *)p + n
}

long mem_scoped(struct obj *o, void *by)
{
	BSCOPE_BORROW_SCOPED(table, o->next, by); //@ borrow:table:2:0:o->next
	BSCOPE_BORROW_MUT_SCOPED(table, o, by);	  //@ borrow_mut:table:2:0:o
	if (o->refs) {
		BSCOPE_REGION_SCOPED(table, o); //@ region_enter:table:1:0:o
		sink(o);
	}
	return o->refs;
}

/* The same instructions but for their sites: folding them would lie about the class. */
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

#line 100000
void reg_line(struct obj *o)
{
	BSCOPE_NEW(line, o); //@ new:line:1:0:o
#line 16777215
	BSCOPE_DROP(line, o); //@ drop:line:1:0:o
#line 2000000000
	BSCOPE_USE(line, o, o); //@ use:line:2:0:o
}

#line 70 "odd %s %%d {a|b} %[x] \\ file.c"
void reg_file(struct obj *o)
{
	BSCOPE_NEW(file, o); //@ new:file:1:0:o
}

#line 1 "tests/proof/sites.c"
typedef void (*any_function)(void);
#define F(f) (any_function)f
any_function volatile functions[] = {
	F(reg_new), F(reg_new_sized), F(reg_three), F(reg_drop), F(reg_resize), F(reg_leaf),
	F(reg_list), F(reg_count), F(reg_inlined), F(reg_branch), F(arg_branch), F(mem_inlined), F(mem_region), F(reg_constants),
	F(reg_same_line), F(mem_pass_one), F(mem_pass_two), F(mem_array), F(mem_vla), F(mem_symbols), F(mem_widths), F(arg_text),
	F(arg_value), F(mem_scoped), F(icf_one), F(icf_two), F(icf_plain_one), F(icf_plain_two),
	F(reg_line), F(reg_file),
};
