/* The Unix socket of commands (admin.socket): one line in, one line out, non-blocking on the control thread's event
 * loop.
 *
 * Who may connect is the file's mode, 0660, and its owner. At most a few clients at once, further ones wait; lines are
 * bounded, and a client that is silent, or does not read its answer, is let go. */
#ifndef CIDLB_ADMIN_SOCKET_H
#define CIDLB_ADMIN_SOCKET_H

#include <stdbool.h>
#include <stddef.h>
#include <sys/types.h>

#include <event2/event.h>

enum { ADMIN_SOCKET_LINE_OCTETS = 4096, ADMIN_SOCKET_CLIENTS = 8, ADMIN_SOCKET_IDLE_S = 30 };

/* 2.1.10: older ones go on accepting after a callback has disabled the listener, and read beyond a watermark. */
enum { ADMIN_SOCKET_LIBEVENT = 0x02010a00 };

struct admin_socket;
struct admin_client;

/* The answer to one line (NUL-terminated, without its newline) as one line without newline, malloc'd. NULL: out of
 * memory, and the client is let go. */
struct admin_socket_source {
	char *(*answer)(void *ctx, struct admin_client *client, const char *line);
	void *ctx;
};

struct admin_socket_path {
	const char *name;
	uid_t uid; /* whose it is, if root makes it */
	gid_t gid;
};

/* Makes the socket at `path`, and its directory if only that is missing. The file of a dead process is replaced.
 * -EADDRINUSE: a living process has it; -EEXIST: something else is there; else -errno. */
int admin_socket_open(struct admin_socket **out, struct event_base *base, const struct admin_socket_path *path,
		      const struct admin_socket_source *source);

/* Called while a line is answered: the client gets further lines after the answer, and what it says meanwhile is not
 * listened to. `gone` is called if it goes away before admin_socket_stream_end(). */
void admin_socket_stream_begin(struct admin_client *client, void (*gone)(void *ctx), void *ctx);

/* One more line, given without its newline. False: out of memory. */
bool admin_socket_stream_line(struct admin_client *client, const char *line);

/* Octets that the client has not read yet: its owner must give it no more when they are many. */
size_t admin_socket_stream_owed(const struct admin_client *client);

/* The client may ask again. */
void admin_socket_stream_end(struct admin_client *client);

/* Lets everybody go and removes the file if it is still this one and the directory lets us. */
void admin_socket_close(struct admin_socket *door);

#endif
