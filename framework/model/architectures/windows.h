// Windows of attention as config.json says them: which layers have one, and how long it is.
#pragma once

#include <optional>
#include <vector>

#include "model/config/config_fields.h"

namespace attnlab::model {

inline constexpr int kQwenWindow = 4096;  // of Qwen where the key is absent, as in transformers

/// Which layers see everything, by `layer_types`: any order of the two types. Empty where there is no list, or a wrong
/// one (noted).
[[nodiscard]] std::vector<bool> full_layers(const ConfigFields& fields, const ModelConfig& config);

/// The key sliding_window; null is none, and so is 0 where that is `least`; `absent` holds where it is not there.
[[nodiscard]] std::optional<int> read_window(const ConfigFields& fields, std::optional<int> absent, int least = 1);

/// Notes it where a layer is said to have a window and there is none: transformers builds no mask for it, but fails.
void check_has_window(const ConfigFields& fields, const ModelConfig& config, const std::vector<bool>& full,
                      std::string_view why_none);

/// The window and the layer types; which layers see everything, empty where no list says it.
[[nodiscard]] std::vector<bool> read_window_and_types(const ConfigFields& fields, ModelConfig& config);

/// The same of families whose window only counts where use_sliding_window is true; absent and least as of read_window.
[[nodiscard]] std::vector<bool> read_switched_window(const ConfigFields& fields, ModelConfig& config,
                                                     std::optional<int> absent, int least = 1);

/// Of families without windows: a list of layer types may only say so.
void check_no_window(const ConfigFields& fields, const ModelConfig& config);

/// Every second layer has the window, layer 0 the first, unless layer_types says otherwise.
void read_alternating_window(const ConfigFields& fields, ModelConfig& config);

/// layer_types, which comes before max_window_layers; both only where use_sliding_window is true.
void read_qwen_window(const ConfigFields& fields, ModelConfig& config);

}  // namespace attnlab::model
