/* What --certificates names, for session_options: a file in PEM. */
#ifndef CIDLB_BENCH_LIB_CERTIFICATES_H
#define CIDLB_BENCH_LIB_CERTIFICATES_H

/* *out is the caller's, to be freed. -EINVAL: not a text, or longer than 16 KiB; it has said so. Otherwise the errno of
 * the file, which it has told too. */
int certificates_read(char **out, const char *file);

#endif
