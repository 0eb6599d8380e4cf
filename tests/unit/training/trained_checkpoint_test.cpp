#include "training/trained_checkpoint.h"

#include <algorithm>
#include <fstream>

#include <gtest/gtest.h>

#include "model/checkpoints/checkpoint.h"
#include "model/config/model_config.h"
#include "model/tokenizers/tokenizer.h"
#include "report/read/text_file.h"
#include "training/byte_tokenizer.h"
#include "unit/model_test_files.h"
#include "unit/training/training_samples.h"

namespace attnlab::training {
namespace {

namespace fs = std::filesystem;
using model_test::refusal;
using nlohmann::ordered_json;
using training_test::SampleTensors;

constexpr const char* kConfig =
    R"({"architectures": ["Qwen3ForCausalLM"], "model_type": "qwen3", "torch_dtype": "bfloat16", "hidden_size": 16})";

std::vector<std::string> names_in(const fs::path& folder) {
  std::vector<std::string> names;
  for (const auto& entry : fs::directory_iterator(folder)) names.push_back(entry.path().filename().string());
  std::ranges::sort(names);
  return names;
}

void expect_weights(const fs::path& folder, const SampleTensors& tensors) {
  const model::Checkpoint checkpoint = model::Checkpoint::open(folder);
  EXPECT_EQ(checkpoint.names().size(), tensors.all().size());
  for (const TrainedTensor& tensor : tensors.all()) {
    const auto stored = checkpoint.find(tensor.name);
    ASSERT_TRUE(stored) << tensor.name;
    EXPECT_EQ(stored->info->dtype, model::DType::f32);
    EXPECT_EQ(stored->info->shape, tensor.shape);
    std::vector<float> values(tensor.values.size());
    model::read_f32(*stored, values);
    EXPECT_TRUE(std::ranges::equal(values, tensor.values)) << tensor.name;
  }
}

class TrainedCheckpoint : public testing::Test {
 protected:
  [[nodiscard]] fs::path folder() const { return place_.path() / "checkpoint"; }

  model_test::TempFolder place_;
  SampleTensors tensors_;
};

TEST_F(TrainedCheckpoint, IsAFolderWithConfigWeightsAndTokenizer) {
  const model_test::TempFolder start;
  start.write("config.json", kConfig);
  start.write("tokenizer.json", "{\"a\": 1}");
  start.write("generation_config.json", "{}");
  start.write("model.safetensors", "not read");
  const CheckpointParts parts{
      .config = config_of_start(start.path(), model::architecture_named("qwen3"), tensors_.all()),
      .tokenizer_files = model::tokenizer_files(start.path())};
  write_checkpoint(folder(), parts, tensors_.all());
  EXPECT_EQ(names_in(folder()),
            (std::vector<std::string>{"config.json", "generation_config.json", "model.safetensors", "tokenizer.json"}));
  EXPECT_EQ(report::read_text(folder() / "tokenizer.json"), "{\"a\": 1}");
  EXPECT_EQ(ordered_json::parse(report::read_text(folder() / "config.json")), parts.config);
  expect_weights(folder(), tensors_);
}

TEST_F(TrainedCheckpoint, OfAModelOfBytesHasATokenizerWhoseIdsAreTheBytes) {
  write_checkpoint(folder(), {.config = {{"a", 1}}, .tokenizer = byte_tokenizer_json(256)}, tensors_.all());
  const auto tokenizer = model::load_tokenizer(folder());
  std::string text = "It's  two\n\tlines, \xC3\xA9 and \xF0\x9F\x98\x80, 12345.";
  for (char byte = 0x01; byte < 0x7F; ++byte) text += byte;
  const std::vector<model::TokenId> ids = tokenizer->encode_with_special(text);
  ASSERT_EQ(ids.size(), text.size());
  for (std::size_t i = 0; i < ids.size(); ++i) ASSERT_EQ(ids[i], static_cast<unsigned char>(text[i])) << i;
  EXPECT_EQ(tokenizer->decode(ids), text);
  EXPECT_EQ(tokenizer->vocab_size(), 256);
  EXPECT_EQ(byte_tokenizer_json(128).at("model").at("vocab").size(), 128U);
}

TEST_F(TrainedCheckpoint, LiesInShardsWithAnIndexWhereItIsLarge) {
  write_checkpoint(folder(), {.config = {{"a", 1}}, .shard_bytes = 5000}, tensors_.all());
  const std::vector<std::string> names = names_in(folder());
  EXPECT_FALSE(std::ranges::binary_search(names, "model.safetensors"));
  EXPECT_TRUE(std::ranges::binary_search(names, "model-00001-of-00005.safetensors")) << testing::PrintToString(names);
  std::uintmax_t total = 0;
  for (const TrainedTensor& tensor : tensors_.all()) total += tensor.values.size_bytes();
  const auto index = ordered_json::parse(report::read_text(folder() / "model.safetensors.index.json"));
  EXPECT_EQ(index.at("metadata").at("total_size"), total);
  EXPECT_EQ(index.at("weight_map").size(), tensors_.all().size());
  expect_weights(folder(), tensors_);
}

TEST_F(TrainedCheckpoint, TakesThePlaceOfTheOneBefore) {
  write_checkpoint(folder(), {.config = {{"a", 1}}, .shard_bytes = 5000}, tensors_.all());
  const SampleTensors others(77);
  write_checkpoint(folder() / "", {.config = {{"a", 2}}}, others.all());
  EXPECT_EQ(names_in(folder()), (std::vector<std::string>{"config.json", "model.safetensors"}));
  EXPECT_EQ(names_in(place_.path()), (std::vector<std::string>{"checkpoint"}));
  expect_weights(folder(), others);
}

TEST_F(TrainedCheckpoint, StaysAsItWasOnAFullDisk) {
  write_checkpoint(folder(), {.config = {{"a", 1}}}, tensors_.all());
  const SampleTensors others(77);
  {
    const training_test::SmallDisk disk(2000);
    EXPECT_NE(refusal([&] {
                write_checkpoint(folder(), {.config = {{"a", 2}}}, others.all());
              }).find("cannot be written: File too large"),
              std::string::npos);
  }
  EXPECT_EQ(names_in(place_.path()), (std::vector<std::string>{"checkpoint"}));
  EXPECT_EQ(ordered_json::parse(report::read_text(folder() / "config.json")).at("a"), 1);
  expect_weights(folder(), tensors_);
}

TEST_F(TrainedCheckpoint, OverwritesWhatAKilledProcessLeft) {
  fs::create_directories(place_.path() / ".checkpoint.unfinished");
  place_.write(".checkpoint.unfinished/model.safetensors.index.json", "{}");
  write_checkpoint(folder(), {.config = {{"a", 1}}}, tensors_.all());
  EXPECT_EQ(names_in(place_.path()), (std::vector<std::string>{"checkpoint"}));
  expect_weights(folder(), tensors_);
}

TEST(ConfigOfAStart, OfACheckpointKeepsItsKeysInF32) {
  const model_test::TempFolder start;
  start.write("config.json", kConfig);
  const SampleTensors tensors;
  const ordered_json config =
      config_of_start(start.path(), model::architecture_named("qwen3"), tensors.all(), {{"num_key_value_heads", 2}});
  EXPECT_EQ(config, (ordered_json{{"architectures", {"Qwen3ForCausalLM"}},
                                  {"model_type", "qwen3"},
                                  {"torch_dtype", "float32"},
                                  {"hidden_size", 16},
                                  {"tie_word_embeddings", false},
                                  {"num_key_value_heads", 2}}));
}

TEST(ConfigOfAStart, OfAModelYamlIsReadAsTheSameModel) {
  const model_test::TempFolder place;
  const fs::path yaml = place.write("model.yaml",
                                    "architectures: [MistralForCausalLM]\nhidden_size: 16\nnum_hidden_layers: 2\n"
                                    "intermediate_size: 32\nnum_attention_heads: 4\nnum_key_value_heads: 2\n"
                                    "vocab_size: 50\nmax_position_embeddings: 64\nrms_norm_eps: 1.0e-5\n"
                                    "sliding_window: 8\nrope_traditional: true\n");
  const SampleTensors tied(5, {{"model.embed_tokens.weight", {50, 16}}});
  place.write("config.json", config_of_start(yaml, model::architecture_named("mistral"), tied.all()).dump());
  const model::ModelConfig config = model::read_config_json(place.path());
  EXPECT_EQ(config.architecture, model::architecture_named("mistral"));
  EXPECT_EQ(config.hidden_dim, 16);
  EXPECT_EQ(config.kv_heads, 2);
  EXPECT_EQ(config.sliding_window, 8);
  EXPECT_TRUE(config.rope_traditional);
  EXPECT_FLOAT_EQ(config.rms_norm_eps, 1e-5F);
  EXPECT_EQ(config.tie_word_embeddings, true);
}

}  // namespace
}  // namespace attnlab::training
