#include "machine/build_info.h"

#ifdef __GLIBC__
#include <gnu/libc-version.h>
#endif

#include "ops/probe_kernels.h"

// Without CMake (a file compiled by hand) the compiler still knows some of it.
#ifndef ATTNLAB_COMPILER
#define ATTNLAB_COMPILER __VERSION__
#endif
#ifndef ATTNLAB_BUILD_TYPE
#ifdef NDEBUG
#define ATTNLAB_BUILD_TYPE "unnamed, without debug checks"
#else
#define ATTNLAB_BUILD_TYPE "unnamed, with debug checks"
#endif
#endif
#ifndef ATTNLAB_GIT_REVISION
#define ATTNLAB_GIT_REVISION "unknown"
#endif
#ifndef ATTNLAB_BOOST_INCLUDES
#define ATTNLAB_BOOST_INCLUDES ""
#endif

namespace attnlab::experiment {

BuildInfo build_info() {
  BuildInfo info;
  info.compiler = ATTNLAB_COMPILER;
  info.build_type = ATTNLAB_BUILD_TYPE;
  info.git_revision = ATTNLAB_GIT_REVISION;
  info.boost_includes = ATTNLAB_BOOST_INCLUDES;
#ifdef ATTNLAB_LIBRARY_VERSIONS
  info.libraries = std::string(ATTNLAB_LIBRARY_VERSIONS) + ", ";
#endif
  info.libraries += "highway " + simd_library_version();
#ifdef __GLIBC__
  info.libraries += std::string(", glibc ") + gnu_get_libc_version();
#endif
  return info;
}

}  // namespace attnlab::experiment
