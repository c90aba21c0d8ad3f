// SPDX-License-Identifier: GPL-2.0-only
/*
 * fd_calls.c - every function of descriptors that the preload library stands in for, with what it
 * returns and what becomes of errno, when all is well and when it is not.  Run in an empty folder.
 */
#define _GNU_SOURCE
#include <arpa/inet.h>
#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <pthread.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/epoll.h>
#include <sys/eventfd.h>
#include <sys/inotify.h>
#include <sys/mman.h>
#include <sys/signalfd.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/timerfd.h>
#include <sys/un.h>
#include <sys/wait.h>
#include <unistd.h>

static int say(const char *call, int ret)
{
	int err = errno;

	printf("%-62s %d errno %d\n", call, ret, err);
	errno = 77; /* of the call around this one */
	return ret;
}
#define SAY(call) (errno = 77, say(#call, (call)))

static int volatile flags_create = O_CREAT | O_RDWR | O_EXCL, flags_read = O_RDONLY;

static int mode_of(const char *path)
{
	struct stat st;

	return stat(path, &st) ? -1 : (int)(st.st_mode & 07777);
}

/* The descriptor of a stream or a directory, which is closed again; -1: there is none. */
static int stream(FILE *f)
{
	int saved = errno, fd = f ? fileno(f) : -1;

	if (f && fclose(f))
		return -2;
	errno = saved;
	return fd;
}

static int directory(DIR *d)
{
	int saved = errno, fd = d ? dirfd(d) : -1;

	if (d && closedir(d))
		return -2;
	errno = saved;
	return fd;
}

static void files(void)
{
	char name[32];
	int fd, dir;

	umask(0);
	SAY(close(SAY(open("made", O_CREAT | O_RDWR | O_EXCL, 0640))));
	SAY(mode_of("made"));
	SAY(open("made", O_CREAT | O_RDWR | O_EXCL, 0640));
	SAY(close(SAY(open64("made64", O_CREAT | O_RDWR, 0751))));
	SAY(mode_of("made64"));
	SAY(open64("nowhere/made", O_RDONLY));
	SAY(close(SAY(openat(AT_FDCWD, "madeat", O_CREAT | O_RDWR, 0604))));
	SAY(mode_of("madeat"));
	SAY(close(SAY(openat64(AT_FDCWD, "madeat64", O_CREAT | O_RDWR, 04755))));
	SAY(mode_of("madeat64"));
	SAY(openat(99, "x", O_RDONLY));
	SAY(open("made", flags_read | O_DIRECTORY));
	/* Flags that are not constant, without a mode: what _FORTIFY_SOURCE checks. */
	SAY(close(SAY(open("made", flags_read))));
	SAY(close(SAY(open64("made", flags_read))));
	SAY(close(SAY(openat(AT_FDCWD, "made", flags_read))));
	SAY(close(SAY(openat64(AT_FDCWD, "made", flags_read))));
	SAY(open("not there", flags_read));
	SAY(close(SAY(open("made", flags_create & ~O_EXCL, 0777))));
	fd = SAY(open(".", O_TMPFILE | O_RDWR, 0461));
	if (fd >= 0) {
		struct stat st;

		fstat(fd, &st);
		printf("mode %o\n", st.st_mode & 07777);
		SAY(close(fd));
	}
	SAY(close(SAY(creat("created", 0600))));
	SAY(close(SAY(creat64("created", 0600))));
	SAY(creat("", 0600));
	SAY(close(SAY(shm_open("/bscope-fd-calls", O_CREAT | O_RDWR, 0600))));
	SAY(shm_unlink("/bscope-fd-calls"));
	SAY(shm_open("/bscope-not-there", O_RDWR, 0));
	SAY(close(SAY(memfd_create("m", MFD_CLOEXEC))));
	SAY(memfd_create("m", 0x80000000u));
	SAY(close(SAY(posix_openpt(O_RDWR | O_NOCTTY))));
	SAY(close(SAY(mkstemp(strcpy(name, "t1XXXXXX")))));
	SAY(close(SAY(mkstemp64(strcpy(name, "t2XXXXXX")))));
	SAY(close(SAY(mkostemp(strcpy(name, "t3XXXXXX"), O_CLOEXEC))));
	SAY(close(SAY(mkostemp64(strcpy(name, "t4XXXXXX"), O_APPEND))));
	SAY(close(SAY(mkstemps(strcpy(name, "t5XXXXXX.c"), 2))));
	SAY(close(SAY(mkstemps64(strcpy(name, "t6XXXXXX.c"), 2))));
	SAY(close(SAY(mkostemps(strcpy(name, "t7XXXXXX.c"), 2, 0))));
	SAY(close(SAY(mkostemps64(strcpy(name, "t8XXXXXX.c"), 2, 0))));
	SAY(mkstemp(strcpy(name, "short")));
	dir = SAY(open(".", O_RDONLY | O_DIRECTORY));
	{
		union {
			struct file_handle h;
			char room[sizeof(struct file_handle) + MAX_HANDLE_SZ];
		} u;
		int mount;

		memset(&u, 0, sizeof(u));
		SAY(open_by_handle_at(dir, &u.h, O_RDONLY) < 0);
		u.h.handle_bytes = MAX_HANDLE_SZ;
		if (!name_to_handle_at(AT_FDCWD, "made", &u.h, &mount, 0)) {
			fd = open_by_handle_at(dir, &u.h, O_RDONLY);
			if (fd >= 0)
				close(fd);
		}
	}
	SAY(close(dir));
}

static void sockets(void)
{
	struct sockaddr_un addr = {AF_UNIX, "sock"};
	socklen_t len = sizeof(addr);
	int server, client, pair[2] = {-5, -5};

	server = SAY(socket(AF_UNIX, SOCK_STREAM, 0));
	SAY(bind(server, (struct sockaddr *)&addr, sizeof(addr)));
	SAY(listen(server, 4));
	for (int i = 0; i < 2; i++) {
		client = SAY(socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0));
		SAY(connect(client, (struct sockaddr *)&addr, sizeof(addr)));
		SAY(close(i ? SAY(accept4(server, NULL, NULL, SOCK_NONBLOCK))
			    : SAY(accept(server, (struct sockaddr *)&addr, &len))));
		SAY(close(client));
		addr = (struct sockaddr_un){AF_UNIX, "sock"};
	}
	SAY(fcntl(server, F_SETFL, O_NONBLOCK));
	SAY(accept(server, NULL, NULL));
	SAY(accept4(server, NULL, NULL, 0x12345));
	SAY(accept(0x7fff, NULL, NULL));
	SAY(close(server));
	SAY(socket(AF_UNIX, 99, 0));
	SAY(socketpair(AF_UNIX, SOCK_DGRAM, 0, pair));
	SAY(close(pair[0]));
	SAY(close(pair[1]));
	SAY(socketpair(AF_UNIX, 99, 0, pair));
	SAY(pipe(pair));
	SAY(close(pair[0]));
	SAY(close(pair[1]));
	SAY(pipe2(pair, O_CLOEXEC | O_NONBLOCK));
	SAY(close(pair[0]));
	SAY(close(pair[1]));
	SAY(pipe2(pair, 0x12345));
}

static void events(void)
{
	sigset_t set;
	int fd;

	sigemptyset(&set);
	sigaddset(&set, SIGUSR1);
	SAY(close(SAY(eventfd(3, EFD_CLOEXEC))));
	SAY(eventfd(0, 0x12345));
	SAY(close(SAY(epoll_create(1))));
	SAY(epoll_create(0));
	SAY(close(SAY(epoll_create1(EPOLL_CLOEXEC))));
	SAY(epoll_create1(0x12345));
	SAY(close(SAY(timerfd_create(CLOCK_MONOTONIC, 0))));
	SAY(timerfd_create(12345, 0));
	fd = SAY(signalfd(-1, &set, 0));
	SAY(signalfd(fd, &set, 0));
	SAY(close(fd));
	SAY(signalfd(0x7fff, &set, 0));
	SAY(close(SAY(inotify_init())));
	SAY(close(SAY(inotify_init1(IN_NONBLOCK))));
	SAY(inotify_init1(0x12345));
}

static void duplicates(void)
{
	int fd = SAY(open("made", O_RDONLY));
	struct flock lock = {.l_type = F_RDLCK};

	SAY(close(SAY(dup(fd))));
	SAY(dup(-1));
	SAY(dup2(fd, 50));
	SAY(dup2(fd, 50));
	SAY(dup2(50, 50));
	SAY(dup2(-1, 50));
	SAY(dup2(99, 50));
	SAY(dup2(fd, -1));
	SAY(dup2(fd, 1 << 30));
	SAY(fcntl(50, F_GETFD));
	SAY(dup3(fd, 51, O_CLOEXEC));
	SAY(dup3(fd, 51, 0));
	SAY(dup3(fd, fd, 0));
	SAY(dup3(fd, 51, 0x12345));
	SAY(fcntl(51, F_GETFD));
	SAY(close(SAY(fcntl(fd, F_DUPFD, 60))));
	SAY(close(SAY(fcntl(fd, F_DUPFD_CLOEXEC, 60))));
	SAY(close(SAY(fcntl64(fd, F_DUPFD, 70))));
	SAY(fcntl(fd, F_DUPFD, -1));
	SAY(fcntl(fd, F_SETFD, FD_CLOEXEC));
	SAY(fcntl(fd, F_GETFD));
	SAY(fcntl(fd, F_GETFL) & O_ACCMODE);
	SAY(fcntl(fd, F_GETLK, &lock));
	SAY(fcntl64(fd, F_SETLK, &lock));
	SAY(fcntl(fd, 12345, 1));
	SAY(fcntl(99, F_GETFD));
	SAY(close(fd));
	SAY(close(50));
	SAY(close(51));
}

static void streams(void)
{
	char text[8] = "memory";
	FILE *f;
	int fd;

	SAY(stream(fopen("made", "w+")));
	SAY(stream(fopen64("made", "r")));
	SAY(stream(fopen("not there", "r")));
	SAY(stream(fopen64("made", "strange")));
	SAY(stream(tmpfile()));
	SAY(stream(tmpfile64()));
	SAY(stream(fmemopen(text, sizeof(text), "r"))); /* has none */
	f = fopen("made", "w");
	SAY(stream(freopen("made64", "r", f)));
	f = fopen64("made", "w");
	SAY(stream(freopen64("not there", "r", f)));
	f = fopen("made", "r");
	SAY(stream(freopen(NULL, "r", f)));
	fd = open("made", O_RDONLY);
	SAY(stream(fdopen(fd, "r")));
	SAY(close(fd)); /* closed with the stream */
	f = fdopen(open("made", O_RDONLY), "r");
	fd = fileno(f);
	SAY(close(fd));
	SAY(fclose(f)); /* closed before it */
	f = popen("exit 3", "r");
	SAY(f ? fileno(f) : -1);
	SAY(pclose(f));
	f = popen("cat >piped", "w");
	fputs("hello", f);
	SAY(pclose(f));
	SAY(popen("true", "x") != NULL);
	SAY(directory(opendir(".")));
	SAY(directory(opendir("made")));
	fd = open(".", O_RDONLY | O_DIRECTORY);
	SAY(directory(fdopendir(fd)));
	SAY(close(fd));
	{
		DIR *volatile none = NULL;

		SAY(closedir(none));
	}
}

static void ranges(void)
{
	SAY(dup2(0, 80));
	SAY(dup2(0, 81));
	SAY(dup2(0, 85));
	SAY(close_range(81, 80, 0));
	SAY(close_range(80, 81, 12345));
	SAY(close_range(80, 81, 0));
	SAY(close(80));
	SAY(close(85));
	SAY(dup2(0, 90));
	closefrom(70);
	SAY(close(90));
	SAY(close(-1));
	SAY(close(4000));
	SAY(close(1 << 30));
	for (int i = 30; i < 100; i++)
		close(i);
}

/* A thread that is cancelled in a call that waits; children by fork, vfork and exec. */
static int ends[2];

static void *waits(void *arg)
{
	int fd = open("fifo", O_RDONLY);

	(void)fd;
	return arg;
}

static void processes(void)
{
	pthread_t t;
	void *ret;
	int status, fd;

	mkfifo("fifo", 0600);
	pthread_create(&t, NULL, waits, NULL);
	usleep(20000);
	pthread_cancel(t);
	pthread_join(t, &ret);
	printf("cancelled %d\n", ret == PTHREAD_CANCELED);
	SAY(pipe(ends));
	fflush(stdout);
	if (!fork()) {
		SAY(close(ends[0]));
		SAY(close(ends[0]));
		SAY(open("made", O_RDONLY) == ends[0]);
		fflush(stdout);
		_exit(0);
	}
	wait(&status);
	if (!vfork()) {
		close(ends[0]);
		close(ends[1]);
		execl("/bin/true", "true", NULL);
		_exit(1);
	}
	wait(&status);
	printf("true %d\n", status);
	SAY(close(ends[0]));
	SAY(close(ends[1]));
	fd = open("made", O_RDONLY);
	printf("the same number %d\n", fd == ends[0]);
	SAY(close(fd));
}

int main(void)
{
	files();
	sockets();
	events();
	duplicates();
	streams();
	ranges();
	processes();
	return 0;
}
