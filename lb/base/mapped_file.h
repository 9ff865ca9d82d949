/* A file of fixed size that is mapped, and is this process's alone as long as it is open. What is written to its memory
 * outlives the process, however that ends; a crash of the machine it may not outlive. */
#ifndef CIDLB_BASE_MAPPED_FILE_H
#define CIDLB_BASE_MAPPED_FILE_H

#include <stddef.h>

struct mapped_file {
	int fd;       /* -1: none */
	void *memory; /* aligned to a page */
	size_t octets;
};

/* Maps the whole of `file`. -ENOENT; -EINVAL: no regular file (nor is a link followed), or it is empty; -EAGAIN:
 * another process has it; -errno. On an error `out` is none. */
int mapped_file_open(struct mapped_file *out, const char *file);

/* Makes a file of zeros, all of which has its place on the disk. It takes the place of a file of that name. As root,
 * gives it to the owner of its directory. */
int mapped_file_make(struct mapped_file *out, const char *file, size_t octets);

void mapped_file_close(struct mapped_file *file);

#endif
