// A component and its options as people write them: `gqa`, `{gqa: {kv_heads: 2}}` or `gqa:` with nothing after it.
// Whether there is such a component, and what its options may be, is asked later.
#pragma once

#include <optional>
#include <string>
#include <string_view>

#include <attnlab/api.h>

#include "config/node.h"
#include "config/problem_list.h"

namespace attnlab::config {

struct PluginChoice {
  std::string id;
  Node options;  // a map, or null
  Mark where;    // of the id
};

/// `kind` is what messages call it: "attention", "position", "cache", "storage". None where a problem was added.
ATTNLAB_API std::optional<PluginChoice> read_choice(const Node& node, std::string_view kind, ProblemList& problems);

}  // namespace attnlab::config
