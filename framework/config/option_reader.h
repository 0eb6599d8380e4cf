// Options of a plugin as YAML gives them, checked against the schema that the plugin declares. Not here: rules across
// options (the registry runs the plugin's own check) and values that come from the model.
#pragma once

#include <string>
#include <string_view>
#include <vector>

#include <attnlab/api.h>
#include <attnlab/options.h>

#include "config/node.h"
#include "config/problem_list.h"

namespace attnlab::config {

/// What a budget looks like that is no plain number, as a regular expression for the JSON Schema.
inline constexpr std::string_view kBudgetPattern =
    R"(^[0-9]{1,12}(\.[0-9]{1,9})?([eE][+-]?[0-9]{1,2})? ?(%|B|KiB|MiB|GiB|TiB)?$)";

/// Only what the YAML gives and the schema allows; the rest is a problem. `options` is a map or null, `owner` the id of
/// the component. `others` are names that are read elsewhere: known, but not of the schema.
[[nodiscard]] ATTNLAB_API OptionValues read_options(const Node& options, const OptionSchema& schema,
                                                    std::string_view owner, ProblemList& problems,
                                                    const std::vector<std::string>& others = {});

/// As a plan or a name writes it: true, 4, 0.5, text, [1,2].
[[nodiscard]] ATTNLAB_API std::string option_text(const OptionValue& value);

}  // namespace attnlab::config
