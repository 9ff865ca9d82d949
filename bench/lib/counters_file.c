#include "bench/lib/counters_file.h"

#include <errno.h>
#include <fcntl.h>
#include <sys/mman.h>
#include <unistd.h>

int counters_file_make(void **out, const char *path, size_t octets)
{
	int fd = open(path, O_RDWR | O_CREAT | O_TRUNC | O_CLOEXEC, 0644), err = 0;
	void *at;

	if (fd < 0)
		return -errno;
	if (ftruncate(fd, (off_t)octets))
		err = -errno;
	at = err ? MAP_FAILED : mmap(NULL, octets, PROT_READ | PROT_WRITE, MAP_SHARED, fd, 0);
	if (!err && at == MAP_FAILED)
		err = -errno;
	close(fd);
	*out = at;
	return err;
}
