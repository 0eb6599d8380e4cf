// What keys and tensors of GGUF files mean: configurations, order of rows, tokenizers.
#include <algorithm>
#include <array>
#include <numeric>
#include <utility>

#include "model/checkpoints/checkpoint.h"
#include "model/checkpoints/gguf_names.h"
#include "model/config/gguf_config.h"
#include "model/tokenizers/tokenizer.h"
#include "unit/gguf_bytes.h"
#include "unit/model_test_files.h"

namespace attnlab::model {
namespace {

using model_test::expect_mentions;
using model_test::GgufBytes;
using model_test::refusal;
using model_test::small_gguf;
using model_test::TempFolder;

class GgufReading : public testing::Test {
 protected:
  std::filesystem::path write(const GgufBytes& gguf) const { return folder_.write("m.gguf", gguf.bytes()); }
  ModelConfig config_of(const GgufBytes& gguf) const { return read_gguf_config(write(gguf)); }
  // The file with the values of one of its tensors.
  template <class Number>
  std::filesystem::path write(const GgufBytes& gguf, std::string_view name, const std::vector<Number>& values) const {
    std::string bytes = gguf.bytes();
    const auto tensor = std::ranges::find(gguf.tensors, name, &GgufBytes::Tensor::name);
    std::memcpy(bytes.data() + bytes.size() - gguf.data_bytes + tensor->offset, values.data(),
                values.size() * sizeof(Number));
    return folder_.write("m.gguf", bytes);
  }
  static std::vector<float> read(const std::filesystem::path& path, std::string_view name) {
    const Checkpoint checkpoint = Checkpoint::open(path);
    const StoredTensor tensor = checkpoint.find(name).value();
    std::vector<float> values(static_cast<std::size_t>(tensor.info->elements()));
    read_f32(tensor, values);
    return values;
  }

  TempFolder folder_;
};

// 8 rows of 2 heads: rows 0 1 2 3 of a head are stored as its rows 0 2 1 3.
constexpr std::array kStored{0, 2, 1, 3, 4, 6, 5, 7};

TEST_F(GgufReading, BiasesOfQueriesAreTurnedAsTheirRows) {
  GgufBytes gguf = small_gguf();
  gguf.tensor("blk.0.attn_q.bias", {8});
  gguf.tensor("blk.0.attn_v.bias", {8});
  const std::vector<float> values{0, 1, 2, 3, 4, 5, 6, 7};
  const std::filesystem::path path = write(gguf, "blk.0.attn_q.bias", values);
  EXPECT_TRUE(read_gguf_config(path).qkv_bias);
  const std::vector<float> bias = read(path, "model.layers.0.self_attn.q_proj.bias");
  for (std::size_t row = 0; row < 8; ++row) EXPECT_EQ(bias[row], static_cast<float>(kStored[row])) << row;
  const std::filesystem::path plain = write(gguf, "blk.0.attn_v.bias", values);
  EXPECT_EQ(read(plain, "model.layers.0.self_attn.v_proj.bias"), values);
}

TEST_F(GgufReading, BitsAreTurnedAsRowsAre) {
  GgufBytes gguf = small_gguf();
  for (GgufBytes::Tensor& tensor : gguf.tensors)
    if (tensor.name == "blk.0.attn_k.weight") tensor.type = 1;  // F16
  std::vector<std::uint16_t> stored(64);
  std::iota(stored.begin(), stored.end(), std::uint16_t{0x3c00});
  const Checkpoint checkpoint = Checkpoint::open(write(gguf, "blk.0.attn_k.weight", stored));
  const StoredTensor tensor = checkpoint.find("model.layers.0.self_attn.k_proj.weight").value();
  std::vector<std::uint16_t> bits(64 - 3);
  read_bits16(tensor, 3, bits);  // from the middle of a row
  for (std::size_t i = 0; i < bits.size(); ++i)
    EXPECT_EQ(bits[i], stored[static_cast<std::size_t>(kStored[(i + 3) / 8]) * 8 + (i + 3) % 8]) << i;
}

TEST_F(GgufReading, ArchitecturesThatSplitHeadsInHalvesAreNotTurned) {
  GgufBytes gguf = small_gguf();
  for (GgufBytes::Key& key : gguf.keys) {
    if (key.name.starts_with("llama.")) key.name = "qwen3." + key.name.substr(6);
    if (key.name == "general.architecture") key.value = model_test::raw_text("qwen3");
  }
  gguf.tensor("blk.0.attn_q_norm.weight", {4});
  gguf.tensor("blk.0.attn_k_norm.weight", {4});
  std::vector<float> values(64);
  std::iota(values.begin(), values.end(), 0.0F);
  const std::filesystem::path path = write(gguf, "blk.0.attn_q.weight", values);
  EXPECT_EQ(read(path, "model.layers.0.self_attn.q_proj.weight"), values);
  const ModelConfig config = read_gguf_config(path);
  EXPECT_EQ(config.architecture, architecture_named("qwen3"));
  EXPECT_TRUE(config.qk_norm != QkNorm::none);
  EXPECT_FALSE(config.qkv_bias);
  EXPECT_TRUE(Checkpoint::open(path).find("model.layers.0.self_attn.k_norm.weight"));
}

TEST_F(GgufReading, ScalingOfRotationsIsThatOfTheKeys) {
  GgufBytes gguf = small_gguf();
  EXPECT_FALSE(config_of(gguf).rope_scaling);
  gguf.text("llama.rope.scaling.type", "linear");
  gguf.real("llama.rope.scaling.factor", 4);
  ASSERT_TRUE(config_of(gguf).rope_scaling);
  EXPECT_EQ(config_of(gguf).rope_scaling->type, "linear");
  EXPECT_EQ(config_of(gguf).rope_scaling->factor, std::optional(4.0));
  gguf.drop("llama.rope.scaling.type");
  gguf.text("llama.rope.scaling.type", "yarn");
  gguf.count("llama.rope.scaling.original_context_length", 16);
  EXPECT_EQ(config_of(gguf).rope_scaling->type, "yarn");
  EXPECT_EQ(config_of(gguf).rope_scaling->original_max_positions, std::optional(16));
}

TEST_F(GgufReading, StoredFactorsDivideFrequencies) {
  GgufBytes gguf = small_gguf();
  gguf.tensor("rope_freqs.weight", {2});
  const std::filesystem::path path = write(gguf, "rope_freqs.weight", std::vector<float>{1, 8});
  const ModelConfig config = read_gguf_config(path);
  ASSERT_TRUE(config.rope_scaling);
  EXPECT_EQ(config.rope_scaling->type, "longrope");
  EXPECT_EQ(config.rope_scaling->short_factor, (std::vector<double>{1, 8}));
  EXPECT_EQ(config.rope_scaling->long_factor, (std::vector<double>{1, 8}));
  EXPECT_EQ(config.rope_scaling->attention_factor, std::optional(1.0));
  EXPECT_FALSE(Checkpoint::open(path).find("rope_freqs.weight")) << "no parameter of the model";
  expect_mentions(refusal([&] { (void)config_of(gguf); }), {"rope_freqs.weight", "holds 0"});
}

TEST_F(GgufReading, NamesGoBothWays) {
  for (const auto& [own, of_checkpoint] :
       {std::pair("blk.12.attn_q.weight", "model.layers.12.self_attn.q_proj.weight"),
        std::pair("blk.0.ffn_norm.weight", "model.layers.0.post_attention_layernorm.weight"),
        std::pair("output.weight", "lm_head.weight"),
        std::pair("blk.1.attn_k.bias", "model.layers.1.self_attn.k_proj.bias")}) {
    EXPECT_EQ(checkpoint_name(own), of_checkpoint);
    EXPECT_EQ(gguf_name(of_checkpoint), own);
  }
  for (const char* unknown : {"blk.x.attn_q.weight", "blk.0.attn_q.scales", "blk.0.ssm.weight", "v.patch.weight"})
    EXPECT_EQ(checkpoint_name(unknown), unknown);
}

TEST_F(GgufReading, SpacesAreOnlyPutInFrontWhereTheFileSaysSo) {
  GgufBytes gguf = small_gguf();
  gguf.drop("tokenizer.ggml.tokens");
  gguf.texts("tokenizer.ggml.tokens", {"<unk>", "<s>", "</s>", "\u2581a"});
  const std::vector<TokenId> with{3}, without{0};
  EXPECT_EQ(load_tokenizer(write(gguf))->encode("a"), with);
  gguf.flag("tokenizer.ggml.add_space_prefix", false);
  EXPECT_EQ(load_tokenizer(write(gguf))->encode("a"), without) << "an a without a space is no token";
}

TEST_F(GgufReading, TokensOfTheUserAreCutOutAndUnusedOnesAreNone) {
  GgufBytes gguf = small_gguf();
  for (const char* name : {"tokens", "scores", "token_type"}) gguf.drop(std::string("tokenizer.ggml.") + name);
  gguf.texts("tokenizer.ggml.tokens", {"<unk>", "<s>", "</s>", "a", "b", "ab", "<tool>", "aa"});
  gguf.numbers<float>("tokenizer.ggml.scores", 6, {0, 0, 0, -1, -2, 0, 0, 0});
  gguf.numbers<std::int32_t>("tokenizer.ggml.token_type", 5, {2, 3, 3, 1, 1, 1, 4, 5});
  gguf.flag("tokenizer.ggml.add_space_prefix", false);
  gguf.tensors.front().dimensions = {8, 8};
  gguf.spread();
  const auto tokenizer = load_tokenizer(write(gguf));
  EXPECT_EQ(tokenizer->encode("ab<tool>a"), (std::vector<TokenId>{5, 6, 3}));
  EXPECT_EQ(tokenizer->encode("aa"), (std::vector<TokenId>{3, 3})) << "token 7 is unused";
  EXPECT_EQ(tokenizer->decode(std::vector<TokenId>{5, 6, 3}), "ab<tool>a");
}

TEST_F(GgufReading, PromptsBeginAsTheFileSaysElseAsItsKindDoes) {
  GgufBytes gguf = small_gguf();
  EXPECT_TRUE(load_tokenizer(write(gguf))->adds_bos());
  gguf.flag("tokenizer.ggml.add_bos_token", false);
  EXPECT_FALSE(load_tokenizer(write(gguf))->adds_bos());
  gguf.flag("tokenizer.ggml.add_eos_token", true);
  const auto tokenizer = load_tokenizer(write(gguf));
  EXPECT_EQ(std::vector<TokenId>(tokenizer->after_prompt().begin(), tokenizer->after_prompt().end()),
            std::vector<TokenId>{2});
}

TEST_F(GgufReading, APaddingTokenThatIsTextStaysText) {
  GgufBytes gguf = small_gguf();
  gguf.flag("tokenizer.ggml.add_space_prefix", false);
  const std::vector<TokenId> ids = load_tokenizer(write(gguf))->encode("aa");
  gguf.count("tokenizer.ggml.padding_token_id", 3);
  EXPECT_EQ(load_tokenizer(write(gguf))->encode("aa"), ids);
}

}  // namespace
}  // namespace attnlab::model
