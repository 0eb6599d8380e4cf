#include "model/checkpoints/gguf_names.h"

#include <algorithm>
#include <array>
#include <limits>
#include <utility>

#include <attnlab/error.h>
#include <fmt/format.h>
#include <fmt/ranges.h>

#include "model/checkpoints/strict_json.h"

namespace attnlab::model {
namespace {

constexpr std::array<std::string_view, 3> kArchitectures{"llama", "qwen2", "qwen3"};

using Name = std::pair<std::string_view, std::string_view>;

constexpr std::array<Name, 3> kModelNames{{{"token_embd.weight", "model.embed_tokens.weight"},
                                           {"output_norm.weight", "model.norm.weight"},
                                           {"output.weight", "lm_head.weight"}}};
// Of a layer, before .weight or .bias.
constexpr std::array<Name, 11> kLayerNames{{{"attn_norm", "input_layernorm"},
                                            {"ffn_norm", "post_attention_layernorm"},
                                            {"attn_q", "self_attn.q_proj"},
                                            {"attn_k", "self_attn.k_proj"},
                                            {"attn_v", "self_attn.v_proj"},
                                            {"attn_output", "self_attn.o_proj"},
                                            {"attn_q_norm", "self_attn.q_norm"},
                                            {"attn_k_norm", "self_attn.k_norm"},
                                            {"ffn_gate", "mlp.gate_proj"},
                                            {"ffn_up", "mlp.up_proj"},
                                            {"ffn_down", "mlp.down_proj"}}};
constexpr std::string_view kOfConfiguration = "rope_freqs.weight";

// "blk.3.attn_q.weight" below "blk.": 3, "attn_q", "weight".
struct LayerName {
  std::string_view layer, part, form;
};
std::optional<LayerName> parse_layer_name(std::string_view name, std::string_view prefix) {
  if (!name.starts_with(prefix)) return std::nullopt;
  name.remove_prefix(prefix.size());
  const std::size_t dot = name.find('.'), last = name.rfind('.');
  if (dot == name.npos || dot == 0 || last == dot) return std::nullopt;
  const LayerName parsed{name.substr(0, dot), name.substr(dot + 1, last - dot - 1), name.substr(last + 1)};
  const bool is_number = parsed.layer.find_first_not_of("0123456789") == parsed.layer.npos;
  const bool is_parameter = parsed.form == "weight" || parsed.form == "bias";
  return is_number && is_parameter ? std::optional(parsed) : std::nullopt;
}

}  // namespace

std::string gguf_architecture(const GgufFile& gguf) {
  const std::string where = gguf.file.path().string();
  const auto found = gguf.keys.find("general.architecture");
  const std::string supported = fmt::format("supported are {}", fmt::join(kArchitectures, ", "));
  if (found == gguf.keys.end() || !found->is_string())
    throw Error(where, "key \"general.architecture\" is missing or no text", supported);
  const auto& name = found->get_ref<const std::string&>();
  if (std::ranges::find(kArchitectures, name) == kArchitectures.end())
    throw Error(where, fmt::format("general.architecture: {} is not supported", in_quotes(name)), supported);
  return name;
}

std::int64_t gguf_count(const GgufFile& gguf, std::string_view key, std::optional<std::int64_t> absent) {
  const std::string where = gguf.file.path().string();
  const std::string name = fmt::format("{}.{}", gguf_architecture(gguf), key);
  const auto found = gguf.keys.find(name);
  if (found == gguf.keys.end()) {
    if (absent) return *absent;
    throw Error(where, fmt::format("key \"{}\" is missing", name), "convert the model again");
  }
  constexpr std::int64_t most = std::numeric_limits<std::int32_t>::max();
  if (!found->is_number_integer() || *found < 1 || *found > most)
    throw Error(where, fmt::format("{}: {} is no whole number from 1 to {}", name, shown(*found), most),
                "convert the model again");
  return found->get<std::int64_t>();
}

const TensorInfo* find_tensor(const GgufFile& gguf, std::string_view name) {
  const auto found = std::ranges::find(gguf.tensors, name, &TensorInfo::name);
  return found == gguf.tensors.end() ? nullptr : &*found;
}

std::string checkpoint_name(std::string_view own) {
  if (const auto* const name = std::ranges::find(kModelNames, own, &Name::first); name != kModelNames.end())
    return std::string(name->second);
  const auto parsed = parse_layer_name(own, "blk.");
  if (!parsed) return std::string(own);
  const auto* const name = std::ranges::find(kLayerNames, parsed->part, &Name::first);
  if (name == kLayerNames.end()) return std::string(own);
  return fmt::format("model.layers.{}.{}.{}", parsed->layer, name->second, parsed->form);
}

std::string gguf_name(std::string_view of_checkpoint) {
  if (const auto* const name = std::ranges::find(kModelNames, of_checkpoint, &Name::second); name != kModelNames.end())
    return std::string(name->first);
  const auto parsed = parse_layer_name(of_checkpoint, "model.layers.");
  if (!parsed) return std::string(of_checkpoint);
  const auto* const name = std::ranges::find(kLayerNames, parsed->part, &Name::second);
  if (name == kLayerNames.end()) return std::string(of_checkpoint);
  return fmt::format("blk.{}.{}.{}", parsed->layer, name->first, parsed->form);
}

void arrange_as_checkpoint(GgufFile& gguf) {
  const bool interleaves = gguf_architecture(gguf) == "llama";
  const std::int64_t heads = gguf_count(gguf, "attention.head_count");
  const std::int64_t kv_heads = gguf_count(gguf, "attention.head_count_kv", heads);
  std::erase_if(gguf.tensors, [](const TensorInfo& tensor) { return tensor.name == kOfConfiguration; });
  if (!interleaves) return;
  for (TensorInfo& tensor : gguf.tensors) {
    const auto parsed = parse_layer_name(tensor.name, "blk.");
    if (!parsed) continue;
    const bool is_query = parsed->part == "attn_q", is_key = parsed->part == "attn_k";
    if (!is_query && !is_key) continue;
    const std::int64_t count = is_query ? heads : kv_heads;
    if (tensor.shape.front() % (2 * count) != 0)
      throw Error(gguf.file.path().string(),
                  fmt::format("tensor {} has {} rows, which are no {} heads of even width", in_quotes(tensor.name),
                              tensor.shape.front(), count),
                  "convert the model again");
    tensor.interleaved_heads = static_cast<int>(count);
  }
}

}  // namespace attnlab::model
