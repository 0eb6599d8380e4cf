#include "study/merged_train.h"

#include <algorithm>
#include <string_view>
#include <utility>
#include <vector>

#include "training/train_choice.h"

namespace attnlab::experiment {
namespace {

using training::LengthUnit;

bool is_length(std::string_view key) {
  constexpr LengthUnit kUnits[] = {LengthUnit::steps, LengthUnit::tokens, LengthUnit::epochs, LengthUnit::seconds};
  return std::ranges::find(kUnits, key, training::length_name) != std::end(kUnits);
}

}  // namespace

config::Node merged_train(const config::Node& of_experiment, const config::Node& of_arm) {
  if (!of_arm.is_map() || !of_experiment.is_map()) return of_experiment;
  const bool has_length =
      std::ranges::any_of(of_arm.entries(), [](const config::Node::Entry& entry) { return is_length(entry.key); });
  std::vector<config::Node::Entry> merged;
  for (const config::Node::Entry& entry : of_experiment.entries())
    if (of_arm.find(entry.key) == nullptr && !(has_length && is_length(entry.key))) merged.push_back(entry);
  for (const config::Node::Entry& entry : of_arm.entries())
    if (!entry.value.is_null()) merged.push_back(entry);
  return config::Node::map(of_experiment.mark(), std::move(merged));
}

}  // namespace attnlab::experiment
