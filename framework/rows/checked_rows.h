// Rows that check their caller's arguments: a cache policy that names rows that do not exist, twice or out of order, or
// appends rows of another shape, gets an Error, and memory and numbers stay intact. Rows of every storage are wrapped
// in this way.
#pragma once

#include <memory>

#include <attnlab/cache_policy.h>

namespace attnlab {

/// The rows of a storage with the same meaning; broken rules are errors (base/plugin_call).
[[nodiscard]] std::unique_ptr<KvRows> checked_rows(std::unique_ptr<KvRows> rows, const KvShape& shape, int sequences);

}  // namespace attnlab
