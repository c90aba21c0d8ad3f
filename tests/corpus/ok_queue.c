/* SPDX-License-Identifier: GPL-2.0-only */
/*
 * ok_queue.c - messages go through a queue from two producers to two consumers, each used by whose
 * it is, and the queue is destroyed when it is empty.
 *
 * expect: nothing
 */
#include "common.h"

#define EACH 200

struct msg {
	struct msg *next;
};

static struct queue {
	pthread_mutex_t lock;
	pthread_cond_t filled;
	struct msg *first;
	int expected;
} queue = {PTHREAD_MUTEX_INITIALIZER, PTHREAD_COND_INITIALIZER, NULL, 2 * EACH};

static void *produce(void *arg)
{
	for (int i = 0; i < EACH; i++) {
		struct msg *m = malloc(sizeof(*m));

		if (!m)
			abort();
		BSCOPE_NEW_SIZED(msg, m, sizeof(*m));
		BSCOPE_USE(msg, m, pthread_self());
		pthread_mutex_lock(&queue.lock);
		BSCOPE_MOVE(msg, m, &queue);
		m->next = queue.first;
		queue.first = m;
		pthread_cond_signal(&queue.filled);
		pthread_mutex_unlock(&queue.lock);
	}
	return arg;
}

static struct msg *pull(void)
{
	struct msg *m;

	pthread_mutex_lock(&queue.lock);
	while (!queue.first && queue.expected)
		pthread_cond_wait(&queue.filled, &queue.lock);
	m = queue.first;
	if (m) {
		queue.first = m->next;
		queue.expected--;
		BSCOPE_MOVE(msg, m, pthread_self());
	}
	if (!queue.expected)
		pthread_cond_broadcast(&queue.filled);
	pthread_mutex_unlock(&queue.lock);
	return m;
}

static void *consume(void *arg)
{
	struct msg *m;

	while ((m = pull())) {
		BSCOPE_USE(msg, m, pthread_self());
		BSCOPE_DROP(msg, m);
		free(m);
	}
	return arg;
}

int main(void)
{
	pthread_t threads[4];

	wait_for_go();
	BSCOPE_NEW(queue, &queue);
	for (int i = 0; i < 4; i++)
		threads[i] = spawn(i % 2 ? produce : consume, NULL);
	for (int i = 0; i < 4; i++)
		join(threads[i]);
	BSCOPE_DROP(queue, &queue);
	return 0;
}
