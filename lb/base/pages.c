#include "base/pages.h"

#include <sys/mman.h>

void *pages_take(size_t octets)
{
	void *pages = mmap(NULL, octets, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);

	if (pages == MAP_FAILED)
		return NULL;
	return pages;
}

void *pages_take_large(size_t octets)
{
	void *pages = pages_take(octets);

	/* Where the kernel has none, they are of the usual size. */
	if (pages && octets >= PAGES_LARGE)
		(void)madvise(pages, octets, MADV_HUGEPAGE);
	return pages;
}

void pages_return(void *pages, size_t octets)
{
	if (pages)
		(void)munmap(pages, octets);
}
