// The files of assets/, which the program carries with it: an installed one needs nothing beside it.
#pragma once

#include <string_view>

namespace attnlab::report {

/// The text of the file, by its name without folders.
[[nodiscard]] std::string_view asset(std::string_view name);

}  // namespace attnlab::report
