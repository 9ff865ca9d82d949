/* Large memory that is read at random: whole pages from the kernel, none of them taken before it is touched. */
#ifndef CIDLB_BASE_PAGES_H
#define CIDLB_BASE_PAGES_H

#include <stddef.h>

/* Zeroed and aligned to a page. Only what is touched takes up memory. NULL: there is no memory. */
void *pages_take(size_t octets);

enum { PAGES_LARGE = 2 << 20 };

/* The same, in pages of PAGES_LARGE octets where that can be: for what is read so often and so much at random that
 * looking up its pages takes longer than reading it. With one octet all of its page takes up memory. */
void *pages_take_large(size_t octets);

/* Gives back what these gave for as many octets. NULL: nothing happens. */
void pages_return(void *pages, size_t octets);

#endif
