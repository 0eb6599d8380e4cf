// Whether components can be combined, from what they declare; decided before anything is loaded or run.
#pragma once

#include <span>
#include <string>
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
};

/// One sentence per conflict, naming both sides and what would be legal; empty: the parts go together.
[[nodiscard]] ATTNLAB_API std::vector<std::string> conflicts(std::span<const Part> parts);

}  // namespace attnlab
