// The message for a tensor that the model needs and the checkpoint does not have: it names what the checkpoint has.
#pragma once

#include <string>
#include <vector>

#include <attnlab/api.h>

namespace attnlab::model {

/// An Error's remedy for `name`, which is not among `names` (sorted, as a Checkpoint gives them): that the tensor is
/// quantised, that the names are those of another layout, what the same module holds, which layers there are, or the
/// nearest name.
[[nodiscard]] ATTNLAB_API std::string what_is_there(const std::string& name, const std::vector<std::string>& names);

}  // namespace attnlab::model
