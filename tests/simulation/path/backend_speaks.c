/* When servers speak unasked, or late. */
#include "tests/simulation/path/backend_priv.h"
#include "tests/simulation/path/world.h"

enum { NOTIFY_OCTETS = 96, PUSH_OCTETS = 1110, NOTIFY_TRIES = 3, NOTIFY_AGAIN_MS = 2000 };

void backend_answer(struct world *world, struct session *session, struct wire_message message)
{
	backend_say(world, session, (struct wire_message){ WIRE_ANSWER, message.number, 0 }, message.want);
}

static bool may_push(const struct world *world, const struct session *session)
{
	return backend_kind(world, session) != SERVER_LESHAN || addr_equal(&session->peer, &session->registered);
}

static void push_begin(struct world *world, struct session *session)
{
	if (session->acked != session->notified)
		tally_push(world, session, false);
	session->notified++;
	session->notify_tries = 0;
	session->acked = session->notified - 1;
}

/* Sends a new notification once in a while. One that is not acknowledged is sent a few times more. */
void backend_notify(struct world *world, int slot, uint32_t generation)
{
	struct session *session = backend_session(world, (struct session_name){ slot, generation });
	unsigned next_ms = NOTIFY_AGAIN_MS;

	if (!session || session->state != SESSION_ESTABLISHED)
		return;
	if (session->acked == session->notified || session->notify_tries == NOTIFY_TRIES)
		push_begin(world, session);
	session->notify_tries++;
	if (may_push(world, session))
		backend_say(world, session, (struct wire_message){ WIRE_NOTIFY, session->notified, 0 },
			    dice_percent(&world->dice, world->traits.hasty ? 100 : world->traits.large_percent / 2)
				    ? PUSH_OCTETS
				    : NOTIFY_OCTETS);
	else if (session->registered.port)
		tally_unregistered(world, session);
	if (world->traits.hasty)
		next_ms = dice_between(&world->dice, 20, 60);
	else if (session->notify_tries == NOTIFY_TRIES || dice_percent(&world->dice, 70))
		next_ms = dice_between(&world->dice, 5000, 120000);
	world_schedule(world, next_ms, EVENT_NOTIFY, slot, generation);
}

void backend_answer_late(struct world *world, int slot, uint32_t generation)
{
	struct session *session = backend_session(world, (struct session_name){ slot, generation });

	if (!session || !session->late.number)
		return;
	backend_answer(world, session, session->late);
	session->late.number = 0;
}
