/* SPDX-License-Identifier: GPL-2.0-only */
/*
 * ok_members.cc - a destructor marks its object before its members and bases are destroyed: they go
 * a little later than their owner, but they go.  Base and derived have one address and two classes.
 *
 * expect: nothing
 */
#include <memory>
#include <vector>

#include "common.h"

namespace
{

struct Part {
	explicit Part(const void *owner)
	{
		BSCOPE_NEW(part, this);
		BSCOPE_MOVE(part, this, owner);
	}
	~Part()
	{
		BSCOPE_DROP(part, this);
	}
};

struct Base {
	Base()
	{
		BSCOPE_NEW(base, this);
	}
	virtual ~Base()
	{
		BSCOPE_DROP(base, this);
	}
};

struct Whole : Base {
	Part first{this};
	std::unique_ptr<Part> second = std::make_unique<Part>(this);
	std::vector<std::unique_ptr<Part>> rest;
	explicit Whole(int n)
	{
		BSCOPE_NEW(whole, this);
		while (n--)
			rest.push_back(std::make_unique<Part>(this));
	}
	~Whole() override
	{
		BSCOPE_DROP(whole, this);
	}
};

} // namespace

int main()
{
	wait_for_go();
	for (int i = 0; i < 5; i++) {
		Whole local(i);
		std::unique_ptr<Base> heap = std::make_unique<Whole>(i);
	}
	return 0;
}
