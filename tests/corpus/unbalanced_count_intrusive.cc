/* SPDX-License-Identifier: GPL-2.0-only */
/*
 * unbalanced_count_intrusive.cc - the assignment of an intrusive pointer retains the new object and
 * does not release the old one, which is deleted at the end by who made it.
 *
 * expect: unbalanced-count node at=@drop since=@new count=2
 */
#include "common.h"

namespace
{

template <int kind> struct Node {
	int refs = 1;
	Node()
	{
		BSCOPE_NEW(node, this); // @new
	}
	~Node()
	{
		BSCOPE_DROP(node, this); // @drop
	}
	void retain()
	{
		++refs;
		BSCOPE_RETAIN(node, this);
	}
	void release()
	{
		BSCOPE_RELEASE(node, this);
		--refs;
	}
};

template <typename T> class Ref
{
      public:
	explicit Ref(T &object) : to(&object)
	{
		to->retain();
	}
	~Ref()
	{
		to->release();
	}
	Ref(const Ref &) = delete;
	Ref &operator=(const Ref &other)
	{
		other.to->retain();
		to = other.to;
		return *this;
	}

      private:
	T *to;
};

template <typename T> void assign()
{
	T old, young;
	{
		Ref<T> a(old), b(young);
		a = b;
	}
	old.release();
	young.release();
}

} // namespace

int main()
{
	wait_for_go();
	assign<Node<1>>();
	assign<Node<2>>();
	return 0;
}
