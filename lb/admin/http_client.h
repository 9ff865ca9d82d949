/* One connection to admin.http: its request, its answer and its end. Owner: the door (http.c), in whose slots it lives.
 * Control thread. */
#ifndef CIDLB_ADMIN_HTTP_CLIENT_H
#define CIDLB_ADMIN_HTTP_CLIENT_H

#include "admin/http.h"
#include "admin/http_request.h"

/* What is awaited from a connection. HTTP_PAUSE: nothing; what it still sends waits. */
enum http_phase { HTTP_FREE, HTTP_REQUEST, HTTP_ANSWER, HTTP_END, HTTP_PAUSE };

struct http_client {
	struct admin_http *admin;
	enum http_phase phase; /* HTTP_FREE: there is none, and only `admin` is set */
	int fd;
	uint64_t begun_ms; /* when it was accepted */
	uint64_t moved_ms; /* when octets last went either way */
	uint64_t until_ms; /* the end of this phase's time */
	struct event *event;
	struct evbuffer *out;
	size_t len;
	char head[HTTP_HEAD_OCTETS];
};

struct admin_http {
	struct event_base *base;
	int fd, spare; /* spare: a descriptor that is given up to let somebody in; -1: it is */
	struct event *listen, *retry;
	struct admin_http_source source;
	struct http_client clients[ADMIN_HTTP_CLIENTS];
};

/* Takes over the descriptor into a free slot, and answers at once what has been asked. Without memory it only closes
 * it. */
void http_client_begin(struct http_client *client, int fd);
void http_client_end(struct http_client *client);

/* One connection has had its turn. */
void http_served(struct admin_http *admin);

/* Has a descriptor in reserve again, if there is one. */
void http_spare_take(struct admin_http *admin);

#endif
