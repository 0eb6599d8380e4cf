// yaml-cpp replaces bytes that are no UTF-8, takes the byte 4 for the end of the file and drops NULs. So the text is
// looked at before it gets there.
#pragma once

#include <optional>
#include <string>
#include <string_view>

namespace attnlab::config {

struct TextFault {
  int line = 0;    // from 0
  int column = 0;  // from 0, in bytes
  std::string what;
};

/// The first byte that is no UTF-8, or the first control character that YAML does not allow.
[[nodiscard]] std::optional<TextFault> find_fault(std::string_view text);

}  // namespace attnlab::config
