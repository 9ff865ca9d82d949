#include "bench/lib/net.h"

#include <errno.h>
#include <fcntl.h>
#include <sched.h>
#include <unistd.h>

int net_enter(const char *file)
{
	int fd = file ? open(file, O_RDONLY | O_CLOEXEC) : -1, err = 0;

	if (!file)
		return 0;
	if (fd < 0)
		return -errno;
	if (setns(fd, CLONE_NEWNET))
		err = -errno;
	close(fd);
	return err;
}
