// What families with a mixture of experts read alike.
#pragma once

#include <string_view>
#include <vector>

#include "model/config/config_fields.h"

namespace attnlab::model {

/// Numbers of layers, each of which the model has; what is wrong is noted.
[[nodiscard]] std::vector<int> list_of_layers(const ConfigFields& fields, std::string_view key,
                                              const ModelConfig& config);

/// Notes it where more are chosen than there are: of experts (the key is `chosen_key`), or of groups.
void check_experts(const ConfigFields& fields, const ExpertsConfig& experts, std::string_view chosen_key);

}  // namespace attnlab::model
