// SmolLM3: every fourth layer has no positions. Bakouch et al. 2025.
#include <algorithm>
#include <utility>

#include <fmt/format.h>
#include <nlohmann/json.hpp>

#include "model/architectures/windows.h"
#include "model/checkpoints/strict_json.h"
#include "model/config/architecture.h"

namespace attnlab::model {
namespace {

constexpr int kInterval = 4;

void defaults(const ConfigFields&, ModelConfig& config) {
  config.tie_word_embeddings = true;
}

// In no_rope_layers, 1 says that a layer is rotated.
std::vector<bool> unrotated(const ConfigFields& fields, const ModelConfig& config) {
  std::vector<bool> layers;
  const int interval = fields.count("no_rope_layer_interval", kInterval);  // checked, even where it is not used
  if (!fields.has("no_rope_layers")) {
    for (int layer = 0; layer < config.layers && interval > 0; ++layer) layers.push_back((layer + 1) % interval == 0);
    return layers;
  }
  const nlohmann::json& list = fields.entry("no_rope_layers")->value;
  const auto is_switch = [](const nlohmann::json& value) { return value == 0 || value == 1; };
  if (!list.is_array() || static_cast<std::int64_t>(list.size()) != config.layers ||
      !std::all_of(list.begin(), list.end(), is_switch)) {
    fields.problem("no_rope_layers", fmt::format(": {} is no list of {} numbers 0 or 1", shown(list), config.layers),
                   "give 1 for each layer that is rotated, else 0");
    return {};
  }
  for (const nlohmann::json& value : list) layers.push_back(value == 0);
  return layers;
}

void read(const ConfigFields& fields, ModelConfig& config) {
  config.qkv_bias = config.o_bias = fields.flag("attention_bias", false);
  config.mlp_bias = fields.flag("mlp_bias", false);
  config.unrotated_layers = unrotated(fields, config);
  std::vector<bool> full = read_switched_window(fields, config, std::nullopt);
  if (full.empty())
    for (const bool is_unrotated : config.unrotated_layers) full.push_back(!is_unrotated);
  if (config.sliding_window) config.full_layers = std::move(full);
}

const DeclaredArchitecture kSmolLm3(
    {.name = "SmolLM3ForCausalLM", .model_type = "smollm3", .defaults = defaults, .read = read});

}  // namespace
}  // namespace attnlab::model
