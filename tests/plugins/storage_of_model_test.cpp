// Options of a storage that come from the model are among those by which an arm is checked and described, whether or
// not they were written.
#include <filesystem>

#include <gtest/gtest.h>

#include "assembly/arm_model.h"

namespace attnlab::experiment {
namespace {

namespace fs = std::filesystem;

model::ModelConfig model_that_says(std::optional<bool> rows_stay) {
  model::ModelConfig config;
  config.hidden_dim = 32;
  config.layers = 2;
  config.intermediate_dim = 32;
  config.heads = 4;
  config.kv_heads = 2;
  config.head_dim = 16;
  config.vocab_size = 61;
  config.max_positions = 64;
  config.rms_norm_eps = 1e-5F;
  config.rope_theta = 10000;
  if (rows_stay) config.keys["rows_stay"] = *rows_stay;
  return config;
}

ResolvedArm resolved(const std::string& cache, std::optional<bool> rows_stay) {
  const fs::path folder = fs::path(ATTNLAB_BINARY_DIR) / "tests/plugins/model_bound_storage";
  static const Registry registry = Registry::standard(std::vector<fs::path>{folder / "model_bound_storage.so"});
  const ComponentLookup lookup = lookup_in(registry);
  Arm arm;
  arm.attention = parse_layered(Kind::attention, "gqa", "--attention", lookup);
  arm.position = parse_layered(Kind::position, "rope", "--position", lookup);
  arm.cache = parse_layered(Kind::cache, cache, "--cache", lookup);
  return resolve_arm(arm, model_that_says(rows_stay), registry);
}

TEST(StorageOfAModel, IsCheckedByWhatTheModelSays) {
  const std::string evicts = "{window: {window: 8, storage: model_bound}}";
  EXPECT_TRUE(resolved(evicts, std::nullopt).conflicts.empty());
  EXPECT_TRUE(resolved(evicts, false).conflicts.empty());
  ASSERT_FALSE(resolved(evicts, true).conflicts.empty());
  EXPECT_NE(resolved(evicts, true).conflicts.front().find("model_bound"), std::string::npos);
  EXPECT_TRUE(resolved("{full: {storage: model_bound}}", true).conflicts.empty());
  const std::string of_values = "{window: {window: 8, storage: {k: f32, v: model_bound}}}";
  EXPECT_FALSE(resolved(of_values, true).conflicts.empty());
}

TEST(StorageOfAModel, IsCheckedByWhatWasWrittenWhereThatDiffers) {
  EXPECT_TRUE(resolved("{window: {window: 8, storage: {model_bound: {rows_stay: false}}}}", true).conflicts.empty());
  EXPECT_FALSE(resolved("{window: {window: 8, storage: {model_bound: {rows_stay: true}}}}", false).conflicts.empty());
}

TEST(StorageOfAModel, IsDescribedWithTheOptionThatCameFromTheModel) {
  const std::string described = describe_arm(resolved("{full: {storage: model_bound}}", true)).dump();
  EXPECT_NE(described.find(R"({"model_bound":{"rows_stay":true}})"), std::string::npos) << described;
}

}  // namespace
}  // namespace attnlab::experiment
