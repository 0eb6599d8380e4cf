#include "model/architectures/windows.h"

#include <algorithm>
#include <utility>

#include <fmt/format.h>
#include <nlohmann/json.hpp>

#include "model/checkpoints/strict_json.h"

namespace attnlab::model {
namespace {

constexpr int kDefaultFullLayers = 28;  // of Qwen where max_window_layers is absent
constexpr std::string_view kNoLength = "sliding_window gives no length";

}  // namespace

std::vector<bool> full_layers(const ConfigFields& fields, const ModelConfig& config) {
  constexpr std::string_view kRemedy = "give \"full_attention\" or \"sliding_attention\" for each layer";
  if (!fields.has("layer_types")) return {};
  const nlohmann::json& types = fields.entry("layer_types")->value;
  if (!types.is_array() || static_cast<std::int64_t>(types.size()) != config.layers) {
    fields.problem("layer_types", fmt::format(" is no list of {} names", config.layers), std::string(kRemedy));
    return {};
  }
  std::vector<bool> full;
  for (const nlohmann::json& type : types) {
    if (type != "full_attention" && type != "sliding_attention") {
      fields.problem("layer_types", fmt::format(": {} is not supported", shown(type)), std::string(kRemedy));
      return {};
    }
    full.push_back(type == "full_attention");
  }
  return full;
}

std::optional<int> read_window(const ConfigFields& fields, std::optional<int> absent, int least) {
  if (fields.entry("sliding_window") == nullptr) return absent;
  const int window = fields.count("sliding_window", 0, least);
  return window > 0 ? std::optional(window) : std::nullopt;
}

void check_has_window(const ConfigFields& fields, const ModelConfig& config, const std::vector<bool>& full,
                      std::string_view why_none) {
  const auto sliding = std::ranges::find(full, false);
  if (config.sliding_window || sliding == full.end()) return;
  fields.problem("layer_types",
                 fmt::format(": layer {} has sliding_attention, but {}", sliding - full.begin(), why_none),
                 "give the window, or \"full_attention\" for each layer");
}

void check_no_window(const ConfigFields& fields, const ModelConfig& config) {
  const std::vector<bool> full = full_layers(fields, config);
  if (std::ranges::find(full, false) == full.end()) return;
  fields.problem("layer_types", fmt::format(": {} has no sliding_attention", architecture_name(config.architecture)),
                 "give \"full_attention\" for each layer");
}

void read_alternating_window(const ConfigFields& fields, ModelConfig& config) {
  std::vector<bool> full = read_window_and_types(fields, config);
  if (!config.sliding_window) return;
  if (full.empty())
    for (int layer = 0; layer < config.layers; ++layer) full.push_back(layer % 2 == 1);
  config.full_layers = std::move(full);
}

std::vector<bool> read_window_and_types(const ConfigFields& fields, ModelConfig& config) {
  std::vector<bool> full = full_layers(fields, config);
  config.sliding_window = read_window(fields, std::nullopt);
  check_has_window(fields, config, full, kNoLength);
  return full;
}

std::vector<bool> read_switched_window(const ConfigFields& fields, ModelConfig& config, std::optional<int> absent,
                                       int least) {
  std::vector<bool> full = full_layers(fields, config);
  const bool is_used = fields.flag("use_sliding_window", false);
  if (is_used) config.sliding_window = read_window(fields, absent, least);
  check_has_window(fields, config, full, is_used ? kNoLength : "use_sliding_window is not true");
  return full;
}

void read_qwen_window(const ConfigFields& fields, ModelConfig& config) {
  std::vector<bool> full = read_switched_window(fields, config, kQwenWindow, 0);
  const int first = fields.has("max_window_layers") ? fields.count("max_window_layers", 0, 0) : kDefaultFullLayers;
  if (full.empty())
    for (int layer = 0; layer < config.layers; ++layer) full.push_back(layer < first);
  if (std::ranges::find(full, false) == full.end()) config.sliding_window.reset();
  if (config.sliding_window) config.full_layers = std::move(full);
}

}  // namespace attnlab::model
