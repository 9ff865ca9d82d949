#include "tests/simulation/path/trace.h"

#include <stdarg.h>
#include <stdio.h>

#include "tests/simulation/path/world.h"

static void cid_print(const struct wire_cid *cid)
{
	printf(" cid ");
	for (int i = 0; i < cid->len; i++)
		printf("%02x", cid->octets[i]);
}

static void begin(const struct world *world)
{
	printf("%llu %llu ms ", (unsigned long long)world->steps, (unsigned long long)world->now_ms);
}

void trace_datagram(const struct world *world, const struct datagram *datagram)
{
	static const char *const legs[] = { "at listener", "at backend", "at endpoint", "at device" };
	char from[ADDR_TEXT_OCTETS], to[ADDR_TEXT_OCTETS];

	if (!world->traced)
		return;
	begin(world);
	printf("%s: %zu octets,", legs[datagram->leg], datagram->wire.len);
	if (datagram->shape.hello)
		printf(" hello");
	if (datagram->shape.plain_before || datagram->shape.plain_behind)
		printf(datagram->shape.plain_before ? " clear before" : " clear behind");
	if (datagram->shape.has_cid)
		cid_print(&datagram->shape.cid);
	if (datagram->session.slot != NOBODY)
		printf(" session %d", datagram->session.slot);
	if (datagram->address != NOBODY)
		printf(" address %d device %d service %d", datagram->address, world->holder[datagram->address],
		       datagram->service);
	if (datagram->leg == LEG_BACKEND || datagram->leg == LEG_ENDPOINT || datagram->address >= ADDRESS_BACKENDS)
		printf(" from %s to %s", addr_format(&datagram->from, from), addr_format(&datagram->to, to));
	printf("\n");
}

void trace_event(const struct world *world, const char *format, ...)
{
	va_list args;

	if (!world->traced)
		return;
	begin(world);
	va_start(args, format);
	vprintf(format, args);
	va_end(args);
	printf("\n");
}
