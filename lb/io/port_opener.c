#include "io/port_opener.h"

#include <pthread.h>
#include <stdbool.h>
#include <stdlib.h>

/* Lives on the stack of who asks. */
struct request {
	const struct port_sockets *ports;
	uint16_t port;
	bool answered;
	int fd; /* or -errno */
	struct request *next;
};

struct port_opener {
	pthread_t thread;
	bool runs;
	pthread_mutex_t lock; /* of what follows; held for a few instructions at a time */
	pthread_cond_t asked, answered;
	struct request *first, **end; /* those that wait, in the order in which they came */
	bool ends;
};

struct port_opener *port_opener_new(void)
{
	struct port_opener *opener = calloc(1, sizeof *opener);

	if (!opener)
		return NULL;
	pthread_mutex_init(&opener->lock, NULL);
	pthread_cond_init(&opener->asked, NULL);
	pthread_cond_init(&opener->answered, NULL);
	opener->end = &opener->first;
	return opener;
}

/* Takes the request that has waited longest. NULL: the thread is to end. The lock is held. */
static struct request *request_take(struct port_opener *opener)
{
	struct request *request;

	while (!opener->first && !opener->ends)
		pthread_cond_wait(&opener->asked, &opener->lock);
	request = opener->first;
	if (!request)
		return NULL;
	opener->first = request->next;
	if (!opener->first)
		opener->end = &opener->first;
	return request;
}

static void *opener_run(void *arg)
{
	struct port_opener *opener = arg;
	struct request *request;

	pthread_mutex_lock(&opener->lock);
	while ((request = request_take(opener))) {
		int fd;

		pthread_mutex_unlock(&opener->lock);
		fd = port_sockets_bind(request->ports, request->port);
		pthread_mutex_lock(&opener->lock);
		request->fd = fd;
		request->answered = true;
		pthread_cond_broadcast(&opener->answered);
	}
	pthread_mutex_unlock(&opener->lock);
	return NULL;
}

int port_opener_start(struct port_opener *opener)
{
	int err = pthread_create(&opener->thread, NULL, opener_run, opener);

	opener->runs = err == 0;
	return -err;
}

void port_opener_free(struct port_opener *opener)
{
	if (!opener)
		return;
	if (opener->runs) {
		pthread_mutex_lock(&opener->lock);
		opener->ends = true;
		pthread_cond_signal(&opener->asked);
		pthread_mutex_unlock(&opener->lock);
		pthread_join(opener->thread, NULL);
	}
	pthread_mutex_destroy(&opener->lock);
	pthread_cond_destroy(&opener->asked);
	pthread_cond_destroy(&opener->answered);
	free(opener);
}

int port_opener_bind(struct port_opener *opener, const struct port_sockets *ports, uint16_t port)
{
	struct request request = { .ports = ports, .port = port };

	if (!opener->runs)
		return port_sockets_bind(ports, port);
	pthread_mutex_lock(&opener->lock);
	*opener->end = &request;
	opener->end = &request.next;
	pthread_cond_signal(&opener->asked);
	while (!request.answered)
		pthread_cond_wait(&opener->answered, &opener->lock);
	pthread_mutex_unlock(&opener->lock);
	return request.fd;
}
