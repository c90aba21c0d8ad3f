/* SPDX-License-Identifier: GPL-2.0-only */
/*
 * ok_shared_ptr.cc - a shared pointer of one's own with an atomic count, copied into threads, moved
 * out of them, and dropped by the last.
 *
 * expect: nothing
 */
#include <atomic>
#include <thread>
#include <utility>
#include <vector>

#include "common.h"

namespace
{

template <typename T> class Shared
{
	struct Node {
		std::atomic<int> refs{1};
		T value{};
	};

      public:
	Shared() : node(new Node)
	{
		BSCOPE_NEW_SIZED(shared, node, sizeof(*node));
	}
	Shared(const Shared &other) : node(other.node)
	{
		if (!node)
			return;
		node->refs.fetch_add(1);
		BSCOPE_RETAIN(shared, node);
	}
	Shared(Shared &&other) noexcept : node(std::exchange(other.node, nullptr))
	{
	}
	Shared &operator=(const Shared &) = delete;
	~Shared()
	{
		if (!node)
			return;
		BSCOPE_RELEASE(shared, node);
		if (node->refs.fetch_sub(1) > 1)
			return;
		BSCOPE_DROP(shared, node);
		delete node;
	}
	void use() const
	{
		BSCOPE_USE(shared, node, this);
	}

      private:
	Node *node;
};

} // namespace

int main()
{
	wait_for_go();
	for (int round = 0; round < 20; round++) {
		std::vector<std::thread> threads;
		{
			Shared<long> shared;
			for (int i = 0; i < 4; i++)
				threads.emplace_back([mine = shared] {
					for (int k = 0; k < 20; k++) {
						Shared<long> copy(mine);
						Shared<long> moved(std::move(copy));
						moved.use();
					}
				});
		}
		for (std::thread &thread : threads)
			thread.join();
	}
	return 0;
}
