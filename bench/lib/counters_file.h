/* Numbers that whoever runs a program reads while it runs: a file, and the memory that it is. */
#ifndef CIDLB_BENCH_LIB_COUNTERS_FILE_H
#define CIDLB_BENCH_LIB_COUNTERS_FILE_H

#include <stddef.h>

/* Makes the file of so many octets, all 0, and maps it. It stays until the process ends. 0 or -errno. */
int counters_file_make(void **out, const char *path, size_t octets);

#endif
