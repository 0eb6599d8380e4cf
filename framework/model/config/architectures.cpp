#include "model/config/architectures.h"

#include <algorithm>
#include <array>

#include <fmt/format.h>
#include <nlohmann/json.hpp>

#include "model/checkpoints/strict_json.h"
#include "model/config/body_config.h"

namespace attnlab::model {
namespace {

using Keys = std::vector<std::string>;

const Keys kCommonKeys{"architectures",
                       "hidden_size",
                       "num_hidden_layers",
                       "intermediate_size",
                       "num_attention_heads",
                       "num_key_value_heads",
                       "head_dim",
                       "vocab_size",
                       "rms_norm_eps",
                       "rope_theta",
                       "rope_traditional",
                       "rope_scaling",
                       "hidden_act",
                       "initializer_range",
                       "attention_initializer_range",
                       "tie_word_embeddings",
                       "max_position_embeddings",
                       "bos_token_id",
                       "eos_token_id",
                       "layer_types",
                       "partial_rotary_factor",
                       "kv_lora_rank",
                       "q_lora_rank",
                       "qk_nope_head_dim",
                       "qk_rope_head_dim",
                       "v_head_dim"};

// Keys for which null means "not set" in a model YAML too; a null elsewhere is a mistake there. In a config.json every
// null means it, as in transformers.
const Keys kNullableKeys{"architectures", "num_key_value_heads", "head_dim", "rope_scaling", "bos_token_id",
                         "eos_token_id", "sliding_window", "max_window_layers", "layer_types", "tie_word_embeddings",
                         "q_lora_rank",  // DeepSeek-V2-Lite: queries are not compressed
                         // reported as missing where they are read
                         "hidden_size", "num_hidden_layers", "intermediate_size", "num_attention_heads", "vocab_size"};

struct ArchitectureRow {
  Architecture architecture;
  std::string_view name;
  std::string_view model_type;
  Keys own_keys;  // beside the common ones
};

const std::array<ArchitectureRow, 5>& architectures() {
  static const Keys kQwenWindow{"sliding_window", "use_sliding_window", "max_window_layers"};
  static const Keys kQwen3{"attention_bias", "sliding_window", "use_sliding_window", "max_window_layers"};
  static const Keys kAttnlab = [] {
    Keys keys{"attention_bias", "mlp_bias"};
    keys.insert(keys.end(), body_keys().begin(), body_keys().end());
    return keys;
  }();
  static const std::array<ArchitectureRow, 5> kRows{
      ArchitectureRow{Architecture::llama, "LlamaForCausalLM", "llama", {"attention_bias", "mlp_bias"}},
      ArchitectureRow{Architecture::mistral, "MistralForCausalLM", "mistral", {"sliding_window"}},
      ArchitectureRow{Architecture::qwen2, "Qwen2ForCausalLM", "qwen2", kQwenWindow},
      ArchitectureRow{Architecture::qwen3, "Qwen3ForCausalLM", "qwen3", kQwen3},
      ArchitectureRow{Architecture::attnlab, "AttnLabForCausalLM", "attnlab", kAttnlab},
  };
  return kRows;
}

const ArchitectureRow& row_of(Architecture architecture) {
  return *std::ranges::find(architectures(), architecture, &ArchitectureRow::architecture);
}

bool contains(const Keys& keys, std::string_view key) {
  return std::ranges::find(keys, key) != keys.end();
}

// The architectures that have a key of their own under this name.
Keys owners(std::string_view key) {
  Keys names;
  for (const ArchitectureRow& row : architectures()) {
    if (contains(row.own_keys, key)) names.emplace_back(row.name);
  }
  return names;
}

std::string supported() {
  Keys names;
  for (const ArchitectureRow& row : architectures()) names.emplace_back(row.name);
  return fmt::format("supported are {}", fmt::join(names, ", "));
}

// The name in `architectures`, which must be a list of one.
std::string named_architecture(const ConfigFields& fields) {
  const nlohmann::json& value = fields.entry("architectures")->value;
  const std::string where = fields.where("architectures");
  if (!value.is_array() || value.size() != 1 || !value[0].is_string()) {
    const std::string given = value.is_array() ? fmt::format("a list of {}", value.size()) : shown(value);
    throw Error(where, fmt::format("architectures: {} is no list of one name", given), supported());
  }
  return value[0].get<std::string>();
}

}  // namespace

std::string_view architecture_name(Architecture architecture) noexcept {
  return row_of(architecture).name;
}

std::string_view architecture_type(Architecture architecture) noexcept {
  return row_of(architecture).model_type;
}

Architecture read_architecture(const ConfigFields& fields, UnknownKeys unknown_keys) {
  const auto& rows = architectures();
  if (fields.has("architectures")) {
    const std::string name = named_architecture(fields);
    const auto row = std::ranges::find(rows, name, &ArchitectureRow::name);
    if (row != rows.end()) return row->architecture;
    throw Error(fields.where("architectures"), fmt::format("architectures: {} is not supported", in_quotes(name)),
                supported());
  }
  if (unknown_keys == UnknownKeys::refused) {
    const auto is_there = [&](const std::string& key) { return fields.entry(key) != nullptr; };
    return std::ranges::any_of(body_keys(), is_there) ? Architecture::attnlab : Architecture::llama;
  }
  if (!fields.has("model_type")) throw Error(fields.where("architectures"), "architectures is missing", supported());
  const nlohmann::json& type = fields.entry("model_type")->value;
  const auto row = std::ranges::find_if(rows, [&](const ArchitectureRow& each) { return type == each.model_type; });
  if (row != rows.end()) return row->architecture;
  throw Error(fields.where("model_type"), fmt::format("model_type: {} is not supported", shown(type)), supported());
}

void check_keys(const ConfigFields& fields, Architecture architecture, UnknownKeys unknown_keys) {
  const ArchitectureRow& row = row_of(architecture);
  Keys known = kCommonKeys;
  known.insert(known.end(), row.own_keys.begin(), row.own_keys.end());
  if (unknown_keys == UnknownKeys::refused) {
    Keys of_any = known;
    for (const ArchitectureRow& other : architectures()) {
      of_any.insert(of_any.end(), other.own_keys.begin(), other.own_keys.end());
    }
    fields.refuse_unknown(of_any, "a model");
    for (const ConfigEntry& entry : fields.entries()) {
      if (contains(known, entry.key) || !contains(of_any, entry.key)) continue;
      fields.problem(entry.key, fmt::format(": {} has no such key", row.name),
                     fmt::format("remove it, or name the architecture ({})", fmt::join(owners(entry.key), ", ")));
    }
  }
  if (unknown_keys == UnknownKeys::ignored) return;
  for (const ConfigEntry& entry : fields.entries()) {
    if (!entry.value.is_null() || !contains(known, entry.key) || contains(kNullableKeys, entry.key)) continue;
    fields.problem(entry.key, " is null", "give a value or remove the key");
  }
}

}  // namespace attnlab::model
