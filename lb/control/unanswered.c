#include "control/unanswered.h"

enum unanswered_news unanswered_look(struct unanswered *unanswered, uint64_t begun, uint64_t answered, int64_t now_s)
{
	const bool told = unanswered->told;

	if (!unanswered->looked || answered != unanswered->answered) {
		*unanswered =
			(struct unanswered){ .looked = true, .before = begun, .answered = answered, .many_s = now_s };
		return told ? UNANSWERED_ENDS : UNANSWERED_NO_NEWS;
	}
	unanswered->in_a_row = begun - unanswered->before;
	if (unanswered->in_a_row < UNANSWERED_MANY) {
		unanswered->many_s = now_s;
		return UNANSWERED_NO_NEWS;
	}
	if (told || now_s - unanswered->many_s < UNANSWERED_S)
		return UNANSWERED_NO_NEWS;
	unanswered->told = true;
	return UNANSWERED_BEGINS;
}
