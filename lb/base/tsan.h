/* Tells ThreadSanitizer of the orderings that liburcu makes where it cannot see them: memory is changed, reused or
 * freed after a grace period. Other builds get nothing. */
#ifndef CIDLB_BASE_TSAN_H
#define CIDLB_BASE_TSAN_H

#if defined(__SANITIZE_THREAD__)
#define RACE_CHECKED 1
#elif defined(__has_feature)
#if __has_feature(thread_sanitizer)
#define RACE_CHECKED 1
#endif
#endif

#ifdef RACE_CHECKED
void __tsan_acquire(void *addr);
void __tsan_release(void *addr);
#define tsan_acquire(addr) __tsan_acquire(addr)
#define tsan_release(addr) __tsan_release(addr)
#else
#define tsan_acquire(addr) ((void)(addr))
#define tsan_release(addr) ((void)(addr))
#endif

#endif
