#include "bench/lib/tunnel_keys.h"

#include <errno.h>
#include <stdio.h>
#include <string.h>

enum { KEY_FILE_OCTETS = 1024 };

int tunnel_keys_read(struct proxy2_keys *out, const char *file)
{
	char text[KEY_FILE_OCTETS];
	FILE *in = fopen(file, "re");

	if (!in)
		return -errno;
	const size_t len = fread(text, 1, sizeof text, in);
	int err = ferror(in) ? -EIO : len == sizeof text ? -EINVAL : 0;
	fclose(in);
	if (!err) {
		text[len] = '\0';
		err = strlen(text) == len ? proxy2_parse_keys(out, text) : -EINVAL;
	}
	explicit_bzero(text, sizeof text);
	return err;
}

int tunnel_keys_option(struct proxy2_keys *out, const char *file)
{
	int err = tunnel_keys_read(out, file);

	if (err)
		fprintf(stderr, "--tunnel: %s: %s; accepted: a line ID:HEX per key\n", file, strerror(-err));
	return err;
}
