#include "assembly/constructed_conflict.h"

#include <fmt/format.h>

#include <algorithm>
#include <array>

#include "assembly/model_defaults.h"
#include "choices/plain_components.h"

namespace attnlab::experiment {
namespace {

constexpr std::array<std::string_view, 3> kAttentions = {kPlainAttention, kGroupedAttention, kSingleKvHeadAttention};

// Of an option, as it is or by default; none where the component has no such option.
OptionValue value_of(const ResolvedComponent& component, std::string_view name) {
  if (const auto found = component.options.find(std::string(name)); found != component.options.end())
    return found->second;
  const auto declared = std::ranges::find(component.descriptor->options, name, &OptionSpec::name);
  return declared == component.descriptor->options.end() ? OptionValue() : declared->default_value;
}

// Rope as the model has it, written out or not.
bool is_own_rope(const ResolvedComponent& position, const model::ModelConfig& config, int layer) {
  if (position.descriptor->id != kPlainPosition) return false;
  ResolvedComponent own = position;
  own.options = complete_options(*position.descriptor, {}, model_defaults(config, layer), config.keys, position.where);
  return std::ranges::all_of(position.descriptor->options, [&](const OptionSpec& option) {
    return value_of(position, option.name) == value_of(own, option.name);
  });
}

}  // namespace

std::string recall_conflict(const ResolvedArm& arm, const model::ModelConfig& config) {
  for (std::size_t layer = 0; layer < arm.layers.size(); ++layer) {
    const ResolvedComponent& attention = arm.layers[layer].attention;
    const std::string& id = attention.descriptor->id;
    if (std::ranges::find(kAttentions, id) == kAttentions.end())
      return fmt::format("attention \"{}\" cannot express the constructed recall model; use {}", id,
                         fmt::join(kAttentions, ", "));
    // Counts that a model's config gives may be others, and what is on or off adds tensors, which the model has. Other
    // options change scores or outputs.
    for (const OptionSpec& option : attention.descriptor->options)
      if (const bool is_count = option.type == OptionType::integer && !option.from_model.empty();
          !is_count && option.type != OptionType::boolean && value_of(attention, option.name) != option.default_value)
        return fmt::format("the constructed recall model is made for attention without {}; leave it out", option.name);
    const ResolvedComponent& position = arm.layers[layer].position;
    const bool fits =
        is_own_rope(position, config, static_cast<int>(layer)) || (layer > 0 && position.descriptor->id == kNoPosition);
    if (!fits)
      return fmt::format(
          "position \"{}\" in layer {} cannot express the constructed recall model; its first layer finds the token "
          "before by a rotation of one step: use {} without options ({} will do after the first layer)",
          position.descriptor->id, layer, kPlainPosition, kNoPosition);
  }
  return {};
}

}  // namespace attnlab::experiment
