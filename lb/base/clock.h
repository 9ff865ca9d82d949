/* Monotonic time, which is another epoch's on every boot. Any thread. */
#ifndef CIDLB_BASE_CLOCK_H
#define CIDLB_BASE_CLOCK_H

#include <stdint.h>

int64_t clock_s(void);
uint64_t clock_ms(void);
uint64_t clock_us(void);

/* Of the last tick of the kernel's clock, which a hot path can afford: some milliseconds behind clock_ms(), never
 * ahead. */
uint64_t clock_coarse_ms(void);

#endif
