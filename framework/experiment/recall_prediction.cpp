#include "experiment/recall_prediction.h"

#include <fmt/format.h>

#include <algorithm>
#include <array>

#include <attnlab/budget.h>

#include "experiment/model_defaults.h"

namespace attnlab::experiment {
namespace {

constexpr std::array<std::string_view, 3> kAttentions = {"mha", "gqa", "mqa"};

// Of an option, as it is or by default; none where the component has no such option.
OptionValue value_of(const ResolvedComponent& component, std::string_view name) {
  if (const auto found = component.options.find(std::string(name)); found != component.options.end())
    return found->second;
  const auto declared = std::ranges::find(component.descriptor->options, name, &OptionSpec::name);
  return declared == component.descriptor->options.end() ? OptionValue() : declared->default_value;
}

// 0 where there is no such option; none where it is a budget that is no count of tokens.
std::optional<int> count_of(const ResolvedComponent& component, std::string_view name) {
  const OptionValue value = value_of(component, name);
  if (const auto* text = std::get_if<std::string>(&value)) {
    const auto budget = Budget::parse(*text);
    if (!budget || budget->unit != Budget::Unit::tokens) return std::nullopt;
    return static_cast<int>(budget->amount);
  }
  const auto* count = std::get_if<std::int64_t>(&value);
  return count == nullptr ? 0 : static_cast<int>(*count);
}

bool is_at_default(const ResolvedComponent& component, std::string_view name) {
  const auto declared = std::ranges::find(component.descriptor->options, name, &OptionSpec::name);
  return declared == component.descriptor->options.end() || value_of(component, name) == declared->default_value;
}

std::optional<RecallPrediction> predict_layer(const ResolvedLayer& layer) {
  if (std::ranges::find(kAttentions, layer.attention.descriptor->id) == kAttentions.end()) return std::nullopt;
  const int seen = count_of(layer.attention, "window").value_or(0);
  const std::string& cache = layer.cache.descriptor->id;
  if (cache == "full") return RecallPrediction{.window = seen};
  const std::optional<int> kept = count_of(layer.cache, "window");
  if (!kept) return std::nullopt;
  if (cache == "window") return RecallPrediction{.window = seen > 0 ? std::min(seen, *kept) : *kept};
  if (cache == "sink" && seen == 0)
    return RecallPrediction{.window = *kept, .sinks = count_of(layer.cache, "sinks").value_or(0)};
  return std::nullopt;
}

// Rope as the model has it, written out or not.
bool is_own_rope(const ResolvedComponent& position, const model::ModelConfig& config, int layer) {
  if (position.descriptor->id != "rope") return false;
  ResolvedComponent own = position;
  own.options = complete_options(*position.descriptor, {}, model_defaults(config, layer), position.where);
  return std::ranges::all_of(position.descriptor->options, [&](const OptionSpec& option) {
    return value_of(position, option.name) == value_of(own, option.name);
  });
}

}  // namespace

std::optional<RecallPrediction> predict_recall(const ResolvedArm& arm) {
  const auto first = predict_layer(arm.layers.front());
  if (!first) return std::nullopt;
  for (const ResolvedLayer& layer : arm.layers) {
    const auto other = predict_layer(layer);
    if (!other || other->window != first->window || other->sinks != first->sinks) return std::nullopt;
  }
  return first;
}

std::string recall_conflict(const ResolvedArm& arm, const model::ModelConfig& config) {
  for (std::size_t layer = 0; layer < arm.layers.size(); ++layer) {
    const ResolvedComponent& attention = arm.layers[layer].attention;
    const std::string& id = attention.descriptor->id;
    if (std::ranges::find(kAttentions, id) == kAttentions.end())
      return fmt::format("attention \"{}\" cannot express the constructed recall model; mha, gqa and mqa can", id);
    for (const char* modifier : {"softcap", "scale", "gate"})
      if (!is_at_default(attention, modifier))
        return fmt::format("the constructed recall model is made for attention without {}; leave it out", modifier);
    const ResolvedComponent& position = arm.layers[layer].position;
    const bool fits =
        is_own_rope(position, config, static_cast<int>(layer)) || (layer > 0 && position.descriptor->id == "none");
    if (!fits)
      return fmt::format(
          "position \"{}\" in layer {} cannot express the constructed recall model; its first layer finds the token "
          "before by a rotation of one step: use rope without options (none will do behind the first layer)",
          position.descriptor->id, layer);
  }
  return {};
}

}  // namespace attnlab::experiment
