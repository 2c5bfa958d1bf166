/* A disk that fails for one process: reads, writes and syncs of chosen files return an error number. LD_PRELOAD loads it before
 * the C library. Nothing here allocates memory, because an allocator may read a file before `main`. */
#define _GNU_SOURCE
#include <errno.h>
#include <fcntl.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/syscall.h>
#include <unistd.h>

/* The error numbers of reads and of writes and syncs, 0 for none, in a file that the test writes. */
static const volatile int32_t *fault;
/* A part of the names of the files that fail. */
static const char *chosen;

__attribute__((constructor)) static void begin(void)
{
	const char *path = getenv("TESTBED_FAILING_DISK");
	chosen = getenv("TESTBED_FAILING_FILES");
	int file = path && chosen ? open(path, O_RDONLY | O_CLOEXEC) : -1;
	if (file < 0)
		return;
	void *seen = mmap(NULL, 2 * sizeof *fault, PROT_READ, MAP_SHARED, file, 0);
	if (seen != MAP_FAILED)
		fault = seen;
	close(file);
}

/* Whether this use of the file fails; sets errno. */
static int fails(int file, int which)
{
	int number = fault ? fault[which] : 0;
	if (!number)
		return 0;
	char link[32], name[512];
	snprintf(link, sizeof link, "/proc/self/fd/%d", file);
	ssize_t length = syscall(SYS_readlinkat, AT_FDCWD, link, name, sizeof name - 1);
	if (length <= 0)
		return 0;
	name[length] = 0;
	if (!strstr(name, chosen))
		return 0;
	errno = number;
	return 1;
}

#define READ 0
#define WRITE 1

ssize_t read(int file, void *into, size_t size)
{
	return fails(file, READ) ? -1 : syscall(SYS_read, file, into, size);
}

ssize_t pread64(int file, void *into, size_t size, off64_t at)
{
	return fails(file, READ) ? -1 : syscall(SYS_pread64, file, into, size, at);
}

ssize_t pread(int file, void *into, size_t size, off_t at)
{
	return pread64(file, into, size, at);
}

ssize_t write(int file, const void *from, size_t size)
{
	return fails(file, WRITE) ? -1 : syscall(SYS_write, file, from, size);
}

ssize_t pwrite64(int file, const void *from, size_t size, off64_t at)
{
	return fails(file, WRITE) ? -1 : syscall(SYS_pwrite64, file, from, size, at);
}

ssize_t pwrite(int file, const void *from, size_t size, off_t at)
{
	return pwrite64(file, from, size, at);
}

int fsync(int file)
{
	return fails(file, WRITE) ? -1 : (int)syscall(SYS_fsync, file);
}

int fdatasync(int file)
{
	return fails(file, WRITE) ? -1 : (int)syscall(SYS_fdatasync, file);
}
