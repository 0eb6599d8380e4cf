#include "model/missing_tensor.h"

#include <algorithm>
#include <string_view>

#include <attnlab/error.h>
#include <fmt/format.h>
#include <fmt/ranges.h>

namespace attnlab::model {
namespace {

using Names = std::vector<std::string>;

constexpr std::size_t kMostShown = 8;

// The part before the last `parts` parts of a name, its dot included: "model.layers.0.mlp." of
// "model.layers.0.mlp.up_proj.weight" and 2.
std::string before_last(const std::string& name, int parts) {
  std::size_t end = name.size();
  for (int part = 0; part < parts && end != std::string::npos; ++part)
    end = end == 0 ? std::string::npos : name.rfind('.', end - 1);
  return end == std::string::npos ? "" : name.substr(0, end + 1);
}

bool contains(const Names& names, const std::string& name) {
  return std::ranges::find(names, name) != names.end();
}

// GPTQ, AWQ, compressed-tensors, fp8, MLX: the weight itself has another name, or (MXFP4, fp8) the same and an ending.
std::string quantised_part(const std::string& name, const Names& names) {
  for (const char* ending : {"_blocks", "_scales", "_scale_inv"})
    if (contains(names, name + ending)) return name + ending;
  const std::string module = before_last(name, 1);
  for (const char* part : {"qweight", "weight_packed", "weight_scale", "qzeros", "scales"})
    if (contains(names, module + part)) return module + part;
  return {};
}

// The names that the makers of Llama and Mistral give to the tensors in their own files.
bool is_makers_layout(const Names& names) {
  return std::ranges::any_of(names, [](const std::string& name) {
    return name.ends_with("tok_embeddings.weight") || name.ends_with(".attention.wq.weight") ||
           name.ends_with(".feed_forward.w1.weight");
  });
}

// What else is in the module of the tensor: "model.layers.0.self_attn." -> qkv_proj.weight, o_proj.weight.
Names beside(const std::string& name, const Names& names) {
  const std::string parent = before_last(name, 2);
  Names found;
  for (const std::string& other : names)
    if (other.starts_with(parent) && before_last(other, 2) == parent) found.push_back(other.substr(parent.size()));
  return found;
}

// "model.layers.12." of any name of layer 12; empty for names outside the layers.
std::string layer_of(const std::string& name) {
  constexpr std::string_view before = "model.layers.";
  if (!name.starts_with(before)) return {};
  const std::size_t end = name.find('.', before.size());
  return end == std::string::npos ? "" : name.substr(0, end + 1);
}

std::size_t common_ending(std::string_view a, std::string_view b) {
  const auto stop = std::mismatch(a.rbegin(), a.rend(), b.rbegin(), b.rend());
  return static_cast<std::size_t>(stop.first - a.rbegin());
}

}  // namespace

std::string what_is_there(const std::string& name, const Names& names) {
  if (names.empty()) return "the checkpoint holds no tensor at all";
  if (const std::string part = quantised_part(name, names); !part.empty())
    return fmt::format("\"{}\" is there: the checkpoint is quantised; use the one that it was made from", part);
  if (is_makers_layout(names))
    return fmt::format(
        "the names are those of the makers' own layout, such as \"{}\": use the Hugging Face files of "
        "the same model",
        names.front());
  if (name == "lm_head.weight" && contains(names, "model.embed_tokens.weight"))
    return "no head is stored: if the embedding is the head, config.json says tie_word_embeddings: true";
  if (name == "model.embed_tokens.weight" && contains(names, "lm_head.weight"))
    return "only lm_head.weight is stored: if it is the embedding too, config.json says tie_word_embeddings: true";
  if (Names found = beside(name, names); !found.empty()) {
    const std::string more = found.size() > kMostShown ? ", ..." : "";
    found.resize(std::min(found.size(), kMostShown));
    return fmt::format("\"{}\" holds {}{}", before_last(name, 2), fmt::join(found, ", "), more);
  }
  const std::string layer = layer_of(name);
  const auto is_of_a_layer = [](const std::string& other) { return !layer_of(other).empty(); };
  const auto is_of_this_layer = [&](const std::string& other) { return other.starts_with(layer); };
  if (!layer.empty() && std::ranges::any_of(names, is_of_a_layer) && std::ranges::none_of(names, is_of_this_layer))
    return fmt::format("the checkpoint holds nothing of \"{}\": check num_hidden_layers", layer);
  // The same part of another place, such as another spelling of the path to it.
  const std::string part = name.substr(before_last(name, 2).size());
  const auto nearest =
      std::ranges::max_element(names, {}, [&](const std::string& other) { return common_ending(name, other); });
  if (common_ending(name, *nearest) >= part.size())
    return fmt::format("the checkpoint has such a tensor as \"{}\"", *nearest);
  if (const std::string other = nearest_name(name, names); !other.empty())
    return fmt::format("the nearest that is there is \"{}\"", other);
  return fmt::format("the checkpoint holds {} tensors, such as \"{}\": check that config.json belongs to it",
                     names.size(), names.front());
}

}  // namespace attnlab::model
