/* What every compiled file shares. Without OpenMP the pragmas say nothing and one thread does the work. */
#ifndef LIKEWISE_NATIVE_H
#define LIKEWISE_NATIVE_H

#include <stdint.h>

#ifdef _OPENMP
#include <omp.h>
static inline int64_t thread_number(void) { return omp_get_thread_num(); }
#else
static inline int64_t thread_number(void) { return 0; }
#endif

#endif
