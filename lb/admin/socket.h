/* The Unix socket of commands (admin.socket): one line in, one line out. Non-blocking, on the control thread's event
 * loop.
 *
 * The owner of the file and its mode, 0660, decide who may connect. ADMIN_SOCKET_CLIENTS are served at once, apart from
 * those of admin.http. One more ends the one that has asked nothing for longest, of those that had some milliseconds; a
 * client with a stream goes last. So a command always gets in, however many come at once. Lines are bounded, and so is
 * the time for a line and for reading its answer, however it is cut into pieces. */
#ifndef CIDLB_ADMIN_SOCKET_H
#define CIDLB_ADMIN_SOCKET_H

#include <stdbool.h>
#include <stddef.h>
#include <sys/types.h>

#include <event2/event.h>

enum { ADMIN_SOCKET_LINE_OCTETS = 4096, ADMIN_SOCKET_CLIENTS = 32, ADMIN_SOCKET_IDLE_S = 30 };

/* libevent 2.1.10. Older ones go on accepting after a callback has disabled the listener, and read beyond a
 * watermark. */
enum { ADMIN_SOCKET_LIBEVENT = 0x02010a00 };

struct admin_socket;
struct admin_client;

/* `answer` takes one line, NUL-terminated and without its newline. It returns one line without newline, malloc'd. NULL:
 * out of memory, and the client is let go. */
struct admin_socket_source {
	char *(*answer)(void *ctx, struct admin_client *client, const char *line);
	void *ctx;
};

struct admin_socket_path {
	const char *name;
	uid_t uid; /* owner of the file, if root makes it */
	gid_t gid;
};

/* Makes the socket at `path`, and its directory if only that is missing. The socket of a dead process is replaced.
 * -EADDRINUSE: a living process has it. -EEXIST: something else is there. -EINVAL: `path` is relative or too long. Else
 * -errno. */
int admin_socket_open(struct admin_socket **out, struct event_base *base, const struct admin_socket_path *path,
		      const struct admin_socket_source *source);

/* Called while a line is answered. The client gets further lines after the answer, and what it sends meanwhile is
 * dropped. `gone` is called if it goes away before admin_socket_stream_end(). */
void admin_socket_stream_begin(struct admin_client *client, void (*gone)(void *ctx), void *ctx);

/* One more line, given without its newline. False: out of memory. */
bool admin_socket_stream_line(struct admin_client *client, const char *line);

/* Octets that the client has not read yet. If they are many, the owner of the stream must add no more. */
size_t admin_socket_stream_owed(const struct admin_client *client);

/* Ends the stream. The client may ask again. */
void admin_socket_stream_end(struct admin_client *client);

/* Lets everybody go. Removes the file if it is still this one and the directory permits it. NULL is fine. */
void admin_socket_close(struct admin_socket *door);

#endif
