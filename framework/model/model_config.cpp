#include "model/model_config.h"

#include <algorithm>
#include <cmath>
#include <cstdint>
#include <system_error>
#include <utility>

#include <fmt/format.h>

#include "model/architectures.h"
#include "model/config_fields.h"
#include "model/rope_config.h"
#include "model/strict_json.h"

namespace attnlab::model {
namespace {

constexpr int kMaxLayers = 10'000;
constexpr double kMaxElements = 35184372088832.0;  // 2^45: with 4 bytes each, all that x86-64 can address
constexpr int kDefaultWindow = 4096;               // of Mistral and Qwen where the key is absent, as in transformers
constexpr int kQwen3HeadDim = 128;
constexpr std::size_t kMaxConfigBytes = 10'000'000;

void read_dimensions(const ConfigFields& fields, ModelConfig& config) {
  config.hidden_dim = fields.required_count("hidden_size");
  config.layers = fields.required_count("num_hidden_layers", kMaxLayers);
  config.intermediate_dim = fields.required_count("intermediate_size");
  config.heads = fields.required_count("num_attention_heads");
  config.vocab_size = fields.required_count("vocab_size");
  config.kv_heads = fields.count("num_key_value_heads", config.heads);
  config.max_positions = fields.count("max_position_embeddings", 2048);
  if (config.heads > 0 && config.kv_heads > 0 && config.heads % config.kv_heads != 0) {
    fields.problem("num_key_value_heads",
                   fmt::format(": num_attention_heads {} is not divisible by {}", config.heads, config.kv_heads),
                   "give a divisor of num_attention_heads");
  }
  if (fields.has("head_dim")) {
    config.head_dim = fields.count("head_dim", 0);
  } else if (config.architecture == Architecture::qwen3) {
    config.head_dim = kQwen3HeadDim;
  } else if (config.hidden_dim > 0 && config.heads > 0) {
    if (config.hidden_dim % config.heads == 0) {
      config.head_dim = config.hidden_dim / config.heads;
    } else {
      fields.problem("hidden_size",
                     fmt::format(": {} is not divisible by num_attention_heads {}", config.hidden_dim, config.heads),
                     "give head_dim, or a hidden_size that is divisible");
    }
  }
}

// Memory is never asked for by a size that no machine has. Products are exact enough in double.
void check_sizes(const ConfigFields& fields, const ModelConfig& config) {
  const double hidden = config.hidden_dim;
  const double attention = static_cast<double>(config.heads) * config.head_dim;
  const auto refuse = [&](std::string_view key, const std::string& product) {
    fields.problem(key, fmt::format(": {} are more weights than can be addressed", product), "give smaller sizes");
  };
  if (attention > kMaxCount) {
    fields.problem("num_attention_heads",
                   fmt::format(": {} heads of head_dim {} are wider than {}", config.heads, config.head_dim, kMaxCount),
                   "give smaller sizes");
  } else if (hidden * config.vocab_size > kMaxElements) {
    refuse("vocab_size", fmt::format("vocab_size {} x hidden_size {}", config.vocab_size, config.hidden_dim));
  } else if (hidden * config.intermediate_dim > kMaxElements) {
    refuse("intermediate_size",
           fmt::format("intermediate_size {} x hidden_size {}", config.intermediate_dim, config.hidden_dim));
  } else if (hidden * attention > kMaxElements) {
    refuse("num_attention_heads", fmt::format("num_attention_heads {} x head_dim {} x hidden_size {}", config.heads,
                                              config.head_dim, config.hidden_dim));
  } else {
    const double layer = hidden * (4 * attention + 3.0 * config.intermediate_dim);
    if (config.layers * layer + 2 * hidden * config.vocab_size <= kMaxElements) return;
    refuse("num_hidden_layers", fmt::format("{} layers of {:.3g}", config.layers, layer));
  }
}

void read_numbers(const ConfigFields& fields, UnknownKeys unknown_keys, ModelConfig& config) {
  // As a float: an epsilon that becomes 0 there is none.
  static const NumberRule kEpsilon{
      [](double value) { return static_cast<float>(value) > 0 && std::isfinite(static_cast<float>(value)); },
      "a small number greater than 0, such as 1e-5"};
  config.rms_norm_eps = static_cast<float>(fields.number("rms_norm_eps", 1e-6, kEpsilon));
  // Only random weights need it, which a checkpoint has none of.
  if (unknown_keys == UnknownKeys::refused) {
    config.initializer_range = fields.number("initializer_range", 0.02, kPositive);
  }
  if (fields.has("tie_word_embeddings")) config.tie_word_embeddings = fields.flag("tie_word_embeddings", false);
  const std::optional<std::string> activation = fields.text("hidden_act");
  if (activation && *activation != "silu") {
    fields.problem("hidden_act", fmt::format(": {} is not supported", in_quotes(*activation)), "supported is silu");
  }
}

void read_tokens(const ConfigFields& fields, UnknownKeys unknown_keys, ModelConfig& config) {
  if (config.vocab_size == 0) return;
  const auto read = [&](std::string_view key, const nlohmann::json& value) -> std::optional<int> {
    const bool whole = value.is_number_integer();
    const bool inside = whole && value.get<double>() >= 0 && value.get<double>() < config.vocab_size;
    if (inside) return value.get<int>();
    if (whole && unknown_keys == UnknownKeys::ignored) return std::nullopt;
    fields.problem(key, fmt::format(": {} is no token of the vocabulary", shown(value)),
                   fmt::format("give a whole number from 0 to {}", config.vocab_size - 1));
    return std::nullopt;
  };
  if (fields.has("bos_token_id")) config.bos_token = read("bos_token_id", fields.entry("bos_token_id")->value);
  if (!fields.has("eos_token_id")) return;
  const nlohmann::json& end = fields.entry("eos_token_id")->value;  // one, or a list as Llama 3 has it
  for (const nlohmann::json& value : end.is_array() ? end : nlohmann::json::array({end})) {
    if (const std::optional<int> token = read("eos_token_id", value)) config.eos_tokens.push_back(*token);
  }
}

// The first layer with a window, from max_window_layers or from the list that newer configs have instead.
int first_window_layer(const ConfigFields& fields, const ModelConfig& config) {
  constexpr std::string_view kRemedy = "full_attention layers first, then sliding_attention";
  const int by_count = fields.has("max_window_layers") ? fields.count("max_window_layers", 0, 0) : 28;
  if (!fields.has("layer_types")) return by_count;
  const nlohmann::json& types = fields.entry("layer_types")->value;
  if (!types.is_array() || static_cast<std::int64_t>(types.size()) != config.layers) {
    fields.problem("layer_types", fmt::format(" is no list of {} names", config.layers), std::string(kRemedy));
    return 0;
  }
  const auto first = std::ranges::find(types, "sliding_attention");
  const bool in_order = std::all_of(types.begin(), first, [](const auto& type) { return type == "full_attention"; }) &&
                        std::all_of(first, types.end(), [](const auto& type) { return type == "sliding_attention"; });
  if (!in_order) fields.problem("layer_types", " has an order or a name that is not supported", std::string(kRemedy));
  return static_cast<int>(first - types.begin());
}

void read_qwen_window(const ConfigFields& fields, ModelConfig& config) {
  if (!fields.flag("use_sliding_window", false)) return;
  const bool is_null = fields.entry("sliding_window") != nullptr && !fields.has("sliding_window");
  const int window = fields.count("sliding_window", kDefaultWindow);
  const int first = first_window_layer(fields, config);
  if (is_null || first >= config.layers) return;
  config.sliding_window = window;
  config.window_first_layer = first;
}

// Of any architecture: what a variant that an arm chooses may take from the model.
void read_latent_dims(const ConfigFields& fields, ModelConfig& config) {
  constexpr int most = 1 << 16;
  for (const std::string key : {"kv_lora_rank", "q_lora_rank", "qk_nope_head_dim", "qk_rope_head_dim", "v_head_dim"})
    if (fields.has(key)) config.latent_dims[key] = fields.count(key, 0, key == "q_lora_rank" ? 0 : 1, most);
}

void read_attention(const ConfigFields& fields, ModelConfig& config) {
  read_latent_dims(fields, config);
  switch (config.architecture) {
    case Architecture::llama:
      config.qkv_bias = config.o_bias = fields.flag("attention_bias", false);
      config.mlp_bias = fields.flag("mlp_bias", false);
      break;
    case Architecture::mistral:
      if (fields.has("sliding_window") || fields.entry("sliding_window") == nullptr) {
        config.sliding_window = fields.count("sliding_window", kDefaultWindow);
      }
      break;
    case Architecture::qwen2:
      config.qkv_bias = true;
      read_qwen_window(fields, config);
      break;
    case Architecture::qwen3:
      config.qk_norm = true;
      config.qkv_bias = config.o_bias = fields.flag("attention_bias", false);
      read_qwen_window(fields, config);
      break;
  }
}

}  // namespace

ModelConfig model_config(std::span<const ConfigEntry> entries, UnknownKeys unknown_keys, const std::string& where) {
  std::vector<Problem> problems;
  const ConfigFields fields(entries, "", where, problems);
  ModelConfig config;
  config.architecture = read_architecture(fields, unknown_keys);
  check_keys(fields, config.architecture, unknown_keys);
  read_dimensions(fields, config);
  read_numbers(fields, unknown_keys, config);
  read_rope(fields, unknown_keys, config);
  read_attention(fields, config);
  read_tokens(fields, unknown_keys, config);
  check_sizes(fields, config);
  if (!problems.empty()) throw Error(std::move(problems));
  return config;
}

ModelConfig read_config_json(const std::filesystem::path& folder) {
  std::error_code failed;
  if (!std::filesystem::is_directory(folder, failed)) {
    throw Error(folder.string(), "no such folder", "name a checkpoint folder");
  }
  const std::filesystem::path path = folder / "config.json";
  const nlohmann::json config = read_strict_json(path, kMaxConfigBytes);
  if (!config.is_object()) throw Error(path.string(), "is no JSON object but " + shown(config));
  std::vector<ConfigEntry> entries;
  for (const auto& [key, value] : config.items()) entries.push_back({key, value, path.string()});
  return model_config(entries, UnknownKeys::ignored, path.string());
}

}  // namespace attnlab::model
