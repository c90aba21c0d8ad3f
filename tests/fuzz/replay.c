// SPDX-License-Identifier: GPL-2.0-only
/*
 * replay.c - runs a fuzz harness over its corpus, without libFuzzer: a crash that was found
 * once stays found.  Prints TAP.
 *
 * usage: replay_NAME [DIRECTORY]
 */
#include <dirent.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static int run(const char *path)
{
	size_t room = 1 << 20, size;
	uint8_t *data = malloc(room), *exact;
	FILE *f = fopen(path, "rb");

	if (!f || !data)
		return -1;
	size = fread(data, 1, room, f);
	fclose(f);
	/* No room behind the last byte, so that a sanitizer or valgrind sees a step too far. */
	exact = malloc(size ? size : 1);
	if (!exact)
		return -1;
	memcpy(exact, data, size);
	LLVMFuzzerTestOneInput(exact, size);
	free(exact);
	free(data);
	return 0;
}

static int visible(const struct dirent *d)
{
	return d->d_name[0] != '.';
}

int main(int argc, char **argv)
{
	const char *dir = argc > 1 ? argv[1] : CORPUS;
	struct dirent **list;
	int n = scandir(dir, &list, visible, alphasort), failed = 0;

	if (n <= 0) {
		printf("Bail out! no corpus in %s\n", dir);
		return 1;
	}
	printf("1..%d\n", n);
	for (int i = 0; i < n; i++) {
		char path[4096];

		snprintf(path, sizeof(path), "%s/%s", dir, list[i]->d_name);
		fflush(stdout);
		if (run(path)) {
			printf("not ok %d - %s cannot be read\n", i + 1, list[i]->d_name);
			failed = 1;
		} else {
			printf("ok %d - %s\n", i + 1, list[i]->d_name);
		}
		free(list[i]);
	}
	free(list);
	return failed;
}
