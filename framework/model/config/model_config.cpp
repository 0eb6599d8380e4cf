#include "model/config/model_config.h"

#include <algorithm>
#include <cmath>
#include <cstdint>
#include <system_error>
#include <utility>

#include <fmt/format.h>
#include <nlohmann/json.hpp>

#include "model/checkpoints/checkpoint_folder.h"
#include "model/checkpoints/strict_json.h"
#include "model/config/architecture.h"
#include "model/config/architectures.h"
#include "model/config/body_config.h"
#include "model/config/config_fields.h"
#include "model/config/rope_config.h"

namespace attnlab::model {
namespace {

constexpr int kMaxLayers = 10'000;
constexpr int kMaxExperts = 1 << 16;
constexpr int kMaxOwnNorms = 1 << 16;              // heads that have a norm of their own
constexpr std::int64_t kMaxAllExperts = 1 << 20;   // of all layers: each has names and buffers of its own
constexpr double kMaxElements = 35184372088832.0;  // 2^45: with 4 bytes each, all that x86-64 can address
constexpr std::size_t kMaxConfigBytes = 10'000'000;

void read_dimensions(const ConfigFields& fields, ModelConfig& config) {
  config.hidden_dim = fields.required_count("hidden_size");
  config.layers = fields.required_count("num_hidden_layers", kMaxLayers);
  config.heads = fields.required_count("num_attention_heads");
  config.vocab_size = fields.required_count("vocab_size");
  config.kv_heads = fields.count("num_key_value_heads", config.heads);
  config.max_positions = fields.count("max_position_embeddings", config.max_positions);
  if (config.heads > 0 && config.kv_heads > 0 && config.heads % config.kv_heads != 0) {
    fields.problem("num_key_value_heads",
                   fmt::format(": num_attention_heads {} is not divisible by {}", config.heads, config.kv_heads),
                   "give a divisor of num_attention_heads");
  }
  if (fields.has("head_dim")) {
    config.head_dim = fields.count("head_dim", 0);
  } else if (config.head_dim > 0) {
    return;  // the family's own
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

void check_experts_size(const ConfigFields& fields, const ModelConfig& config) {
  const ExpertsConfig& experts = *config.experts;
  if (experts.count > kMaxExperts || std::int64_t{experts.count} * config.layers > kMaxAllExperts) {
    fields.problem("num_hidden_layers",
                   fmt::format(": {} layers of {} experts are more than {}, or than {} in a layer", config.layers,
                               experts.count, kMaxAllExperts, kMaxExperts),
                   "give fewer experts");
    return;
  }
  const double layer =
      3.0 * config.hidden_dim * (static_cast<double>(experts.count) * experts.inner_dim + experts.shared_dim);
  if (config.layers * layer > kMaxElements)
    fields.problem(
        "num_hidden_layers",
        fmt::format(": {} layers of experts with {:.3g} weights are more than can be addressed", config.layers, layer),
        "give smaller sizes");
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
  } else if (config.qk_norm == QkNorm::own && config.heads > kMaxOwnNorms) {
    fields.problem("num_attention_heads",
                   fmt::format(": {} heads, each with a norm of its own, are more than {}", config.heads, kMaxOwnNorms),
                   "give fewer heads");
  } else {
    const double layer = hidden * (4 * attention + 3.0 * config.intermediate_dim);
    if (config.layers * layer + 2 * hidden * config.vocab_size > kMaxElements)
      return refuse("num_hidden_layers", fmt::format("{} layers of {:.3g}", config.layers, layer));
    if (config.experts) check_experts_size(fields, config);
  }
}

void read_numbers(const ConfigFields& fields, UnknownKeys unknown_keys, ModelConfig& config) {
  // Only random weights need it, which a checkpoint has none of.
  if (unknown_keys == UnknownKeys::refused) {
    config.initializer_range = fields.number("initializer_range", 0.02, kPositive);
    config.attention_initializer_range = fields.optional_number("attention_initializer_range", kPositive);
  }
  if (fields.has("tie_word_embeddings")) config.tie_word_embeddings = fields.flag("tie_word_embeddings", false);
}

// The tokens that end a text: one, or a list as Llama 3 has it. bos_token_id is checked and not kept: what a text
// begins with is the tokenizer's affair.
void read_tokens(const ConfigFields& fields, UnknownKeys unknown_keys, ModelConfig& config) {
  if (config.vocab_size == 0) return;
  const auto read = [&](std::string_view key, const nlohmann::json& value) -> std::optional<int> {
    const bool whole = value.is_number() && value.get<double>() == std::floor(value.get<double>());
    const bool inside = whole && value.get<double>() >= 0 && value.get<double>() < config.vocab_size;
    if (inside) return static_cast<int>(value.get<double>());
    if (whole && unknown_keys == UnknownKeys::ignored) return std::nullopt;
    fields.problem(key, fmt::format(": {} is no token of the vocabulary", shown(value)),
                   fmt::format("give a whole number from 0 to {}", config.vocab_size - 1));
    return std::nullopt;
  };
  if (fields.has("bos_token_id")) read("bos_token_id", fields.entry("bos_token_id")->value);
  if (!fields.has("eos_token_id")) return;
  config.eos_tokens.clear();
  const nlohmann::json& end = fields.entry("eos_token_id")->value;
  for (const nlohmann::json& value : end.is_array() ? end : nlohmann::json::array({end})) {
    if (const std::optional<int> token = read("eos_token_id", value)) config.eos_tokens.push_back(*token);
  }
}

// GPTQ, AWQ, bitsandbytes, fp8, MLX ...: their tensors have other names, shapes and types. {} says that there is none.
void refuse_quantised(const ConfigFields& fields) {
  for (const std::string_view key : {"quantization_config", "compression_config", "quantization"}) {
    if (!fields.has(key) || fields.entry(key)->value.empty()) continue;
    const nlohmann::json& config = fields.entry(key)->value;
    std::string how;
    if (config.contains("quant_method"))
      how = " with " + shown(config["quant_method"]);
    else if (config.contains("bits"))
      how = fmt::format(" to {} bits", shown(config["bits"]));
    throw Error(fields.where(key), fmt::format("{}: the checkpoint is quantised{}, which is not supported", key, how),
                "use the checkpoint that it was made from, in F32, F16 or BF16");
  }
}

// Of any architecture: what a variant that an arm chooses may take from the model.
void read_latent_dims(const ConfigFields& fields, ModelConfig& config) {
  for (const std::string key : {"kv_lora_rank", "q_lora_rank", "qk_nope_head_dim", "qk_rope_head_dim", "v_head_dim"})
    if (fields.has(key)) config.latent_dims[key] = fields.count(key, 0, key == "q_lora_rank" ? 0 : 1, kMaxLatentDim);
}

}  // namespace

namespace {

OptionValue plain_value(const nlohmann::json& value) {
  if (value.is_boolean()) return value.get<bool>();
  if (value.is_number_integer()) return value.get<std::int64_t>();
  if (value.is_number()) return value.get<double>();
  if (value.is_string()) return value.get<std::string>();
  const auto is_number = [](const nlohmann::json& each) { return each.is_number(); };
  if (value.is_array() && std::all_of(value.begin(), value.end(), is_number)) return value.get<std::vector<double>>();
  return std::monostate{};
}

// Keys that components may ask for; rotary keys have a reader of their own, which gives them by one name each.
OptionValues plain_keys(std::span<const ConfigEntry> entries) {
  OptionValues keys;
  const auto add = [&](const std::string& name, const nlohmann::json& value) {
    if (OptionValue plain = plain_value(value); plain.index() != 0) keys.emplace(name, std::move(plain));
  };
  for (const ConfigEntry& entry : entries) {
    if (entry.key == "rope_scaling" || entry.key == "rope_parameters") continue;
    add(entry.key, entry.value);
    if (!entry.value.is_object()) continue;
    for (const auto& [key, value] : entry.value.items()) add(entry.key + "." + key, value);
  }
  return keys;
}

}  // namespace

ModelConfig model_config(std::span<const ConfigEntry> given, UnknownKeys unknown_keys, const std::string& where) {
  std::vector<Problem> problems;
  ModelConfig config;
  config.max_positions = 2048;
  config.rms_norm_eps = 1e-6F;
  config.rope_theta = 10000;
  config.architecture = read_architecture(ConfigFields(given, "", where, problems), unknown_keys);
  const ArchitectureSpec& architecture = *config.architecture;
  std::vector<ConfigEntry> entries(given.begin(), given.end());
  std::erase_if(entries, [&](const ConfigEntry& entry) {
    return std::ranges::find(architecture.ignored_keys, entry.key) != architecture.ignored_keys.end();
  });
  const ConfigFields fields(entries, "", where, problems, architecture.spellings);
  if (unknown_keys == UnknownKeys::ignored) refuse_quantised(fields);
  check_keys(fields, config.architecture, unknown_keys);
  if (architecture.defaults != nullptr) architecture.defaults(fields, config);
  read_dimensions(fields, config);
  read_body(fields, config);
  read_numbers(fields, unknown_keys, config);
  read_latent_dims(fields, config);
  read_rope(fields, unknown_keys, config);
  // Only what is tied by default may leave its head out without saying so; a model YAML always has one.
  if (!architecture.in_yaml && !config.tie_word_embeddings) config.tie_word_embeddings = false;
  architecture.read(fields, config);
  read_tokens(fields, unknown_keys, config);
  check_sizes(fields, config);
  config.keys = plain_keys(entries);
  // What a YAML that names no architecture is called is what it describes.
  if (unknown_keys == UnknownKeys::refused && !fields.has("architectures"))
    config.architecture = architecture_named(has_llama_body(config) ? "llama" : "attnlab");
  if (!problems.empty()) throw Error(std::move(problems));
  return config;
}

namespace {

// What transformers generates by: its eos_token_id comes before that of config.json.
void read_generation_config(const std::filesystem::path& path, ModelConfig& config) {
  if (!is_there(path)) return;
  const nlohmann::json generation = read_strict_json(path, kMaxConfigBytes);
  if (!generation.is_object()) throw Error(path.string(), "is no JSON object but " + shown(generation));
  std::vector<ConfigEntry> entries;
  if (const auto end = generation.find("eos_token_id"); end != generation.end())
    entries.push_back({"eos_token_id", *end, path.string()});
  std::vector<Problem> problems;
  read_tokens(ConfigFields(entries, "", path.string(), problems), UnknownKeys::ignored, config);
  if (!problems.empty()) throw Error(std::move(problems));
}

}  // namespace

ModelConfig read_config_json(const std::filesystem::path& folder) {
  std::error_code failed;
  if (!std::filesystem::is_directory(folder, failed)) {
    throw Error(folder.string(), "no such folder", "name a checkpoint folder");
  }
  const std::filesystem::path path = folder / "config.json";
  if (!is_there(path)) throw Error(folder.string(), "holds no config.json", what_else_it_is(folder));
  if (is_there(folder / "adapter_config.json"))
    throw Error((folder / "adapter_config.json").string(),
                "an adapter lies beside the model, and adapters are not applied",
                "merge it into the model, or remove it to use the model without it");
  const nlohmann::json config = read_strict_json(path, kMaxConfigBytes);
  if (!config.is_object()) throw Error(path.string(), "is no JSON object but " + shown(config));
  std::vector<ConfigEntry> entries;
  for (const auto& [key, value] : config.items()) entries.push_back({key, value, path.string()});
  ModelConfig read = model_config(entries, UnknownKeys::ignored, path.string());
  read_generation_config(folder / "generation_config.json", read);
  return read;
}

}  // namespace attnlab::model
