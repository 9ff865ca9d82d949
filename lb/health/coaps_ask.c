#include "health/coaps.h"

#include <event2/util.h>

#include "health/probe_hello.h"

void coaps_wake_later(struct coaps *coaps)
{
	uint64_t left_us = probe_left_us(&coaps->probe);
	uint64_t us = coaps->phase == PHASE_HANDSHAKE ? dtls_session_left_us(&coaps->dtls)
						      : (uint64_t)coaps->probe.spec.how.timeout_ms * 1000 / COAPS_STEPS;

	probe_wake_in(&coaps->probe, us < left_us ? us : left_us);
}

void coaps_say_hello(struct coaps *coaps)
{
	struct probe_port *port = coaps->dtls.away;
	uint8_t hello[PROBE_HELLO_OCTETS], random[PROBE_HELLO_RANDOM_OCTETS];
	int err = probe_port_is_open(port) ? 0 : probe_port_open(port, &coaps->probe);

	evutil_secure_rng_get_bytes(random, sizeof random);
	probe_hello_write(hello, random);
	probe_hello_number(hello, coaps->hellos++);
	coaps->greeted = true;
	if (!err)
		err = probe_port_send(port, hello, sizeof hello);
	if (!err)
		coaps_wake_later(coaps);
	else
		coaps_fail(coaps, err);
}

void coaps_ask(struct coaps *coaps)
{
	enum probe_get_from from = coaps->moving && coaps->step < COAPS_STEP_HOME ? PROBE_GET_AWAY : PROBE_GET_HOME;
	uint8_t question[PROBE_GET_OCTETS];
	size_t len;
	int err;

	if (coaps->get.accepted || coaps->step >= COAPS_STEP_SILENT ||
	    (coaps->fresh && coaps->step >= COAPS_STEP_HELLO)) {
		coaps_wake_later(coaps);
		return;
	}
	if (coaps->step >= COAPS_STEP_HELLO) {
		coaps_say_hello(coaps);
		return;
	}
	len = probe_get_write(&coaps->get, from, coaps->probe.spec.how.path, question);
	err = dtls_session_write(&coaps->dtls, from == PROBE_GET_AWAY ? coaps->dtls.away : coaps->dtls.home, question,
				 len);
	if (!err)
		coaps_wake_later(coaps);
	else
		coaps_fail(coaps, err);
}

void coaps_begin_asking(struct coaps *coaps, enum coaps_age age)
{
	uint8_t random[PROBE_GET_RANDOM_OCTETS];
	int err = 0;

	coaps->phase = PHASE_ASK;
	coaps->step = 0;
	coaps->fresh = age == COAPS_FRESH;
	coaps->moving = coaps->dtls.cid_len > 0 && !(coaps->fresh && coaps->losses > 0);
	evutil_secure_rng_get_bytes(random, sizeof random);
	probe_get_init(&coaps->get, random);
	if (coaps->moving)
		err = probe_port_open(coaps->dtls.away, &coaps->probe);
	if (!err)
		coaps_ask(coaps);
	else
		coaps_fail(coaps, err);
}
