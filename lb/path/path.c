#include "path/path.h"

#include <errno.h>

#include "path/errors.h"

/* io_drain. It is called while a batch is sent, so the thread is on-line. */
static size_t drain(void *ctx, int handle, uint32_t queue)
{
	struct path *path = ctx;

	return errors_drain(path, publisher_read(path->publisher), queue, handle);
}

static void handles_begin(struct path *path)
{
	for (size_t i = 0; i < STATS_LISTENERS; i++)
		atomic_init(&path->listener_handles[i], -1);
	for (size_t i = 0; i < STATS_POOLS; i++)
		atomic_init(&path->pool_handles[i], -1);
	for (size_t i = 0; i < BARES; i++)
		atomic_init(&path->bare_handles[i], -1);
	for (size_t family = 0; family < IO_FAMILIES; family++)
		for (size_t port = 0; port < 1 << 16; port++)
			atomic_init(&path->endpoint_handles[family][port], -1);
}

static int no_port(void *ctx, struct port_sockets *ports, uint16_t port)
{
	(void)ctx;
	(void)ports;
	(void)port;
	return -EMFILE;
}

int path_begin(struct path *path, const struct path_shared *shared, struct io *io)
{
	handles_begin(path);
	path->publisher = shared->publisher;
	path->flows = shared->flows;
	path->service_addrs = shared->service_addrs;
	path->limit = shared->limit;
	path->allowances = shared->allowances;
	path->hello_key = shared->hello_key;
	/* Of two workers' packets between the same two addresses no fragments may be taken for each other's. */
	path->fragment_id = (uint32_t)siphash24(&path->hello_key.random, &path, sizeof path);
	path->alarm = shared->alarm;
	path->handshakes = shared->handshakes;
	path->open_port = no_port;
	path->io = io;
	path->outbox = io_outbox_new(io, drain, path);
	return path->outbox ? 0 : -ENOMEM;
}

void path_end(struct path *path)
{
	io_outbox_free(path->outbox);
}
