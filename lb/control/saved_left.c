#include "control/saved_priv.h"

#include <errno.h>

bool saved_left(const struct saved *saved)
{
	return json_is_true(json_object_get(saved->root, "left"));
}

int saved_set_left(struct saved *saved, bool left)
{
	if (left == saved_left(saved))
		return 0;
	if (!left)
		(void)json_object_del(saved->root, "left");
	else if (json_object_set_new(saved->root, "left", json_true()) < 0)
		return -ENOMEM;
	saved->due = true;
	return saved_save(saved);
}
