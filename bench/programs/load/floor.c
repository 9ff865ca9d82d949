/* cidlb-floor: the least that forwarding over sockets costs. It asks of the kernel what mode nat of cidlb does: epoll,
 * batches of 32, the same socket options, IP_PKTINFO in both directions on each datagram. It does almost nothing else.
 * The last bits of a device's address are its number. Its server and endpoint follow from that number, and the way back
 * is an array element. */
#include <errno.h>
#include <getopt.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/epoll.h>

#include "bench/lib/options.h"
#include "bench/programs/load/addr_block.h"
#include "bench/programs/load/packet.h"

enum { EXIT_USAGE = 2, EVENTS = 2 };

static const char usage[] = "usage: cidlb-floor --listen A:P --from A:P --servers A:P [--server-count N]\n"
			    "\n"
			    "Forwards datagrams of a /12 from addresses of another one to a server of their source's, "
			    "and answers back. IPv4.\n"
			    "  --listen A:P        where devices send to; required\n"
			    "  --from A:P          what servers see: the first address of a /12, and a port; required\n"
			    "  --servers A:P       the first of the servers, which are on consecutive ports; required\n"
			    "  --server-count N    1..64 (default 3)\n";

struct bare {
	struct sockaddr_in listen, from, servers[LOAD_SERVERS_MAX];
	uint32_t server_count;
	int down_fd, up_fd;
	struct packet_batch batch;
	struct sockaddr_in devices[BLOCK_ADDRESSES];
};

static void forward_up(struct bare *bare)
{
	struct packet_batch *batch = &bare->batch;
	unsigned count = packet_receive(batch, bare->down_fd);

	for (unsigned i = 0; i < count; i++) {
		uint32_t number = block_number(ntohl(batch->names[i].sin_addr.s_addr));

		bare->devices[number] = batch->names[i];
		batch->names[i] = bare->servers[number % bare->server_count];
		batch->vectors[i][0].iov_len = batch->headers[i].msg_len;
		packet_set_local(&batch->headers[i].msg_hdr, batch->control[i],
				 ntohl(bare->from.sin_addr.s_addr) + number);
	}
	packet_send(batch->headers, count, bare->up_fd);
}

static void forward_down(struct bare *bare)
{
	struct packet_batch *batch = &bare->batch;
	unsigned count = packet_receive(batch, bare->up_fd);

	for (unsigned i = 0; i < count; i++) {
		batch->names[i] = bare->devices[block_number(packet_local(batch, i))];
		batch->vectors[i][0].iov_len = batch->headers[i].msg_len;
		packet_set_local(&batch->headers[i].msg_hdr, batch->control[i], ntohl(bare->listen.sin_addr.s_addr));
	}
	packet_send(batch->headers, count, bare->down_fd);
}

static int watch(int epoll, int fd)
{
	struct epoll_event event = { .events = EPOLLIN, .data.fd = fd };

	return fd < 0 ? fd : epoll_ctl(epoll, EPOLL_CTL_ADD, fd, &event) ? -errno : 0;
}

static int run(struct bare *bare)
{
	const struct sockaddr_in any = { .sin_family = AF_INET, .sin_port = bare->from.sin_port };
	struct epoll_event events[EVENTS];
	int epoll = epoll_create1(EPOLL_CLOEXEC), err;

	bare->down_fd = packet_bind(&bare->listen);
	bare->up_fd = packet_bind(&any);
	if ((err = watch(epoll, bare->down_fd)) || (err = watch(epoll, bare->up_fd)))
		return err;
	for (;;) {
		int count = epoll_wait(epoll, events, EVENTS, -1);

		if (count < 0 && errno != EINTR)
			return -errno;
		for (int i = 0; i < count; i++)
			(events[i].data.fd == bare->down_fd ? forward_up : forward_down)(bare);
	}
}

static bool are_v4(const struct addr *a, const struct addr *b, const struct addr *c)
{
	return a->port && b->port && c->port && addr_is_v4(a) && addr_is_v4(b) && addr_is_v4(c);
}

static int read_options(struct bare *bare, int argc, char **argv)
{
	static const struct option options[] = {
		{ "listen", required_argument, NULL, 'l' },  { "from", required_argument, NULL, 'f' },
		{ "servers", required_argument, NULL, 's' }, { "server-count", required_argument, NULL, 'n' },
		{ "help", no_argument, NULL, 'h' },          { NULL, 0, NULL, 0 },
	};
	struct addr listen = { .port = 0 }, first = { .port = 0 }, from = { .port = 0 };
	uint64_t count = 3;
	int option, at, err = 0;

	while (!err && (option = getopt_long(argc, argv, "", options, &at)) != -1) {
		switch (option) {
		case 'l':
			err = option_addr(&listen, "listen", optarg);
			break;
		case 'f':
			err = option_addr(&from, "from", optarg);
			break;
		case 's':
			err = option_addr(&first, "servers", optarg);
			break;
		case 'n':
			err = option_number(&count, "server-count", optarg, 1, LOAD_SERVERS_MAX);
			break;
		case 'h':
			fputs(usage, stdout);
			exit(EXIT_SUCCESS);
		default:
			return -EINVAL;
		}
	}
	if (err)
		return err;
	if (optind != argc)
		return option_left_over(argv[optind]);
	if (!listen.port || !from.port || !first.port)
		return option_missing(!listen.port ? "listen" : !from.port ? "from" : "servers");
	if (!are_v4(&listen, &first, &from))
		return option_refuse("--listen, --from and --servers: accepted: IPv4 addresses");
	if (!block_is_first(ntohl(packet_name(&from).sin_addr.s_addr)))
		return option_refuse("--from: accepted: the first address of a /12");
	bare->listen = packet_name(&listen);
	bare->from = packet_name(&from);
	bare->server_count = (uint32_t)count;
	for (; count > 0; count--) {
		bare->servers[count - 1] = packet_name(&first);
		bare->servers[count - 1].sin_port = htons((uint16_t)(first.port + count - 1));
	}
	return 0;
}

int main(int argc, char **argv)
{
	static struct bare bare;

	if (read_options(&bare, argc, argv))
		return EXIT_USAGE;
	fprintf(stderr, "cannot forward: %s\n", strerror(-run(&bare)));
	return EXIT_FAILURE;
}
