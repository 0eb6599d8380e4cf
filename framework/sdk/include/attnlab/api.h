// Export mark and the always-on checks. Everything else in libattnlab is hidden.
#pragma once

#define ATTNLAB_API __attribute__((visibility("default")))

namespace attnlab {

/// Reports a programming error with its place and aborts. While a plugin is being called, the error is thrown with the
/// plugin's name instead. Never used for what a user can get wrong: that is `attnlab::Error`.
[[noreturn]] ATTNLAB_API void check_failed(const char* condition, const char* file, int line, const char* message);

}  // namespace attnlab

/// Always on. For conditions that only a mistake in the code can break.
#define ATTNLAB_CHECK(condition, message) \
  (static_cast<bool>(condition) ? void() : ::attnlab::check_failed(#condition, __FILE__, __LINE__, message))

/// Inside loops: on in debug and sanitizer builds only.
#ifdef NDEBUG
#define ATTNLAB_DCHECK(condition, message) void()
#else
#define ATTNLAB_DCHECK(condition, message) ATTNLAB_CHECK(condition, message)
#endif
