#include "model/architectures/experts_config.h"

#include <algorithm>
#include <cstdint>

#include <fmt/format.h>
#include <nlohmann/json.hpp>

#include "model/checkpoints/strict_json.h"

namespace attnlab::model {

std::vector<int> list_of_layers(const ConfigFields& fields, std::string_view key, const ModelConfig& config) {
  std::vector<int> layers;
  if (!fields.has(key)) return layers;
  const nlohmann::json& list = fields.entry(key)->value;
  const auto is_layer = [&](const nlohmann::json& value) {
    return value.is_number_integer() && value >= 0 && value < config.layers;
  };
  if (!list.is_array() || !std::all_of(list.begin(), list.end(), is_layer)) {
    fields.problem(key, fmt::format(": {} is no list of layers", shown(list)),
                   fmt::format("give numbers from 0 to {}", config.layers - 1));
    return layers;
  }
  for (const nlohmann::json& value : list) layers.push_back(value.get<int>());
  return layers;
}

void check_experts(const ConfigFields& fields, const ExpertsConfig& experts, std::string_view chosen_key) {
  if (experts.count == 0 || experts.chosen == 0 || experts.groups == 0 || experts.chosen_groups == 0) return;  // noted
  if (experts.chosen > experts.count) {
    fields.problem(chosen_key, fmt::format(": {} are chosen of {} experts", experts.chosen, experts.count),
                   fmt::format("give a number from 1 to {}", experts.count));
    return;
  }
  if (experts.count % experts.groups != 0) {
    fields.problem("n_group", fmt::format(": {} experts are no {} equal groups", experts.count, experts.groups),
                   "give a divisor of the number of experts");
    return;
  }
  if (experts.chosen_groups > experts.groups)
    fields.problem("topk_group", fmt::format(": {} are chosen of {} groups", experts.chosen_groups, experts.groups),
                   fmt::format("give a number from 1 to {}", experts.groups));
  else if (experts.chosen > experts.chosen_groups * (experts.count / experts.groups))
    fields.problem(chosen_key,
                   fmt::format(": {} are chosen of {} groups of {} experts", experts.chosen, experts.chosen_groups,
                               experts.count / experts.groups),
                   "give a smaller number, or more groups");
  if (experts.groups_by_two_best && experts.count / experts.groups < 2)
    fields.problem("n_group", ": groups of one expert have no two best", "give fewer groups");
}

}  // namespace attnlab::model
