/* Large memory that is read at random: whole pages from the kernel, none of them taken before it is touched. */
#ifndef CIDLB_BASE_PAGES_H
#define CIDLB_BASE_PAGES_H

#include <stddef.h>

/* Zeroed and aligned to a page. Only what is touched takes up memory. NULL: there is no memory. */
void *pages_take(size_t octets);

/* Gives back what pages_take() gave for as many octets. NULL: nothing happens. */
void pages_return(void *pages, size_t octets);

#endif
