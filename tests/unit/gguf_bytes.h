// GGUF files byte by byte, for tests that need wrong ones.
#pragma once

#include <cstdint>
#include <cstring>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

namespace attnlab::model_test {

template <class Number>
std::string raw(Number number) {
  std::string bytes(sizeof number, '\0');
  std::memcpy(bytes.data(), &number, sizeof number);
  return bytes;
}

inline std::string raw_text(std::string_view text) {
  return raw<std::uint64_t>(text.size()) + std::string(text);
}

struct GgufBytes {
  struct Key {
    std::string name;
    std::uint32_t type;
    std::string value;
  };
  struct Tensor {
    std::string name;
    std::vector<std::uint64_t> dimensions;  // innermost first
    std::uint32_t type = 0;                 // F32
    std::uint64_t offset = 0;
  };

  std::string magic = "GGUF";
  std::uint32_t version = 3;
  std::optional<std::uint64_t> tensor_count, key_count;  // else as many as there are
  std::vector<Key> keys;
  std::vector<Tensor> tensors;
  std::uint64_t alignment = 32;
  std::size_t data_bytes = 0;

  void text(const std::string& name, std::string_view value) { keys.push_back({name, 8, raw_text(value)}); }
  void count(const std::string& name, std::uint32_t value) { keys.push_back({name, 4, raw(value)}); }
  void real(const std::string& name, float value) { keys.push_back({name, 6, raw(value)}); }
  void flag(const std::string& name, bool value) { keys.push_back({name, 7, std::string(1, value ? '\1' : '\0')}); }
  void texts(const std::string& name, const std::vector<std::string>& values) {
    std::string bytes = raw<std::uint32_t>(8) + raw<std::uint64_t>(values.size());
    for (const std::string& value : values) bytes += raw_text(value);
    keys.push_back({name, 9, bytes});
  }
  template <class Number>
  void numbers(const std::string& name, std::uint32_t type, const std::vector<Number>& values) {
    std::string bytes = raw(type) + raw<std::uint64_t>(values.size());
    for (const Number value : values) bytes += raw(value);
    keys.push_back({name, 9, bytes});
  }
  void drop(std::string_view name) {
    std::erase_if(keys, [&](const Key& key) { return key.name == name; });
  }

  // F32, behind the others.
  void tensor(const std::string& name, const std::vector<std::uint64_t>& dimensions) {
    tensors.push_back({name, dimensions, 0, 0});
    spread();
  }
  // One after the other, each with the room of F32.
  void spread() {
    data_bytes = 0;
    for (Tensor& tensor : tensors) {
      tensor.offset = data_bytes;
      std::uint64_t bytes = 4;
      for (const std::uint64_t extent : tensor.dimensions) bytes *= extent;
      data_bytes += (bytes + alignment - 1) / alignment * alignment;
    }
  }

  [[nodiscard]] std::string bytes() const {
    std::string file =
        magic + raw(version) + raw(tensor_count.value_or(tensors.size())) + raw(key_count.value_or(keys.size()));
    for (const Key& key : keys) file += raw_text(key.name) + raw(key.type) + key.value;
    for (const Tensor& tensor : tensors) {
      file += raw_text(tensor.name) + raw<std::uint32_t>(static_cast<std::uint32_t>(tensor.dimensions.size()));
      for (const std::uint64_t extent : tensor.dimensions) file += raw(extent);
      file += raw(tensor.type) + raw(tensor.offset);
    }
    file.resize((file.size() + alignment - 1) / alignment * alignment);
    return file + std::string(data_bytes, '\0');
  }
};

/// One layer of the Llama architecture, hidden 8, 2 heads, 4 tokens of sentencepiece.
inline GgufBytes small_gguf() {
  GgufBytes gguf;
  gguf.text("general.architecture", "llama");
  gguf.count("llama.block_count", 1);
  gguf.count("llama.context_length", 64);
  gguf.count("llama.embedding_length", 8);
  gguf.count("llama.feed_forward_length", 16);
  gguf.count("llama.attention.head_count", 2);
  gguf.real("llama.attention.layer_norm_rms_epsilon", 1e-5F);
  gguf.text("tokenizer.ggml.model", "llama");
  gguf.texts("tokenizer.ggml.tokens", {"<unk>", "<s>", "</s>", "a"});
  gguf.numbers<float>("tokenizer.ggml.scores", 6, {0, 0, 0, -1});
  gguf.numbers<std::int32_t>("tokenizer.ggml.token_type", 5, {2, 3, 3, 1});
  gguf.count("tokenizer.ggml.bos_token_id", 1);
  gguf.count("tokenizer.ggml.eos_token_id", 2);
  gguf.tensor("token_embd.weight", {8, 4});
  gguf.tensor("output_norm.weight", {8});
  gguf.tensor("blk.0.attn_norm.weight", {8});
  gguf.tensor("blk.0.ffn_norm.weight", {8});
  for (const char* part : {"attn_q", "attn_k", "attn_v", "attn_output"})
    gguf.tensor(std::string("blk.0.") + part + ".weight", {8, 8});
  gguf.tensor("blk.0.ffn_gate.weight", {8, 16});
  gguf.tensor("blk.0.ffn_up.weight", {8, 16});
  gguf.tensor("blk.0.ffn_down.weight", {16, 8});
  return gguf;
}

}  // namespace attnlab::model_test
