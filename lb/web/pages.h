/* The files of the dashboard as they lie in this folder, embedded. They are served as they are, by admin/http_pages. */
#ifndef CIDLB_WEB_PAGES_H
#define CIDLB_WEB_PAGES_H

#include <stddef.h>

struct web_file {
	const char *path, *type; /* where it is served, and as which media type */
	const unsigned char *octets;
	size_t len;
};

enum { WEB_FILES = 6 };
extern const struct web_file web_files[WEB_FILES];

#endif
