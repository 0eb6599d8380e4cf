// Rows whose caller is looked at: a cache policy that names rows which are not there, twice or out of order, or that
// appends rows of another shape, is told so instead of spoiling memory or numbers. Every storage is handed out so.
#pragma once

#include <memory>

#include <attnlab/cache_policy.h>

namespace attnlab {

/// The rows of a storage with the same meaning; broken rules are errors (base/plugin_call).
[[nodiscard]] std::unique_ptr<KvRows> checked_rows(std::unique_ptr<KvRows> rows, const KvShape& shape, int sequences);

}  // namespace attnlab
