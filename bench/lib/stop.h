#ifndef CIDLB_BENCH_LIB_STOP_H
#define CIDLB_BENCH_LIB_STOP_H

#include <signal.h>

/* From now on SIGTERM and SIGINT do nothing but set what it returns, which begins as 0. */
volatile sig_atomic_t *stop_on_signal(void);

#endif
