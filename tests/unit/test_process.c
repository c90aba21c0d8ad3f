// SPDX-License-Identifier: GPL-2.0-only
/* test_process.c - /proc: real processes in odd states, and text that lies. */
#define _GNU_SOURCE
#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <linux/capability.h>
#include <pthread.h>
#include <sched.h>
#include <signal.h>
#include <stdarg.h>
#include <stddef.h>
#include <setjmp.h>
#include <stdint.h>
#include <sys/mount.h>
#include <sys/prctl.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <sys/sysmacros.h>
#include <sys/wait.h>
#include <time.h>
#include <cmocka.h>

#include "base/error.h"
#include "elf_image.h"
#include "target/module.h"
#include "target/proc.h"
#include "target/process.h"

static char dir[64];

static int make_dir(void **state)
{
	(void)state;
	strcpy(dir, "/tmp/bscope-test-XXXXXX");
	return mkdtemp(dir) ? 0 : -1;
}

static int remove_dir(void **state)
{
	(void)state;
	return rmdir(dir);
}

static const char *in_dir(const char *name)
{
	static char path[256];

	snprintf(path, sizeof(path), "%s/%s", dir, name);
	return path;
}

/* A child that does what it is told and says over a pipe when it has. */
static pid_t child(void (*fn)(void *arg), void *arg)
{
	int ready[2];
	char byte;
	pid_t pid;

	assert_int_equal(pipe(ready), 0);
	pid = fork();
	if (!pid) {
		prctl(PR_SET_PDEATHSIG, SIGKILL);
		fn(arg);
		if (write(ready[1], "x", 1) != 1)
			_exit(1);
		for (;;)
			pause();
	}
	close(ready[1]);
	assert_int_equal(read(ready[0], &byte, 1), 1);
	close(ready[0]);
	return pid;
}

static void end(pid_t pid)
{
	kill(pid, SIGKILL);
	waitpid(pid, NULL, 0);
}

static void nothing(void *arg)
{
	(void)arg;
}

static void maps_text(void **state)
{
	static const char text[] =
		"00400000-00401000 r-xp 00000000 08:02 135 /bin/a b (deleted)\n"
		"00401000-00402000 rw-p 00001000 08:02 135     /bin/new\\012line\n"
		"00401800-00403000 rw-p 00001000 08:02 136     /bin/overlaps\n"
		"00500000-00501000 rw-p 00000000 00:00 0       [heap]\n"
		"garbage\n"
		"\n"
		"00600000-00500000 r-xp 00000000 08:02 137 /bin/backwards\n"
		"00700000-00701000 r-xp 00000000 08:02 99999999999999999999 /bin/big\n"
		"00700000-00701000 r-xp 00000000 08:02 12x /bin/x\n"
		"00700000-00701000 r-xp -0000000 08:02 12 /bin/x\n"
		"00700000 00701000 r-xp 00000000 08:02 12 /bin/x\n"
		"00700000-00701000 r-xp 00000000 08:02\n"
		"00700000-00701000 r\n"
		"7ffff7ff8000-7ffff7ffd000 r--s 0000f000 fd:1f 140 / (deleted)\n"
		"ffffffffff600000-ffffffffff601000 --xp 00000000 00:00 0 [vsyscall]\n"
		"fffffffffffff000-ffffffffffffffff --xp 00000000 01:02 9";
	struct bs_maps maps;

	(void)state;
	assert_int_equal(bs_maps_parse(strdup(text), strlen(text), &maps), 0);
	assert_int_equal(maps.n, 4);
	assert_string_equal(maps.v[0].path, "/bin/a b");
	assert_true(maps.v[0].exec);
	assert_int_equal(maps.v[0].ino, 135);
	assert_true(maps.v[0].dev == makedev(8, 2));
	assert_string_equal(maps.v[1].path, "/bin/new\\012line");
	assert_false(maps.v[1].exec);
	assert_int_equal(maps.v[1].offset, 0x1000);
	assert_string_equal(maps.v[2].path, "/");
	assert_true(maps.v[2].dev == makedev(0xfd, 0x1f));
	assert_string_equal(maps.v[3].path, "");

	assert_null(bs_maps_find(&maps, 0x3fffff));
	assert_ptr_equal(bs_maps_find(&maps, 0x400000), &maps.v[0]);
	assert_ptr_equal(bs_maps_find(&maps, 0x400fff), &maps.v[0]);
	assert_ptr_equal(bs_maps_find(&maps, 0x401000), &maps.v[1]);
	assert_null(bs_maps_find(&maps, 0x402000));
	assert_ptr_equal(bs_maps_find(&maps, 0xfffffffffffffffe), &maps.v[3]);
	assert_null(bs_maps_find(&maps, UINT64_MAX));
	bs_maps_fini(&maps);
	bs_maps_fini(NULL);

	assert_int_equal(bs_maps_parse(strdup(""), 0, &maps), 0);
	assert_int_equal(maps.n, 0);
	assert_null(bs_maps_find(&maps, 0));
	bs_maps_fini(&maps);
}

static void maps_damaged(void **state)
{
	static const char good[] = "7f00-7f10 r-xp 00000000 08:02 135 /bin/a (deleted)\n"
				   "7f20-7f30 r-xp 00000000 08:02 136 /bin/b\n";
	uint64_t seed = 99;

	(void)state;
	for (unsigned i = 0; i < 20000; i++) {
		size_t size = i < sizeof(good) ? i : sizeof(good) - 1;
		char *text = malloc(size + 1);
		struct bs_maps maps;

		memcpy(text, good, size);
		text[size] = '\0';
		for (unsigned k = 0; i >= sizeof(good) && k < 3; k++) {
			seed = seed * 6364136223846793005ull + 1442695040888963407ull;
			text[(seed >> 40) % size] = (char)(seed >> 33);
		}
		assert_int_equal(bs_maps_parse(text, size, &maps), 0);
		for (size_t k = 0; k < maps.n; k++) {
			assert_true(maps.v[k].start < maps.v[k].end && maps.v[k].ino);
			assert_true(!k || maps.v[k - 1].end <= maps.v[k].start);
		}
		bs_maps_fini(&maps);
	}
}

static void own_maps(void **state)
{
	const struct bs_mapping *m;
	struct bs_maps maps;
	struct stat st, exe;
	char link[512] = "";
	int fd;

	(void)state;
	assert_true(readlink("/proc/self/exe", link, sizeof(link) - 1) > 0);
	assert_int_equal(bs_maps_read(getpid(), &maps, NULL), 0);
	m = bs_maps_find(&maps, (uint64_t)(uintptr_t)own_maps);
	assert_non_null(m);
	assert_true(m->exec);
	assert_string_equal(m->path, link);
	fd = bs_mapping_open(getpid(), m, NULL);
	assert_true(fd >= 0);
	assert_int_equal(fstat(fd, &st), 0);
	assert_int_equal(stat("/proc/self/exe", &exe), 0);
	assert_true(st.st_ino == exe.st_ino && st.st_dev == exe.st_dev);
	close(fd);
	bs_maps_fini(&maps);
}

static void gone(void **state)
{
	struct bs_error err = {0};
	struct bs_maps maps;
	char comm[8], exe[8];
	uint64_t ns = 5;
	pid_t pid = child(nothing, NULL);

	(void)state;
	assert_true(bs_process_alive(pid));
	end(pid);
	assert_false(bs_process_alive(pid));
	assert_int_equal(bs_maps_read(pid, &maps, &err), -ESRCH);
	assert_int_equal(err.code, -ESRCH);
	assert_int_equal(bs_process_cpu_ns(pid, &ns), -ESRCH);
	assert_int_equal(ns, 0);
	bs_process_name(pid, comm, sizeof(comm), exe, sizeof(exe));
	assert_string_equal(comm, "?");
	assert_string_equal(exe, "?");
	assert_false(bs_process_alive(0));
	assert_false(bs_process_alive(-1));
	assert_int_equal(bs_maps_read(-1, &maps, NULL), -ESRCH);
}

/* Do pids mean the same to the kernel's programs as to us?  Else the check always says no. */
static bool first_namespace(void)
{
	char link[64] = "";

	assert_true(readlink("/proc/self/ns/pid", link, sizeof(link) - 1) > 0);
	return !strcmp(link, "pid:[4026531836]");
}

static void check_says(pid_t pid, int code, const char *says)
{
	struct bs_error err = {0};
	int ret = bs_process_check(pid, &err);

	if (!first_namespace()) {
		assert_int_equal(ret, -ENOTSUP);
		assert_non_null(strstr(err.text, "--pid=host"));
		return;
	}
	assert_int_equal(ret, code);
	assert_int_equal(err.code, code);
	if (!strstr(err.text, says))
		fail_msg("\"%s\" does not say \"%s\"", err.text, says);
}

static void zombie(void **state)
{
	struct bs_maps maps;
	siginfo_t info;
	pid_t pid = fork();

	(void)state;
	if (!pid)
		_exit(0);
	assert_int_equal(waitid(P_PID, (id_t)pid, &info, WEXITED | WNOWAIT), 0);
	assert_false(bs_process_alive(pid));
	check_says(pid, -ESRCH, "has exited already");
	assert_int_equal(bs_maps_read(pid, &maps, NULL), -ESRCH);
	waitpid(pid, NULL, 0);
}

static void *second_thread(void *arg)
{
	while (pause())
		;
	return arg;
}

static void lose_leader(void *arg)
{
	pthread_t t;
	int *ready = arg;

	if (pthread_create(&t, NULL, second_thread, NULL) || write(ready[1], "x", 1) != 1)
		_exit(1);
	/* The thread alone, where exit_group would end them all. */
	syscall(SYS_exit, 0);
}

/* The main thread has exited, another goes on. */
static void dead_leader(void **state)
{
	struct bs_proc_stat st = {0};
	const struct bs_mapping *m;
	struct bs_maps maps;
	char comm[32], exe[512], self[512] = "";
	int ready[2], fd;
	uint64_t ns;
	char byte;
	pid_t pid;

	(void)state;
	assert_int_equal(pipe(ready), 0);
	pid = fork();
	if (!pid) {
		alarm(60); /* so that it goes, whatever becomes of us */
		lose_leader(ready);
	}
	assert_int_equal(read(ready[0], &byte, 1), 1);
	for (int i = 0; i < 1000 && st.state != 'Z'; i++) {
		usleep(1000);
		assert_int_equal(bs_proc_stat(pid, &st), 0);
	}
	assert_int_equal(st.state, 'Z');
	assert_true(bs_process_alive(pid));
	assert_int_equal(bs_maps_read(pid, &maps, NULL), 0);
	m = bs_maps_find(&maps, (uint64_t)(uintptr_t)dead_leader);
	assert_non_null(m);
	fd = bs_mapping_open(pid, m, NULL);
	assert_true(fd >= 0);
	close(fd);
	bs_maps_fini(&maps);
	if (first_namespace())
		assert_int_equal(bs_process_check(pid, NULL), 0);
	assert_true(readlink("/proc/self/exe", self, sizeof(self) - 1) > 0);
	bs_process_name(pid, comm, sizeof(comm), exe, sizeof(exe));
	assert_string_equal(exe, self);
	assert_int_equal(bs_process_cpu_ns(pid, &ns), 0);
	close(ready[0]);
	close(ready[1]);
	end(pid);
}

static void rename_itself(void *arg)
{
	(void)arg;
	prctl(PR_SET_NAME, "a) Z (b\n");
}

/* A name that looks like the rest of /proc/PID/stat. */
static void names(void **state)
{
	char comm[32], exe[512], tiny[4];
	pid_t pid = child(rename_itself, NULL);

	(void)state;
	assert_true(bs_process_alive(pid));
	bs_process_name(pid, comm, sizeof(comm), exe, sizeof(exe));
	assert_string_equal(comm, "a) Z (b\n");
	assert_non_null(strstr(exe, "test_process"));
	bs_process_name(pid, tiny, sizeof(tiny), tiny, sizeof(tiny));
	assert_int_equal(strlen(tiny), 3);
	end(pid);
}

static void burn(void *arg)
{
	struct timespec ts;

	(void)arg;
	do
		clock_gettime(CLOCK_PROCESS_CPUTIME_ID, &ts);
	while (ts.tv_sec == 0 && ts.tv_nsec < 20000000);
}

static void cpu_time(void **state)
{
	pid_t pid = child(burn, NULL);
	uint64_t ns, again;

	(void)state;
	assert_int_equal(bs_process_cpu_ns(pid, &ns), 0);
	assert_true(ns >= 20000000);
	assert_int_equal(bs_process_cpu_ns(pid, &again), 0);
	assert_true(again >= ns);
	end(pid);
}

/* A kernel thread, found without the code under test: it has no memory map at all. */
static pid_t kernel_thread(void)
{
	struct dirent *d;
	pid_t found = 0;
	DIR *proc = opendir("/proc");

	while (!found && (d = readdir(proc))) {
		char path[300], line[256] = "";
		FILE *f;

		if (d->d_name[0] < '0' || d->d_name[0] > '9')
			continue;
		snprintf(path, sizeof(path), "/proc/%s/status", d->d_name);
		f = fopen(path, "r");
		while (f && fgets(line, sizeof(line), f))
			if (!strncmp(line, "Kthread:\t1", 10))
				found = atoi(d->d_name);
		if (f)
			fclose(f);
	}
	closedir(proc);
	return found;
}

static void check(void **state)
{
	struct bs_error err = {0};
	pid_t kthread = kernel_thread();
	pid_t pid;

	(void)state;
	if (first_namespace())
		assert_int_equal(bs_process_check(getpid(), &err), 0);
	check_says(0, -ESRCH, "no such process");
	check_says(-5, -ESRCH, "no such process");
	check_says(0x7fffffff, -ESRCH, "pid 2147483647: no such process");
	if (kthread)
		check_says(kthread, -ENOTSUP, "kernel thread");
	pid = child(nothing, NULL);
	end(pid);
	check_says(pid, -ESRCH, "no such process");
}

static void *say_tid(void *arg)
{
	int *fds = arg;
	pid_t tid = (pid_t)syscall(SYS_gettid);
	char byte;

	if (write(fds[1], &tid, sizeof(tid)) != sizeof(tid))
		return NULL;
	return read(fds[2], &byte, 1) == 1 ? fds : NULL;
}

static void thread_is_no_process(void **state)
{
	int fds[4], tmp[2];
	char says[64];
	pthread_t t;
	pid_t tid;

	(void)state;
	assert_int_equal(pipe(fds), 0);
	assert_int_equal(pipe(tmp), 0);
	fds[2] = tmp[0];
	assert_int_equal(pthread_create(&t, NULL, say_tid, fds), 0);
	assert_int_equal(read(fds[0], &tid, sizeof(tid)), sizeof(tid));
	snprintf(says, sizeof(says), "a thread of process %d", getpid());
	check_says(tid, -ESRCH, says);
	assert_int_equal(write(tmp[1], "x", 1), 1);
	pthread_join(t, NULL);
	close(fds[0]);
	close(fds[1]);
	close(tmp[0]);
	close(tmp[1]);
}

/* Drops everything before it looks at a process that is not its own any more. */
static void no_rights(void **state)
{
	int status;
	pid_t other = child(nothing, NULL), pid;

	(void)state;
	if (geteuid()) {
		/* Without root there is one we may not look at already. */
		assert_int_not_equal(bs_process_check(1, NULL), 0);
		end(other);
		return;
	}
	pid = fork();
	if (!pid) {
		struct bs_error err = {0};
		struct bs_maps maps;
		int ret;

		if (setgid(65534) || setuid(65534))
			_exit(1);
		ret = bs_maps_read(other, &maps, &err);
		if ((ret != -EACCES && ret != -EPERM) || !strstr(err.text, "CAP_SYS_PTRACE"))
			_exit(2);
		ret = bs_process_check(other, &err);
		if (ret != (first_namespace() ? -EPERM : -ENOTSUP))
			_exit(3);
		_exit(0);
	}
	waitpid(pid, &status, 0);
	assert_int_equal(status, 0);
	end(other);
}

/*
 * The smallest 32-bit x86 program: pause(), again and again.  Where the kernel runs none, that
 * is all there is to see.
 */
static void other_architecture(void **state)
{
	static const unsigned char image[] = {
		0x7f, 'E',  'L',  'F', 1,    1, 1, 0,	 0,    0,    0,	   0,	 0,    0,
		0,    0, /* ident */
		2,    0,    3,	  0,   1,    0, 0, 0,	 0x54, 0x80, 0x04, 0x08, 52,   0,
		0,    0, /* EXEC 386 entry */
		0,    0,    0,	  0,   0,    0, 0, 0,	 52,   0,    32,   0,	 1,    0,
		40,   0,    0,	  0,   0,    0, /* sizes */
		1,    0,    0,	  0,   0,    0, 0, 0,	 0x00, 0x80, 0x04, 0x08, 0x00, 0x80,
		0x04, 0x08, /* LOAD */
		0x5f, 0,    0,	  0,   0x5f, 0, 0, 0,	 5,    0,    0,	   0,	 0,    0x10,
		0,    0,    0xb8, 29,  0,    0, 0, 0xcd, 0x80, 0xeb, 0xf7, 0x90, 0x90, /* code */
	};
	char path[256];
	int failed[2], code = 0;
	pid_t pid;
	int fd;

	(void)state;
	snprintf(path, sizeof(path), "%s", in_dir("prog32"));
	fd = open(path, O_WRONLY | O_CREAT | O_CLOEXEC, 0755);
	assert_int_equal(write(fd, image, sizeof(image)), sizeof(image));
	close(fd);
	assert_int_equal(pipe2(failed, O_CLOEXEC), 0);
	pid = fork();
	if (!pid) {
		execl(path, path, NULL);
		code = errno;
		_exit(write(failed[1], &code, sizeof(code)) == sizeof(code) ? 0 : 1);
	}
	close(failed[1]);
	if (read(failed[0], &code, sizeof(code)) == 0)
		check_says(pid, -EXDEV, "32-bit x86");
	else
		assert_int_equal(code, ENOEXEC);
	close(failed[0]);
	end(pid);
	unlink(path);
}

/* Writes the image with two sites, each time another inode, and maps its text executable. */
static void write_image(const char *path)
{
	static struct img img;
	int fd = open(path, O_WRONLY | O_CREAT | O_EXCL | O_CLOEXEC, 0755);

	img_good(&img);
	if (fd < 0 || write(fd, img.b, sizeof(img.b)) != sizeof(img.b))
		abort();
	close(fd);
}

static void map_file(void *arg)
{
	int fd = open(arg, O_RDONLY | O_CLOEXEC);

	if (fd < 0 || mmap(NULL, 4096, PROT_READ | PROT_EXEC, MAP_PRIVATE, fd, 0) == MAP_FAILED)
		_exit(1);
	close(fd);
}

static void free_all(struct bs_module **v, size_t n)
{
	for (size_t i = 0; i < n; i++)
		bs_module_free(v[i]);
	free(v);
}

static void modules(void **state)
{
	struct bs_module **v, **again;
	struct bs_error err = {0};
	char path[256];
	pid_t pids[1];
	size_t n, more;
	pid_t pid, other;

	(void)state;
	/* A newline in the name: the kernel shows \012. */
	snprintf(path, sizeof(path), "%s", in_dir("lib\nx.so"));
	write_image(path);
	pid = child(map_file, path);
	assert_int_equal(bs_process_modules(pid, NULL, 0, &v, &n, &err), 0);
	assert_int_equal(err.code, 0);
	assert_int_equal(n, 1);
	assert_int_equal(v[0]->nsites, 2);
	assert_non_null(strstr(v[0]->path, "lib\\012x.so"));

	/* Known ones are not read again. */
	assert_int_equal(bs_process_modules(pid, v, n, &again, &more, NULL), 0);
	assert_int_equal(more, 0);

	/* Who else has it mapped. */
	pids[0] = pid;
	assert_int_equal(bs_module_bystanders(v[0], pids, 1), 0);
	other = child(map_file, path);
	assert_int_equal(bs_module_bystanders(v[0], pids, 1), 1);
	assert_int_equal(bs_module_bystanders(v[0], NULL, 0), 2);
	end(other);
	free_all(v, n);

	/* Deleted, then replaced by something else: still the file that is mapped. */
	unlink(path);
	assert_int_equal(bs_process_modules(pid, NULL, 0, &v, &n, NULL), 0);
	assert_int_equal(n, 1);
	assert_int_equal(v[0]->nsites, 2);
	free_all(v, n);
	int fd = open(path, O_WRONLY | O_CREAT, 0755);
	assert_int_equal(write(fd, "nothing", 7), 7);
	close(fd);
	assert_int_equal(bs_process_modules(pid, NULL, 0, &v, &n, NULL), 0);
	assert_int_equal(n, 1);
	assert_int_equal(v[0]->nsites, 2);
	free_all(v, n);
	end(pid);

	/* Executable, but no ELF file: not worth a word. */
	pid = child(map_file, path);
	assert_int_equal(bs_process_modules(pid, NULL, 0, &v, &n, &err), 0);
	assert_int_equal(n, 0);
	assert_null(v);
	assert_string_equal(err.text, "");
	end(pid);
	unlink(path);
	assert_int_equal(bs_process_modules(pid, NULL, 0, &v, &n, &err), -ESRCH);
	assert_int_equal(n, 0);
}

static void damaged_module(void **state)
{
	struct bs_error err = {0};
	struct bs_module **v;
	char path[256];
	size_t n;
	pid_t pid;
	int fd;

	(void)state;
	snprintf(path, sizeof(path), "%s", in_dir("cut.so"));
	write_image(path);
	assert_int_equal(truncate(path, 0x1500), 0);
	pid = child(map_file, path);
	assert_int_equal(bs_process_modules(pid, NULL, 0, &v, &n, &err), 0);
	assert_int_equal(n, 0);
	assert_int_equal(err.code, 0);
	assert_non_null(strstr(err.text, "cut.so: damaged"));
	end(pid);
	unlink(path);

	/* All its records are of a newer version: said, and not a failure. */
	write_image(path);
	fd = open(path, O_WRONLY);
	assert_int_equal(pwrite(fd, "\x09", 1, IMG_DATA_OFF + 27), 1);
	assert_int_equal(pwrite(fd, "\x09", 1, IMG_DATA_OFF + 32 + 27), 1);
	close(fd);
	pid = child(map_file, path);
	memset(&err, 0, sizeof(err));
	assert_int_equal(bs_process_modules(pid, NULL, 0, &v, &n, &err), 0);
	assert_int_equal(n, 0);
	assert_non_null(strstr(err.text, "a newer bscope-trace is needed"));
	end(pid);
	unlink(path);
}

/*
 * Opens the mapping of pid whose path ends like that, in a child without the rights that
 * map_files wants.  0 when the file is the mapped one, else the error.
 */
static int opens_by_path(pid_t pid, const char *tail)
{
	int status;
	pid_t opener = fork();

	if (!opener) {
		struct __user_cap_header_struct head = {.version = _LINUX_CAPABILITY_VERSION_3};
		struct __user_cap_data_struct caps[2] = {0};
		struct bs_maps maps;
		char name[96];

		if (syscall(SYS_capget, &head, caps))
			_exit(100);
		caps[0].effective &= ~(1u << CAP_SYS_ADMIN);
		caps[1].effective &= ~(1u << (40 - 32)); /* CAP_CHECKPOINT_RESTORE */
		if (syscall(SYS_capset, &head, caps) || bs_maps_read(pid, &maps, NULL))
			_exit(101);
		for (size_t i = 0; i < maps.n; i++) {
			const char *path = maps.v[i].path;
			struct stat st;
			int fd;

			if (!maps.v[i].exec || strlen(path) < strlen(tail) ||
			    strcmp(path + strlen(path) - strlen(tail), tail))
				continue;
			snprintf(name, sizeof(name), "/proc/%d/map_files/%lx-%lx", pid,
				 (unsigned long)maps.v[i].start, (unsigned long)maps.v[i].end);
			fd = open(name, O_RDONLY);
			if (fd >= 0 || (errno != EPERM && errno != EACCES))
				_exit(102); /* not what is to be tried here */
			fd = bs_mapping_open(pid, &maps.v[i], NULL);
			if (fd < 0)
				_exit(-fd);
			_exit(fstat(fd, &st) || st.st_ino != maps.v[i].ino ? 103 : 0);
		}
		_exit(104);
	}
	waitpid(opener, &status, 0);
	assert_true(WIFEXITED(status));
	return WEXITSTATUS(status);
}

/* By a mount that is nowhere: in a chroot there may be none to make private first. */
static void enter_root(void *arg)
{
	int fs = fsopen("tmpfs", FSOPEN_CLOEXEC), root = -1;

	(void)arg;
	if (fs >= 0 && !fsconfig(fs, FSCONFIG_CMD_CREATE, NULL, NULL, 0))
		root = fsmount(fs, FSMOUNT_CLOEXEC, 0);
	if (root < 0 || unshare(CLONE_NEWNS) || fchdir(root) || chroot("."))
		_exit(1);
	write_image("/lib.so");
	map_file("/lib.so");
}

/* In a root of its own, on a file system that nobody else sees: a container. */
static void container(void **state)
{
	struct bs_module **v;
	size_t n;
	pid_t pid;

	(void)state;
	if (geteuid())
		return; /* nothing to enter without root */
	pid = child(enter_root, NULL);
	assert_int_equal(bs_process_modules(pid, NULL, 0, &v, &n, NULL), 0);
	assert_int_equal(n, 1);
	assert_int_equal(v[0]->nsites, 2);
	free_all(v, n);
	assert_int_equal(opens_by_path(pid, "/lib.so"), 0);
	end(pid);
}

/* The ways to a file that need fewer rights: by path, and the program itself. */
static void without_map_files(void **state)
{
	char path[256];
	pid_t pid;

	(void)state;
	if (geteuid())
		return; /* nothing to give up */
	snprintf(path, sizeof(path), "%s", in_dir("plain.so"));
	write_image(path);
	pid = child(map_file, path);
	assert_int_equal(opens_by_path(pid, "/plain.so"), 0);
	unlink(path);
	assert_int_equal(opens_by_path(pid, "/plain.so"), ENOENT);
	write_image(path);
	assert_int_equal(opens_by_path(pid, "/plain.so"), ESTALE);
	unlink(path);
	assert_int_equal(opens_by_path(pid, "test_process"), 0);
	/* A link in its place: in the process's root it leads nowhere. */
	assert_int_equal(symlink("/proc/self/exe", path), 0);
	assert_int_not_equal(opens_by_path(pid, "/plain.so"), 0);
	unlink(path);
	end(pid);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(maps_text), cmocka_unit_test(maps_damaged),
		cmocka_unit_test(own_maps),  cmocka_unit_test(gone),
		cmocka_unit_test(zombie),    cmocka_unit_test(dead_leader),
		cmocka_unit_test(names),     cmocka_unit_test(cpu_time),
		cmocka_unit_test(check),     cmocka_unit_test(thread_is_no_process),
		cmocka_unit_test(no_rights), cmocka_unit_test(other_architecture),
		cmocka_unit_test(modules),   cmocka_unit_test(damaged_module),
		cmocka_unit_test(container), cmocka_unit_test(without_map_files),
	};

	return cmocka_run_group_tests_name("process", tests, make_dir, remove_dir);
}
