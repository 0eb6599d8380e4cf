// What a build with a sanitizer has otherwise.
#pragma once

namespace attnlab {

#if defined(__SANITIZE_ADDRESS__) || defined(__SANITIZE_THREAD__)
/// The memory has a shadow, which is private memory too.
inline constexpr bool kHasShadow = true;
/// Limits of time allow for it.
inline constexpr double kTimesSlower = 4;
#else
inline constexpr bool kHasShadow = false;
inline constexpr double kTimesSlower = 1;
#endif

}  // namespace attnlab
