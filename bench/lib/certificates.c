#include "bench/lib/certificates.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

enum { CERTIFICATES_OCTETS = 16384 };

static int read_text(char **out, const char *file)
{
	FILE *in = fopen(file, "re");
	if (!in)
		return -errno;
	char *text = calloc(1, CERTIFICATES_OCTETS + 1);
	const size_t len = text ? fread(text, 1, CERTIFICATES_OCTETS + 1, in) : 0;
	int err = !text ? -ENOMEM : ferror(in) ? -EIO : 0;
	fclose(in);
	if (!err && (len > CERTIFICATES_OCTETS || strlen(text) < len))
		err = -EINVAL;
	if (err)
		free(text);
	else
		*out = text;
	return err;
}

int certificates_read(char **out, const char *file)
{
	const int err = read_text(out, file);
	if (err == -EINVAL)
		fprintf(stderr, "--certificates: %s: accepted: PEM of at most %d octets\n", file, CERTIFICATES_OCTETS);
	else if (err)
		fprintf(stderr, "--certificates: %s: %s\n", file, strerror(-err));
	return err;
}
