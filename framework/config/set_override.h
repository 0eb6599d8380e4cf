// `--set a.b=c`: a change to the YAML before it is read, so that an override is checked like what it replaces.
#pragma once

#include <string_view>

#include <attnlab/api.h>

#include "config/node.h"

namespace attnlab::config {

/// The tree with the value at the path replaced. The path names map keys (made where they are missing) and indices of
/// lists (which must exist), from the root, separated by dots; the value is YAML in its one-line form. Later messages
/// about the new value name the override as their place. Error (where = "--set TEXT") if the text is no override.
[[nodiscard]] ATTNLAB_API Node with_override(const Node& root, std::string_view text);

}  // namespace attnlab::config
