/* Large memory that is read at random: whole pages from the kernel, none of them taken before it is touched. */
#ifndef CIDLB_BASE_PAGES_H
#define CIDLB_BASE_PAGES_H

#include <stddef.h>

/* Zeroed, aligned to a page; takes up memory where it is touched. NULL: cannot be had. */
void *pages_take(size_t octets);

/* What pages_take() gave for as many octets; NULL: nothing. */
void pages_return(void *pages, size_t octets);

#endif
