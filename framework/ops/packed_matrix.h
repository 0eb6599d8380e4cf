// How much variants pack for themselves (PackedMatrix in attnlab/ops.h): counted here, since the owner of a variant
// does not see the variant's members.
#pragma once

#include <cstdint>

#include <attnlab/api.h>

namespace attnlab {

/// Bytes of the packed matrices that this thread has made and not destroyed; the difference before and after a call is
/// what the call packed. Can be negative, where one was destroyed by another thread than made it.
[[nodiscard]] ATTNLAB_API std::int64_t live_packed_bytes() noexcept;

}  // namespace attnlab
