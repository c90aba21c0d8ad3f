/* SPDX-License-Identifier: GPL-2.0-only */
/*
 * drop_while_borrowed_reader.c - a document is closed while a thread prints it.
 *
 * expect: drop-while-borrowed doc at=@close since=@print count=2
 */
#include "common.h"

static int documents[2];
static sem_t printing, closed;

static void *print(void *arg)
{
	for (int i = 0; i < 2; i++) {
		BSCOPE_BORROW(doc, &documents[i], print); /* @print */
		pass(&printing);
		take(&closed);
		BSCOPE_UNBORROW(doc, &documents[i], print);
	}
	return arg;
}

int main(void)
{
	pthread_t thread;

	sem_init(&printing, 0, 0);
	sem_init(&closed, 0, 0);
	wait_for_go();
	for (int i = 0; i < 2; i++)
		BSCOPE_NEW(doc, &documents[i]);
	thread = spawn(print, NULL);
	for (int i = 0; i < 2; i++) {
		take(&printing);
		BSCOPE_DROP(doc, &documents[i]); /* @close */
		pass(&closed);
	}
	join(thread);
	return 0;
}
