/* What the HTTP door answers: the pages, and who may see them. Control thread. */
#ifndef CIDLB_ADMIN_HTTP_PAGES_H
#define CIDLB_ADMIN_HTTP_PAGES_H

#include <event2/buffer.h>

#include "admin/http.h"
#include "admin/http_request.h"

/* Adds the whole answer to `out`. 0, or -ENOMEM. */
int http_pages_answer(struct evbuffer *out, const struct admin_http_source *source, const struct http_request *request);

/* The same for a request that is refused with this status. */
int http_pages_refuse(struct evbuffer *out, int status);

#endif
