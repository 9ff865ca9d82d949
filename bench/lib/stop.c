#include "bench/lib/stop.h"

#include <stddef.h>

static volatile sig_atomic_t stop;

static void on_end(int signal)
{
	(void)signal;
	stop = 1;
}

volatile sig_atomic_t *stop_on_signal(void)
{
	const struct sigaction end = { .sa_handler = on_end };

	sigaction(SIGTERM, &end, NULL);
	sigaction(SIGINT, &end, NULL);
	return &stop;
}
