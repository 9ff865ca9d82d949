/* The configuration that off-line commands look into. */
#ifndef CIDLB_CTL_CONFIGURATION_H
#define CIDLB_CTL_CONFIGURATION_H

#include "conf/conf.h"

/* To be freed with conf_free(). NULL: its mistakes were printed. */
struct conf *configuration_load(const char *file);

#endif
