#include "control/shortage.h"

#include <inttypes.h>

#include "base/log.h"
#include "common/plural.h"

enum shortage_news shortage_look(struct shortage *shortage, uint64_t refused)
{
	bool more = refused != shortage->refused;

	if (more && !shortage->lasts)
		shortage->before = shortage->refused;
	shortage->refused = refused;
	if (more) {
		bool begins = !shortage->lasts;

		shortage->lasts = true;
		shortage->quiet_looks = 0;
		return begins ? SHORTAGE_BEGINS : SHORTAGE_NO_NEWS;
	}
	if (!shortage->lasts || ++shortage->quiet_looks < SHORTAGE_QUIET_LOOKS)
		return SHORTAGE_NO_NEWS;
	shortage->lasts = false;
	return SHORTAGE_ENDS;
}

void shortage_tell_over(const struct shortage *shortage, const char *event, const char *pool, const char *backend)
{
	const uint64_t cost = shortage->refused - shortage->before;

	log_fields(&(struct log_what){ LOG_LEVEL_INFO, event, pool, backend,
				       LOG_FIELDS(LOG_TEXT("phase", "over"), LOG_NUMBER("times", cost)) },
		   "over; it happened %" PRIu64 " time%s", cost, PLURAL(cost));
}

void shortage_tell(struct shortage *shortage, uint64_t refused, const char *event, const char *pool, const char *what)
{
	switch (shortage_look(shortage, refused)) {
	case SHORTAGE_BEGINS:
		log_fields(&(struct log_what){ LOG_LEVEL_WARNING, event, pool, NULL,
					       LOG_FIELDS(LOG_TEXT("phase", "begins"), LOG_TEXT("reason", what)) },
			   "%s", what);
		return;
	case SHORTAGE_ENDS:
		shortage_tell_over(shortage, event, pool, NULL);
		return;
	case SHORTAGE_NO_NEWS:
		return;
	}
}
