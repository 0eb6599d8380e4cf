#include "model/config/architectures.h"

#include <algorithm>

#include <fmt/format.h>
#include <nlohmann/json.hpp>

#include "model/checkpoints/strict_json.h"
#include "model/config/architecture.h"
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

bool contains(const Keys& keys, std::string_view key) {
  return std::ranges::find(keys, key) != keys.end();
}

// The architectures that have a key of their own under this name.
Keys owners(std::string_view key) {
  Keys names;
  for (const ArchitectureSpec* spec : all_architectures())
    if (contains(spec->yaml_keys, key)) names.emplace_back(spec->name);
  return names;
}

// A model YAML names those that can be made of nothing.
bool may_be_named(const ArchitectureSpec& spec, UnknownKeys unknown_keys) {
  return spec.in_yaml || unknown_keys == UnknownKeys::ignored;
}

std::string supported(UnknownKeys unknown_keys) {
  Keys names;
  for (const ArchitectureSpec* spec : all_architectures())
    if (may_be_named(*spec, unknown_keys)) names.emplace_back(spec->name);
  return fmt::format("supported are {}", fmt::join(names, ", "));
}

// The first name in `architectures`. In a config.json others may follow, which say nothing, as in transformers.
std::string named_architecture(const ConfigFields& fields, UnknownKeys unknown_keys) {
  const nlohmann::json& value = fields.entry("architectures")->value;
  const std::string where = fields.where("architectures");
  const bool is_read = value.is_array() && !value.empty() && value[0].is_string() &&
                       (value.size() == 1 || unknown_keys == UnknownKeys::ignored);
  if (!is_read) {
    const std::string given = value.is_array() ? fmt::format("a list of {}", value.size()) : shown(value);
    throw Error(where, fmt::format("architectures: {} is no list of one name", given), supported(unknown_keys));
  }
  return value[0].get<std::string>();
}

}  // namespace

Architecture read_architecture(const ConfigFields& fields, UnknownKeys unknown_keys) {
  const auto all = all_architectures();
  const auto find = [&](const auto& wanted, std::string_view ArchitectureSpec::*by) -> Architecture {
    const auto found = std::ranges::find_if(
        all, [&](const ArchitectureSpec* spec) { return may_be_named(*spec, unknown_keys) && wanted == spec->*by; });
    return found == all.end() ? nullptr : *found;
  };
  if (fields.has("architectures")) {
    const std::string name = named_architecture(fields, unknown_keys);
    if (const Architecture found = find(name, &ArchitectureSpec::name)) return found;
    throw Error(fields.where("architectures"), fmt::format("architectures: {} is not supported", in_quotes(name)),
                supported(unknown_keys));
  }
  if (unknown_keys == UnknownKeys::refused) {
    const auto is_there = [&](const std::string& key) { return fields.entry(key) != nullptr; };
    return architecture_named(std::ranges::any_of(body_keys(), is_there) ? "attnlab" : "llama");
  }
  if (!fields.has("model_type"))
    throw Error(fields.where("architectures"), "architectures is missing", supported(unknown_keys));
  const nlohmann::json& type = fields.entry("model_type")->value;
  if (const Architecture found = find(type, &ArchitectureSpec::model_type)) return found;
  throw Error(fields.where("model_type"), fmt::format("model_type: {} is not supported", shown(type)),
              supported(unknown_keys));
}

namespace {

// Keys of a config.json that change what a model computes, where they are true or a number, and that none is read by.
constexpr std::string_view kOtherComputation[] = {"use_bidirectional_attention", "add_cross_attention", "output_gate",
                                                  "attention_chunk_size"};

void refuse_other_computation(const ConfigFields& fields) {
  for (const std::string_view key : kOtherComputation) {
    if (!fields.has(key) || fields.entry(key)->value == false) continue;
    fields.problem(
        key, fmt::format(": {} changes what the model computes, and is not supported", shown(fields.entry(key)->value)),
        "use a model without it");
  }
}

}  // namespace

void check_keys(const ConfigFields& fields, Architecture architecture, UnknownKeys unknown_keys) {
  const ArchitectureSpec& spec = *architecture;
  Keys known = kCommonKeys;
  known.insert(known.end(), spec.yaml_keys.begin(), spec.yaml_keys.end());
  if (unknown_keys == UnknownKeys::refused) {
    Keys of_any = known;
    for (const ArchitectureSpec* other : all_architectures())
      of_any.insert(of_any.end(), other->yaml_keys.begin(), other->yaml_keys.end());
    fields.refuse_unknown(of_any, "a model");
    for (const ConfigEntry& entry : fields.entries()) {
      if (contains(known, entry.key) || !contains(of_any, entry.key)) continue;
      fields.problem(entry.key, fmt::format(": {} has no such key", spec.name),
                     fmt::format("remove it, or name the architecture ({})", fmt::join(owners(entry.key), ", ")));
    }
  }
  if (unknown_keys == UnknownKeys::ignored) return refuse_other_computation(fields);
  for (const ConfigEntry& entry : fields.entries()) {
    if (!entry.value.is_null() || !contains(known, entry.key) || contains(kNullableKeys, entry.key)) continue;
    fields.problem(entry.key, " is null", "give a value or remove the key");
  }
}

}  // namespace attnlab::model
