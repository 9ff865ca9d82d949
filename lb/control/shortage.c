#include "control/shortage.h"

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
