// Reads a plugin's stamp from its file before the file is opened as code, and compares it with this program's.
#pragma once

#include <filesystem>
#include <string>

#include <attnlab/plugin.h>

namespace attnlab {

struct StampCheck {
  bool fits = false;
  std::string reason;   // one line; empty where it fits
  std::string details;  // both sides and the remedy, for people
};

/// Never throws for what is in the file: whatever is wrong with it is a reason.
[[nodiscard]] StampCheck check_stamp(const std::filesystem::path& file);

}  // namespace attnlab
