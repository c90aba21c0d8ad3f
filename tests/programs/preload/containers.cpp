// SPDX-License-Identifier: GPL-2.0-only
/*
 * containers.cpp - C++: new and delete in all their forms, containers, shared objects,
 * exceptions and threads, with an account kept by the allocator that the containers use.
 *
 * Usage: containers ROUNDS; see family.c.
 */
#include <atomic>
#include <cstdlib>
#include <list>
#include <map>
#include <memory>
#include <new>
#include <string>
#include <thread>
#include <unordered_map>
#include <vector>

#include "tally.h"

static std::atomic<unsigned long> made, dropped, bytes_now;

static void *keep(void *p)
{
	__asm__ volatile("" : "+r"(p) : : "memory");
	return p;
}

template <class T> struct counted {
	using value_type = T;
	counted() = default;
	template <class U> counted(const counted<U> &)
	{
	}
	T *allocate(std::size_t n)
	{
		made++;
		bytes_now += n * sizeof(T);
		return static_cast<T *>(keep(::operator new(n * sizeof(T))));
	}
	void deallocate(T *p, std::size_t n)
	{
		dropped++;
		bytes_now -= n * sizeof(T);
		::operator delete(keep(p));
	}
	template <class U> bool operator==(const counted<U> &) const
	{
		return true;
	}
	template <class U> bool operator!=(const counted<U> &) const
	{
		return false;
	}
};

struct alignas(128) wide {
	char c[256];
};

struct plain {
	int a[10];
	virtual ~plain() = default;
};

template <class T> using vec = std::vector<T, counted<T>>;
using text = std::basic_string<char, std::char_traits<char>, counted<char>>;

static vec<text> *left; /* never deleted */

static void work(unsigned long rounds, unsigned seed)
{
	std::map<int, text, std::less<int>, counted<std::pair<const int, text>>> tree;
	std::unordered_map<int, int, std::hash<int>, std::equal_to<int>,
			   counted<std::pair<const int, int>>>
		hash;
	std::list<plain, counted<plain>> list;

	for (unsigned long i = 0; i < rounds; i++) {
		plain *one = new plain;
		char *many = new char[i % 300];
		wide *w = new wide;
		char *quiet = new (std::nothrow) char[i % 70];

		made += 4;
		keep(one);
		keep(many);
		keep(w);
		keep(quiet);
		delete one;
		delete[] many;
		delete w;
		delete[] quiet;
		dropped += 4;

		tree[static_cast<int>(i * seed % 61)].append(40 + i % 50, 'x');
		hash[static_cast<int>(i)] = 1;
		list.emplace_back();
		if (i % 3 == 0)
			list.pop_front();
		auto shared = std::allocate_shared<plain>(counted<plain>());
		auto again = shared;

		/* An exception in flight is one block of the C++ library. */
		try {
			if (i % 5 == 0) {
				made++;
				dropped++;
				throw static_cast<int>(i);
			}
		} catch (int) {
		}
	}
}

int main(int argc, char **argv)
{
	unsigned long rounds = argc > 1 ? std::strtoul(argv[1], nullptr, 10) : 100;
	struct tally t = {};

	std::thread a(work, rounds, 3u), b(work, rounds, 5u);
	a.join();
	b.join();
	if (bytes_now != 0)
		std::abort();

	if (rounds) {
		left = new vec<text>;
		made++;
		t.left_bytes += sizeof(*left);
		for (unsigned long i = 0; i < rounds; i++)
			left->emplace_back(20 + i, 'y');
	}
	t.made = made;
	t.dropped = dropped;
	t.left = made - dropped;
	t.left_bytes += bytes_now;
	tally_print(&t);
	return 0;
}
