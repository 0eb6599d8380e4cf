#include "model/config/gguf_config.h"

#include <cmath>
#include <optional>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

#include <attnlab/error.h>
#include <fmt/format.h>

#include "model/checkpoints/checkpoint.h"
#include "model/checkpoints/gguf_names.h"
#include "model/checkpoints/strict_json.h"

namespace attnlab::model {
namespace {

using nlohmann::json;
using nlohmann::ordered_json;

constexpr const char* kRemedy = "convert the model again";

// Keys of the file's architecture.
class Keys {
 public:
  explicit Keys(const GgufFile& gguf) : gguf_(gguf), prefix_(gguf_architecture(gguf) + ".") {}

  [[noreturn]] void refuse(std::string_view key, const std::string& what, const std::string& remedy = {}) const {
    throw Error(gguf_.file.path().string(), fmt::format("{}{}: {}", prefix_, key, what), remedy);
  }
  [[nodiscard]] const json* find(std::string_view key) const {
    const auto found = gguf_.keys.find(prefix_ + std::string(key));
    return found == gguf_.keys.end() ? nullptr : &*found;
  }
  [[nodiscard]] std::int64_t count(std::string_view key, std::optional<std::int64_t> absent = std::nullopt) const {
    return gguf_count(gguf_, key, absent);
  }
  [[nodiscard]] double positive(std::string_view key, std::optional<double> absent = std::nullopt) const {
    const json* const found = find(key);
    if (found == nullptr && absent) return *absent;
    if (found == nullptr) refuse(key, "is missing", kRemedy);
    const double value = found->is_number() ? found->get<double>() : 0;
    if (!std::isfinite(value) || value <= 0)
      refuse(key, fmt::format("{} is no number greater than 0", shown(*found)), kRemedy);
    return value;
  }

 private:
  const GgufFile& gguf_;
  std::string prefix_;
};

// Where factors of single frequencies are stored, they are all that the scaling does.
ordered_json stored_factors(const GgufFile& gguf, const TensorInfo& tensor, std::int64_t rotated,
                            std::int64_t context) {
  const auto refuse = [&](const std::string& what) {
    throw Error(gguf.file.path().string(), fmt::format("tensor {} {}", in_quotes(tensor.name), what),
                fmt::format("{} numbers of type F32 greater than 0 are what frequencies are divided by", rotated / 2));
  };
  if (tensor.dtype != DType::f32 || tensor.block != BlockType::none) refuse("is not of type F32");
  if (tensor.shape != std::vector<std::int64_t>{rotated / 2}) refuse(fmt::format("has {} numbers", tensor.elements()));
  std::vector<float> factors(static_cast<std::size_t>(tensor.elements()));
  read_f32({&gguf.file, &tensor}, factors);
  for (const float factor : factors)
    if (!std::isfinite(factor) || factor <= 0) refuse(fmt::format("holds {}", factor));
  const json list(std::vector<double>(factors.begin(), factors.end()));
  return {{"rope_type", "longrope"},
          {"short_factor", list},
          {"long_factor", list},
          {"original_max_position_embeddings", context},
          {"attention_factor", 1.0}};
}

ordered_json rope_scaling(const Keys& keys, const GgufFile& gguf, std::int64_t rotated) {
  const TensorInfo* const factors = find_tensor(gguf, "rope_freqs.weight");
  const json* const type = keys.find("rope.scaling.type");
  const bool is_scaled = type != nullptr && *type != "none";
  if (is_scaled && *type != "linear" && *type != "yarn")
    keys.refuse("rope.scaling.type", fmt::format("{} is not supported", shown(*type)),
                "supported are none, linear and yarn");
  if (factors != nullptr && is_scaled)
    keys.refuse("rope.scaling.type", fmt::format("{} beside stored factors (rope_freqs.weight)", shown(*type)),
                "one of the two can hold");
  if (factors != nullptr) return stored_factors(gguf, *factors, rotated, keys.count("context_length"));
  if (!is_scaled) return nullptr;
  ordered_json scaling{{"rope_type", *type}, {"factor", keys.positive("rope.scaling.factor")}};
  if (*type == "yarn") scaling["original_max_position_embeddings"] = keys.count("rope.scaling.original_context_length");
  return scaling;
}

// Ids that a vocabulary of this size has; others say that there is none.
void add_token(ordered_json& config, const GgufFile& gguf, const char* key, const char* gguf_key) {
  if (const auto found = gguf.keys.find(std::string("tokenizer.ggml.") + gguf_key);
      found != gguf.keys.end() && found->is_number_integer())
    config[key] = *found;
}

}  // namespace

ordered_json gguf_config(const GgufFile& gguf) {
  const Keys keys(gguf);
  const std::string architecture = gguf_architecture(gguf);
  const TensorInfo* const embedding = find_tensor(gguf, "token_embd.weight");
  if (embedding == nullptr) throw Error(gguf.file.path().string(), "tensor \"token_embd.weight\" is missing", kRemedy);
  const std::int64_t heads = keys.count("attention.head_count"), hidden = keys.count("embedding_length");
  if (hidden % heads != 0 && keys.find("attention.key_length") == nullptr)
    keys.refuse("embedding_length", fmt::format("{} is not divisible by {} heads", hidden, heads),
                "attention.key_length says how wide a head is");
  const std::int64_t head_dim = keys.count("attention.key_length", std::max<std::int64_t>(1, hidden / heads));
  if (const std::int64_t width = keys.count("attention.value_length", head_dim); width != head_dim)
    keys.refuse("attention.value_length", fmt::format("{} is not attention.key_length {}", width, head_dim),
                "keys and values of one width are read");
  const std::int64_t rotated = keys.count("rope.dimension_count", head_dim);
  if (rotated > head_dim)
    keys.refuse("rope.dimension_count", fmt::format("{} is more than a head has ({})", rotated, head_dim), kRemedy);
  // Rows of the rotated part alone would be interleaved, which no such model needs.
  if (rotated < head_dim && architecture == "llama")
    keys.refuse("rope.dimension_count", fmt::format("{} of {} components are rotated", rotated, head_dim),
                "models of this architecture rotate whole heads");

  ordered_json config{{"architectures",
                       {architecture == "llama"   ? "LlamaForCausalLM"
                        : architecture == "qwen2" ? "Qwen2ForCausalLM"
                                                  : "Qwen3ForCausalLM"}},
                      {"model_type", architecture},
                      {"hidden_size", hidden},
                      {"intermediate_size", keys.count("feed_forward_length")},
                      {"num_hidden_layers", keys.count("block_count")},
                      {"num_attention_heads", heads},
                      {"num_key_value_heads", keys.count("attention.head_count_kv", heads)},
                      {"head_dim", head_dim},
                      {"vocab_size", embedding->shape.front()},
                      {"max_position_embeddings", keys.count("context_length")},
                      {"rms_norm_eps", keys.positive("attention.layer_norm_rms_epsilon")},
                      {"rope_theta", keys.positive("rope.freq_base", 10000.0)},
                      {"hidden_act", "silu"},
                      {"tie_word_embeddings", find_tensor(gguf, "output.weight") == nullptr}};
  if (rotated < head_dim)  // the next larger number: a share of the heads is cut to whole components
    config["partial_rotary_factor"] = std::nextafter(static_cast<double>(rotated) / static_cast<double>(head_dim), 1.0);
  if (ordered_json scaling = rope_scaling(keys, gguf, rotated); !scaling.is_null())
    config["rope_scaling"] = std::move(scaling);
  add_token(config, gguf, "bos_token_id", "bos_token_id");
  add_token(config, gguf, "eos_token_id", "eos_token_id");
  return config;
}

ModelConfig read_gguf_config(const std::filesystem::path& path) {
  const GgufFile gguf = open_gguf(path);
  const ordered_json config = gguf_config(gguf);
  std::vector<ConfigEntry> entries;
  for (const auto& [key, value] : config.items()) entries.push_back({key, value, path.string()});
  ModelConfig read = model_config(entries, UnknownKeys::ignored, path.string());
  // Each is there or not, whatever the architecture has in Hugging Face layout.
  read.qkv_bias = find_tensor(gguf, "blk.0.attn_q.bias") != nullptr;
  read.o_bias = find_tensor(gguf, "blk.0.attn_output.bias") != nullptr;
  return read;
}

}  // namespace attnlab::model
