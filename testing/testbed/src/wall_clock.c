/* The wall clock of one process, some seconds off that of the machine. LD_PRELOAD loads it before the C library. The monotonic
 * clock stays as it is. Nothing here allocates memory, because an allocator may read the clock before `main`. */
#define _GNU_SOURCE
#include <errno.h>
#include <fcntl.h>
#include <pthread.h>
#include <stdint.h>
#include <stdlib.h>
#include <sys/mman.h>
#include <sys/syscall.h>
#include <sys/time.h>
#include <threads.h>
#include <time.h>
#include <unistd.h>

/* The seconds by which the clock is off, in a file that the test writes. */
static const volatile int64_t *off;

__attribute__((constructor)) static void begin(void)
{
	const char *path = getenv("TESTBED_WALL_CLOCK");
	int file = path ? open(path, O_RDONLY | O_CLOEXEC) : -1;
	if (file < 0)
		return;
	void *seen = mmap(NULL, sizeof *off, PROT_READ, MAP_SHARED, file, 0);
	if (seen != MAP_FAILED)
		off = seen;
	close(file);
}

static int64_t seconds_off(void)
{
	return off ? *off : 0;
}

int clock_gettime(clockid_t clock, struct timespec *at)
{
	int failed = (int)syscall(SYS_clock_gettime, clock, at);
	if (!failed && (clock == CLOCK_REALTIME || clock == CLOCK_REALTIME_COARSE))
		at->tv_sec += seconds_off();
	return failed;
}

int gettimeofday(struct timeval *restrict at, void *restrict zone)
{
	int failed = (int)syscall(SYS_gettimeofday, at, zone);
	if (!failed)
		at->tv_sec += seconds_off();
	return failed;
}

time_t time(time_t *at)
{
	struct timespec now;
	clock_gettime(CLOCK_REALTIME, &now);
	if (at)
		*at = now.tv_sec;
	return now.tv_sec;
}

/* A wait until a time of the wall clock must become longer if the clock is set back, and shorter if it is set forward, as with
 * the kernel's clock; librdkafka waits in this way. So the wait is divided, and the clock is read again every 20 ms. */
int pthread_cond_timedwait(pthread_cond_t *restrict condition, pthread_mutex_t *restrict mutex,
			   const struct timespec *restrict until)
{
	const int64_t look_after = 20 * 1000 * 1000;
	for (;;) {
		struct timespec now, next;
		clock_gettime(CLOCK_REALTIME, &now);
		int64_t left = (until->tv_sec - now.tv_sec) * 1000000000 + until->tv_nsec - now.tv_nsec;
		if (left <= 0)
			return ETIMEDOUT;
		clock_gettime(CLOCK_MONOTONIC, &next);
		next.tv_nsec += left < look_after ? left : look_after;
		if (next.tv_nsec >= 1000000000) {
			next.tv_sec += 1;
			next.tv_nsec -= 1000000000;
		}
		int answer = pthread_cond_clockwait(condition, mutex, CLOCK_MONOTONIC, &next);
		if (answer != ETIMEDOUT)
			return answer;
	}
}

/* The same under C11's name. In glibc the types of both are the same. */
int cnd_timedwait(cnd_t *restrict condition, mtx_t *restrict mutex, const struct timespec *restrict until)
{
	switch (pthread_cond_timedwait((pthread_cond_t *)condition, (pthread_mutex_t *)mutex, until)) {
	case 0:
		return thrd_success;
	case ETIMEDOUT:
		return thrd_timedout;
	default:
		return thrd_error;
	}
}

int timespec_get(struct timespec *at, int base)
{
	return base == TIME_UTC && !clock_gettime(CLOCK_REALTIME, at) ? base : 0;
}
