#include "base/std_files.h"

#include <fcntl.h>
#include <unistd.h>

/* open() takes the lowest number. Where there is no /dev/null, a directory does: nothing can be written to it. */
void std_files_open(void)
{
	for (int fd = STDIN_FILENO; fd <= STDERR_FILENO; fd++)
		if (fcntl(fd, F_GETFD) < 0 && open("/dev/null", O_RDWR) != fd)
			(void)open("/", O_RDONLY | O_DIRECTORY);
}
