#include "steering.h"

const struct steering steering_none = { .admin = BACKEND_READY, .percent = 100 };
