// Whether components can be combined, from what they declare; decided before anything is loaded or run.
#pragma once

#include <span>
#include <string>
#include <string_view>
#include <vector>

#include <attnlab/api.h>
#include <attnlab/features.h>

#include "registry/registry.h"

namespace attnlab {

/// One component of an arm as the check sees it.
struct Part {
  Kind kind;
  std::string id;
  Traits traits;
  std::string_view label = {};  // what messages call it; empty: its kind
};

/// One sentence per conflict, naming both sides and what would be legal; empty: the parts go together.
[[nodiscard]] ATTNLAB_API std::vector<std::string> conflicts(std::span<const Part> parts);

/// Notes for the report on parts that go together: which part decides for which, and by what.
[[nodiscard]] ATTNLAB_API std::vector<std::string> notes(std::span<const Part> parts);

}  // namespace attnlab
