/* SPDX-License-Identifier: GPL-2.0-only */
/*
 * ok_task_queue.cc - workers take tasks from a queue under a condition variable; each task runs in
 * a region of its worker, and makes results that it hands on.
 *
 * expect: nothing
 */
#include <condition_variable>
#include <deque>
#include <memory>
#include <mutex>
#include <thread>
#include <vector>

#include "common.h"

namespace
{

struct Result {
	Result()
	{
		BSCOPE_NEW(result, this);
	}
	~Result()
	{
		BSCOPE_DROP(result, this);
	}
};

struct Task {
	Task()
	{
		BSCOPE_NEW(task, this);
	}
	~Task()
	{
		BSCOPE_DROP(task, this);
	}
};

std::mutex mutex;
std::condition_variable changed;
std::deque<std::unique_ptr<Task>> tasks;
std::vector<std::unique_ptr<Result>> results;
bool closed;

std::unique_ptr<Task> next(const void *worker)
{
	std::unique_lock hold(mutex);

	changed.wait(hold, [] { return closed || !tasks.empty(); });
	if (tasks.empty())
		return nullptr;
	auto task = std::move(tasks.front());
	tasks.pop_front();
	BSCOPE_MOVE(task, task.get(), worker);
	return task;
}

void run(Task *task, const void *worker)
{
	BSCOPE_REGION_SCOPED(task, task);
	BSCOPE_USE(task, task, worker);
	Result scratch;
	auto result = std::make_unique<Result>();

	std::lock_guard hold(mutex);
	BSCOPE_MOVE(result, result.get(), &results);
	results.push_back(std::move(result));
}

void work()
{
	char worker;

	while (auto task = next(&worker))
		run(task.get(), &worker);
}

} // namespace

int main()
{
	std::vector<std::thread> workers;

	wait_for_go();
	for (int i = 0; i < 3; i++)
		workers.emplace_back(work);
	for (int i = 0; i < 100; i++) {
		auto task = std::make_unique<Task>();
		std::lock_guard hold(mutex);
		BSCOPE_MOVE(task, task.get(), &tasks);
		tasks.push_back(std::move(task));
		changed.notify_one();
	}
	{
		std::lock_guard hold(mutex);
		closed = true;
		changed.notify_all();
	}
	for (std::thread &worker : workers)
		worker.join();
	return results.size() != 100;
}
