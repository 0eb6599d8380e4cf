// Laws of storages: appended rows are read back, whatever happened to other rows, and take the declared bytes.
#pragma once

#include <optional>

#include "conformance/check.h"

namespace attnlab::experiment::conformance {

/// Rows come back within the error that the codec declares for them; what is not rounded, exactly.
[[nodiscard]] std::optional<Finding> reads_back(Subject& subject, Kind kind);
/// Full pages take `row_bytes` for each row, and a list what `list_bytes` says.
[[nodiscard]] std::optional<Finding> row_bytes_are_exact(Subject& subject, Kind kind);
/// Every row has the same bits alone, in pieces of any size, as whole tiles, and for every thread.
[[nodiscard]] std::optional<Finding> any_cut_reads_the_same(Subject& subject, Kind kind);
/// Appended in pieces, forked, taken back, dropped from, replaced, saved and restored: the rows that stay are the same.
[[nodiscard]] std::optional<Finding> other_rows_change_nothing(Subject& subject, Kind kind);
/// Rows of wrong sizes are refused, and widths that the storage cannot hold, by an Error.
[[nodiscard]] std::optional<Finding> wrong_sizes_are_refused(Subject& subject, Kind kind);
/// What the storage's traits say is what it does; none: it is true.
[[nodiscard]] std::optional<Finding> false_storage_trait(const Subject& subject);

}  // namespace attnlab::experiment::conformance
